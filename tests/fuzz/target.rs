//! One fuzz target: the one whose name it is built under.
#![no_main]

#[path = "properties/mod.rs"]
mod properties;

use properties::input::Input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = properties::find(env!("CARGO_BIN_NAME")).expect("a target of that name");
    (target.holds)(&Input::of(bytes));
});

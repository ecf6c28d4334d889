//! Tollgate beside nginx and a bare Pingora passthrough, in one run on loopback: `benches/side_by_side/run --help`.
//!
//! One program in three roles: the stand-in provider, the bare proxy, and the driver, which starts these two, nginx and
//! `tollgate serve`, puts the same load on each in turn, and prints how they compare. Only ratios within one run mean
//! anything: load, provider and proxy share the machine.

mod answer;
mod bare;
mod console;
mod driver;
mod idle;
mod kinds;
mod load;
mod options;
mod others;
mod overload;
mod processes;
mod prompt;
mod proxies;
mod report;
#[path = "../rows/mod.rs"]
mod rows;
mod standin;
mod syncs;
mod wire;

use std::process::ExitCode;

// The same allocator as the `tollgate` binary's: the bare proxy is to differ in nothing but what it does.
#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What can go wrong in a benchmark, for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["role", "provider"] => standin::run(),
        ["role", "bare", listen, upstream] => bare::run(listen, upstream, true),
        ["role", "bare-pinned", listen, upstream] => bare::run(listen, upstream, false),
        _ => driver::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("side_by_side: {failure}");
            ExitCode::FAILURE
        }
    }
}

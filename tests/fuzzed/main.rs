//! The fuzz targets' properties (`tests/fuzz/properties`) over the corpus, and over a bounded number of its mutations: always the
//! same ones, so that a failure stays one.
//!
//! `TOLLGATE_FUZZ_ROUNDS` is how many inputs each target gets beside its seeds, `TOLLGATE_FUZZ_SEED` the number of the first,
//! `TOLLGATE_FUZZ_TARGET` the one target to run, `TOLLGATE_FUZZ_INPUT` a file (of libFuzzer's) to run it on.

#![allow(unreachable_pub, reason = "the properties are a crate's to libFuzzer, and a module here")]

mod mutations;
#[path = "../fuzz/properties/mod.rs"]
mod properties;
mod reduced;
mod seeds;

use properties::input::Input;
use properties::{TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Inputs that each target gets by default: a few seconds for all of them, unoptimised.
const ROUNDS: u64 = 120;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: a number is expected")))
}

/// What is wrong with this input, if anything.
fn wrong(target: &Target, bytes: &[u8]) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.holds)(&Input::of(bytes))));
    let panic = outcome.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// What is to be told of a failure: how to have it again, and the smallest input found that has it.
fn told(target: &Target, origin: &str, bytes: &[u8], message: &str) -> String {
    let small = reduced::reduced(bytes, &|bytes| wrong(target, bytes).is_some());
    let again = wrong(target, &small).unwrap_or_default();
    format!("{}: {origin}: {message}\n  reduced to {:?}\n  {again}\n", target.name, String::from_utf8_lossy(&small))
}

/// Runs a target; the first failure, and how many inputs there were.
fn run(target: &Target, first: u64, rounds: u64, with_seeds: bool) -> (Option<String>, u64) {
    let seeds = seeds::of(target.name);
    let mut count = 0;
    for (name, bytes) in seeds.iter().filter(|_| with_seeds) {
        count += 1;
        if let Some(message) = wrong(target, bytes) {
            return (Some(told(target, name, bytes, &message)), count);
        }
    }
    for seed in first..first.saturating_add(rounds) {
        let bytes = mutations::input(target.name, seed, &seeds);
        count += 1;
        if let Some(message) = wrong(target, &bytes) {
            let origin =
                format!("TOLLGATE_FUZZ_TARGET={} TOLLGATE_FUZZ_SEED={seed} TOLLGATE_FUZZ_ROUNDS=1", target.name);
            return (Some(told(target, &origin, &bytes, &message)), count);
        }
    }
    (None, count)
}

#[test]
fn every_reader_holds_its_properties_over_the_corpus_and_its_mutations() {
    let chosen = std::env::var("TOLLGATE_FUZZ_TARGET").ok();
    let targets: Vec<&Target> = match &chosen {
        Some(name) => vec![properties::find(name).unwrap_or_else(|| panic!("no target is named {name}"))],
        None => TARGETS.iter().collect(),
    };
    if let Ok(path) = std::env::var("TOLLGATE_FUZZ_INPUT") {
        let bytes = std::fs::read(path).expect("the input can be read");
        return targets.iter().for_each(|target| (target.holds)(&Input::of(&bytes)));
    }
    let (first, rounds) = (number("TOLLGATE_FUZZ_SEED"), number("TOLLGATE_FUZZ_ROUNDS").unwrap_or(ROUNDS));
    let (next, failures, inputs) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(0));
    // Failures are told at the end, once.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (failure, count) = run(target, first.unwrap_or(0), rounds, first.is_none());
                    failures.lock().expect("no panic").extend(failure);
                    *inputs.lock().expect("no panic") += count;
                }
            });
        }
    });
    std::panic::set_hook(hook);
    let failures = failures.into_inner().expect("no panic");
    println!("{} inputs for {} targets", inputs.into_inner().expect("no panic"), targets.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_target_is_one_of_the_fuzz_crate_and_has_seeds() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let listed = manifest.lines().filter(|line| *line == "[[bin]]").count();
    assert_eq!(listed, TARGETS.len(), "tests/fuzz/Cargo.toml");
    for target in TARGETS {
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}: tests/fuzz/Cargo.toml", target.name);
        assert!(!seeds::of(target.name).is_empty(), "{}: no seed", target.name);
    }
}

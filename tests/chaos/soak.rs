//! A long mixed load: memory and open files do not grow. Short here; `TOLLGATE_CHAOS_MINUTES=30` shows a slope.

use crate::clients::{Load, Seen};
use crate::join::{arrived, join, quiet};
use crate::leaks::{OpenFiles, setup};
use crate::plan::Plan;
use crate::provider::Provider;
use crate::support::PATIENCE;
use crate::support::gateway::Gateway;
use crate::support::provider::ClosedPort;
use std::time::{Duration, Instant};

/// Requests from one look at memory to the next.
const ROUND_REQUESTS: u64 = 400;
/// Rounds without `TOLLGATE_CHAOS_MINUTES`.
const ROUNDS: usize = 6;
/// Of all rounds, these come before memory is where it stays: pools, caches and the allocator's own.
const WARM_UP_SHARE: usize = 3;
/// What resident memory may be above what it was then.
const GROWTH_BYTES_MAX: f64 = 16_777_216.0;
/// The gate of a run that is long enough to have a slope.
const SLOPE_BYTES_PER_HOUR_MAX: f64 = 1_048_576.0;
const SLOPE_FROM_MINUTES: u64 = 30;

/// Memory is shown so many times in the course of the run, its beginning beside them.
const COURSE_PARTS: usize = 12;

/// Resident bytes of the gateway, and when.
struct Look {
    hours: f64,
    resident_bytes: f64,
}

fn resident_bytes(gateway: &Gateway) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of Linux's");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}

/// Bytes an hour, by least squares.
fn slope(looks: &[Look]) -> f64 {
    let (middle, spread) = (mean(looks), spread(looks));
    let both = looks.iter().map(|look| (look.hours - middle.hours) * (look.resident_bytes - middle.resident_bytes));
    both.sum::<f64>() / spread
}

/// The slope's standard error. Neighbouring looks see the same memory, so the means of parts are what is independent.
fn slope_error(looks: &[Look]) -> f64 {
    let parts: Vec<Look> = looks.chunks(looks.len().div_ceil(COURSE_PARTS)).map(mean).collect();
    let (middle, slope) = (mean(&parts), slope(&parts));
    let off = |part: &Look| part.resident_bytes - middle.resident_bytes - slope * (part.hours - middle.hours);
    let left: f64 = parts.iter().map(|part| off(part).powi(2)).sum();
    (left / (parts.len() as f64 - 2.0) / spread(&parts)).sqrt()
}

fn mean(looks: &[Look]) -> Look {
    let of = |value: fn(&Look) -> f64| looks.iter().map(value).sum::<f64>() / looks.len() as f64;
    Look { hours: of(|look| look.hours), resident_bytes: of(|look| look.resident_bytes) }
}

fn spread(looks: &[Look]) -> f64 {
    let middle = mean(looks).hours;
    looks.iter().map(|look| (look.hours - middle).powi(2)).sum()
}

/// One round of load, until nothing of it runs any more.
async fn round(gateway: &Gateway, credentials: &[String], seed: u64, seen: &mut Vec<Seen>) {
    let first = seen.iter().map(|seen| seen.plan.number + 1).max().unwrap_or_default();
    let load = Load::start(gateway.address, credentials, first, move |number| Plan::draw(seed, number, 2, true));
    let started = Instant::now();
    while load.begun() < ROUND_REQUESTS && started.elapsed() < 3 * PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen.extend(load.seen().await);
    quiet(gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_open_files_stay_where_they_are() {
    let _alone = crate::alone().await;
    let (seed, minutes) = (crate::seed(), crate::number_from("TOLLGATE_CHAOS_MINUTES").unwrap_or(0));
    println!("TOLLGATE_CHAOS_SEED={seed}");
    let (provider, second, dead) = (Provider::start(true).await, Provider::start(true).await, ClosedPort::new());
    let mut gateway = Gateway::prepare(&setup(&provider, &second, &dead));
    let keys = [gateway.key("free", &[]).await, gateway.key("rich", &["--quota-usd", "100000"]).await];
    gateway.serve().await;
    let credentials: Vec<_> = keys.iter().map(|key| key.key.clone()).collect();
    let (mut seen, mut looks, mut warm_files) = (Vec::new(), Vec::new(), None);
    let started = Instant::now();
    while looks.len() < ROUNDS || started.elapsed() < Duration::from_secs(60 * minutes) {
        round(&gateway, &credentials, seed, &mut seen).await;
        looks.push(Look { hours: started.elapsed().as_secs_f64() / 3600.0, resident_bytes: resident_bytes(&gateway) });
        warm_files.get_or_insert_with(|| OpenFiles::of(&gateway));
    }
    arrived(&gateway, &seen).await;
    let tally = join(&gateway, &seen, &[&provider, &second]);
    let context = format!("TOLLGATE_CHAOS_SEED={seed} TOLLGATE_CHAOS_MINUTES={minutes}");
    tally.assert_clean(&context);

    let steady = &looks[looks.len() / WARM_UP_SHARE..];
    let growth = steady[steady.len() - 1].resident_bytes - steady[0].resident_bytes;
    let mib = |bytes: f64| bytes / 1_048_576.0;
    println!(
        "{} rounds, {}; resident {:.1} MiB at last, {:+.1} MiB since it was warm, {:+.1} MiB an hour, give or take {:.1}",
        looks.len(),
        tally.figures(),
        mib(steady[steady.len() - 1].resident_bytes),
        mib(growth),
        mib(slope(steady)),
        mib(slope_error(steady))
    );
    let course = (0..=COURSE_PARTS).map(|part| &looks[(looks.len() - 1) * part / COURSE_PARTS]);
    println!("resident MiB in its course: {:.1?}", course.map(|look| mib(look.resident_bytes)).collect::<Vec<_>>());
    let (files, warm_files) = (OpenFiles::of(&gateway), warm_files.expect("there was a round"));
    assert_eq!(files.others, warm_files.others, "{context}");
    assert!(growth < GROWTH_BYTES_MAX, "{context}: {:.1} MiB more than when it was warm", mib(growth));
    if minutes >= SLOPE_FROM_MINUTES {
        let slope = slope(steady);
        assert!(slope < SLOPE_BYTES_PER_HOUR_MAX, "{context}: {:.1} MiB an hour", mib(slope));
    }
    gateway.finish(&keys.iter().collect::<Vec<_>>()).await;
}

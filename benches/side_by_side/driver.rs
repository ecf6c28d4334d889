//! The run: everything is started, measured in turns, audited and ended.

use crate::kinds::Kind;
use crate::options::{HELP, Options};
use crate::proxies::{Billed, Proxy, Site};
use crate::report::{self, Sample, Samples};
use crate::syncs::Syncs;
use crate::wire::{self, CASES, Case};
use crate::{Failure, console, idle, overload};
use std::path::Path;
use std::time::Duration;

/// Requests that a proxy has served before the memory of its idle streams is measured.
const MEMORY_WARM_UP: Duration = Duration::from_millis(200);
/// Connections of that warm-up.
const MEMORY_WARM_UP_CONNECTIONS: usize = 8;

/// After idle streams were closed, before memory is read again: longer than an answer is read on for without its client.
const CLOSED_FOR: Duration = Duration::from_secs(15);

/// Measures what the command line asks for, and prints it.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let Some(options) = Options::parse(arguments)? else {
        eprintln!("{HELP}");
        return Ok(());
    };
    let mut folder = tempfile::Builder::new().prefix("side-by-side-").tempdir()?;
    if options.keep {
        folder.disable_cleanup(true);
        eprintln!("configs, logs and ledger: {}", folder.path().display());
    }
    let site =
        Site { folder: folder.path().into(), tollgate: options.tollgate.clone(), earlier: options.earlier.clone() };
    let provider = site.start(Kind::Direct, ([127, 0, 0, 1], 0).into())?;
    let share = throughput(&options, &site, &provider)?;
    memory(&options, &site, &provider)?;
    if options.console_rows > 0 {
        println!("{}", console::measure(&options, &site, &provider)?);
    }
    if options.overload > 0 {
        println!("{}", overload::measure(&options, &site, &provider)?);
    }
    match (options.at_least, share) {
        (Some(wanted), Some(share)) if share < wanted => {
            Err(format!("{share:.3} of bare Pingora's requests/s, expected at least {wanted}").into())
        }
        _ => Ok(()),
    }
}

/// Requests/s, processor time and latency. Returns Tollgate's smallest share of bare Pingora's requests/s, with the most
/// connections, for JSON and SSE.
fn throughput(options: &Options, site: &Site, provider: &Proxy) -> Result<Option<f64>, Failure> {
    let started = options.kinds.iter().map(|kind| site.start(*kind, provider.address));
    let proxies = started.collect::<Result<Vec<_>, _>>()?;
    let all: Vec<&Proxy> = std::iter::once(provider).chain(&proxies).collect();
    let mut billed = Billed::default();
    let most = options.connections.iter().max();
    let mut share: Option<f64> = None;
    for (case, _, title) in CASES.iter().filter(|case| options.cases.contains(&case.0)) {
        for connections in &options.connections {
            let samples = turns((options, &site.folder), &all, *case, *connections, &mut billed)?;
            let plural = if *connections == 1 { "" } else { "s" };
            println!("{}", report::table(&format!("{title}; {connections} connection{plural}"), &samples));
            let judged = matches!(case, Case::Json | Case::Sse) && Some(connections) == most;
            if let Some(ratio) = report::ratio(&samples, Kind::Tollgate, Kind::Bare).filter(|_| judged) {
                share = Some(share.map_or(ratio, |least| least.min(ratio)));
            }
        }
    }
    if options.kinds.contains(&Kind::Tollgate) {
        println!("Ledger: {}\n", site.audit(&billed)?);
    }
    Ok(share)
}

/// A B C D, then A D C B, B C D A, B A D C …: what drifts meanwhile touches all of them alike, and what one leaves behind (a warm
/// cache, a machine that has run hot) does not always meet the same next one.
fn turns(
    (options, folder): (&Options, &Path),
    all: &[&Proxy],
    case: Case,
    connections: usize,
    billed: &mut Billed,
) -> Result<Samples, Failure> {
    let mut samples: Samples = all.iter().map(|proxy| (proxy.kind, Vec::new())).collect();
    for round in 0..options.rounds {
        for turn in 0..all.len() {
            let at = place(round, turn, all.len());
            let proxy = all[at];
            let before_us = proxy.running.cpu_us();
            let syncs = proxy.kind == Kind::BesideSyncs;
            let syncs = if syncs { Some(Syncs::begin(folder)?) } else { None };
            let outcome = proxy.load(case, connections, options.duration)?;
            syncs.map_or(Ok(()), Syncs::end)?;
            let at_once_us = proxy.running.cpu_us() - before_us;
            // What a proxy puts off is its own cost too, and must not disturb the next one.
            proxy.running.wait_for_quiet()?;
            let in_all_us = proxy.running.cpu_us() - before_us;
            if proxy.kind == Kind::Tollgate {
                billed.add(case, outcome.answers);
            }
            let each = |us: u64| us as f64 / outcome.answers as f64;
            samples[at].1.push(Sample {
                requests_per_second: outcome.requests_per_second,
                cpu_us: each(in_all_us),
                cpu_later_us: each(in_all_us - at_once_us),
                p50_us: outcome.p50_us,
                p99_us: outcome.p99_us,
            });
        }
    }
    Ok(samples)
}

/// Whose turn it is, of so many.
fn place(round: usize, turn: usize, count: usize) -> usize {
    let step = if round.is_multiple_of(2) { turn } else { count - turn };
    (round / 2 + step) % count
}

/// Resident memory per idle stream, each time in a fresh process that has served some requests.
fn memory(options: &Options, site: &Site, provider: &Proxy) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for kind in options.kinds.iter().copied().filter(|kind| !matches!(kind, Kind::Nginx | Kind::Envoy)) {
        for streams in &options.streams {
            let proxy = site.start(kind, provider.address)?;
            for case in [Case::Json, Case::Sse] {
                proxy.load(case, MEMORY_WARM_UP_CONNECTIONS, MEMORY_WARM_UP)?;
            }
            proxy.running.wait_for_quiet()?;
            let before_kib = proxy.running.resident_kib();
            let (request, first) = (wire::idle_request(&proxy.key), wire::first_events());
            let measure = || Ok(proxy.running.resident_kib());
            let open_kib = idle::hold(proxy.address, &request, &first, *streams, measure)?;
            std::thread::sleep(CLOSED_FOR);
            let after_kib = proxy.running.resident_kib();
            rows.push(report::Memory { kind, streams: *streams, before_kib, open_kib, after_kib });
        }
    }
    if !rows.is_empty() {
        println!("{}", report::memory(&rows));
    }
    Ok(())
}

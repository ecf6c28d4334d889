//! The command line.

use crate::Failure;
use crate::kinds::Kind;
use crate::wire::{CASES, Case};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
benches/side_by_side/run [OPTIONS]: Tollgate beside nginx, Envoy and bare Pingora, on loopback
  --rounds N           rounds of each measurement, of which the median is shown [5]
  --seconds S          length of a round [1.5]
  --connections A,B    connections of a measurement [32,1]
  --cases A,B          of json, json-long, sse, sse-spliced, sse-pieces [all]
  --proxies A,B        of nginx, bare, tollgate [these], envoy, bare-pinned (bare Pingora without work stealing), earlier,
                       durable (tollgate with durability = \"power\"),
                       beside-syncs (tollgate while the disk is synced beside it as often as durable does),
                       watched (tollgate that also limits, traces and logs),
                       translated (tollgate whose clients speak Anthropic's dialect, and whose upstream speaks OpenAI's),
                       secured (tollgate whose upstream speaks TLS: another tollgate), secured-http2
  --streams A,B        idle streams open while memory is read; 0: none [500,1000]
  --console-rows N     records in the ledger of a gateway whose console is read while it has a steady load;
                       0: not measured [0]
  --overload N         times as many requests as there is room for, beside half as many; 0: not measured [0]
  --at-least R         fail if Tollgate has less than this share of bare Pingora's JSON or SSE requests/s
  --tollgate PATH      the binary [the one that cargo built]
  --earlier PATH       another build, to measure beside it as `earlier`
  --keep               keep the folder with configs, logs and ledger, and say where it is";

/// What to measure.
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) connections: Vec<usize>,
    pub(crate) cases: Vec<Case>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) streams: Vec<usize>,
    pub(crate) console_rows: usize,
    pub(crate) overload: u32,
    pub(crate) at_least: Option<f64>,
    pub(crate) tollgate: PathBuf,
    pub(crate) earlier: Option<PathBuf>,
    pub(crate) keep: bool,
}

impl Options {
    /// Reads the command line; `None`: there is nothing to measure (`--help`, or `cargo test` looks whether it runs).
    pub(crate) fn parse(arguments: &[String]) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            rounds: 5,
            duration: Duration::from_millis(1500),
            connections: vec![32, 1],
            cases: CASES.iter().map(|case| case.0).collect(),
            kinds: vec![Kind::Nginx, Kind::Bare, Kind::Tollgate],
            streams: vec![500, 1000],
            console_rows: 0,
            overload: 0,
            at_least: None,
            tollgate: env!("CARGO_BIN_EXE_tollgate").into(),
            earlier: None,
            keep: false,
        };
        let mut measure = false;
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                // What `cargo bench` says, and `cargo test` does not.
                "--bench" => measure = true,
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.duration = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--connections" => options.connections = list(value()?, |word| word.parse().ok())?,
                "--cases" => options.cases = list(value()?, case)?,
                "--proxies" => options.kinds = list(value()?, Kind::parse)?,
                "--streams" => options.streams = list(value()?, |word| word.parse().ok())?,
                "--console-rows" => options.console_rows = value()?.parse()?,
                "--overload" => options.overload = value()?.parse()?,
                "--at-least" => options.at_least = Some(value()?.parse()?),
                "--tollgate" => options.tollgate = value()?.into(),
                "--earlier" => options.earlier = Some(value()?.into()),
                "--keep" => options.keep = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {name}\n{HELP}").into()),
            }
        }
        options.streams.retain(|streams| *streams > 0);
        if options.rounds == 0 || options.duration.is_zero() || options.connections.contains(&0) {
            return Err("rounds, seconds and connections are at least 1".into());
        }
        Ok(measure.then_some(options))
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Failure> {
    text.split(',').map(|word| read(word).ok_or_else(|| format!("{word}: not known\n{HELP}").into())).collect()
}

fn case(word: &str) -> Option<Case> {
    CASES.iter().find(|case| case.1 == word).map(|case| case.0)
}

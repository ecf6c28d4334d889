//! What is printed: Markdown tables that can be read as they are.

use crate::kinds::Kind;
use std::fmt::Write;

/// One round of one proxy.
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    /// Of the proxy's processes, per answer, in all.
    pub(crate) cpu_us: f64,
    /// Of this, after the load had ended.
    pub(crate) cpu_later_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The rounds of each proxy.
pub(crate) type Samples = Vec<(Kind, Vec<Sample>)>;

/// Resident memory of one process without and with open streams, and when these are closed.
pub(crate) struct Memory {
    pub(crate) kind: Kind,
    pub(crate) streams: usize,
    pub(crate) before_kib: u64,
    pub(crate) open_kib: u64,
    pub(crate) after_kib: u64,
}

/// Answers at a steady rate.
pub(crate) struct Steady {
    pub(crate) title: &'static str,
    pub(crate) answers: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => (values[length / 2 - 1] + values[length / 2]) / 2.0,
    }
}

fn of(samples: &Samples, kind: Kind) -> Option<&[Sample]> {
    samples.iter().find(|row| row.0 == kind).map(|row| row.1.as_slice())
}

/// One thing of one as a share of the other's: the median over pairs of neighbouring rounds.
fn share_of(samples: &Samples, one: Kind, other: Kind, value: fn(&Sample) -> f64) -> Option<f64> {
    let (one, other) = (of(samples, one)?, of(samples, other)?);
    Some(median(one.iter().zip(other).map(|(one, other)| value(one) / value(other))))
}

/// Requests/s of one as a share of the other's.
pub(crate) fn ratio(samples: &Samples, one: Kind, other: Kind) -> Option<f64> {
    share_of(samples, one, other, |sample| sample.requests_per_second)
}

/// What the others are compared with, and how a column says so.
const REFERENCES: [(Kind, &str); 4] =
    [(Kind::Bare, "of bare"), (Kind::Nginx, "of nginx"), (Kind::Envoy, "of Envoy"), (Kind::Tollgate, "of Tollgate")];

/// One case with one number of connections.
pub(crate) fn table(title: &str, samples: &Samples) -> String {
    let references: Vec<_> = REFERENCES.iter().filter(|(kind, _)| of(samples, *kind).is_some()).collect();
    let mut head = vec![title.to_owned(), "requests/s".into()];
    head.extend(references.iter().map(|(_, title)| (*title).to_owned()));
    head.extend(["CPU µs/request", "CPU of Tollgate", "of it later", "p50 µs", "p99 µs"].map(String::from));
    let mut rows = vec![head];
    for (kind, rounds) in samples {
        let shown = |share: Option<f64>| share.map_or("–".into(), |share| format!("{share:.2}"));
        let middle = |value: fn(&Sample) -> f64| median(rounds.iter().map(value));
        let mut row = vec![kind.title().to_owned(), format!("{:.0}", middle(|sample| sample.requests_per_second))];
        row.extend(references.iter().map(|(other, _)| shown(ratio(samples, *kind, *other))));
        row.extend([
            format!("{:.1}", middle(|sample| sample.cpu_us)),
            shown(share_of(samples, *kind, Kind::Tollgate, |sample| sample.cpu_us)),
            format!("{:.1}", middle(|sample| sample.cpu_later_us)),
            format!("{:.0}", middle(|sample| sample.p50_us)),
            format!("{:.0}", middle(|sample| sample.p99_us)),
        ]);
        rows.push(row);
    }
    markdown(&rows)
}

/// The idle streams.
pub(crate) fn memory(rows: &[Memory]) -> String {
    let head =
        ["Idle SSE streams", "open", "resident before, MiB", "while open, MiB", "KiB a stream", "when closed, MiB"];
    let mut cells = vec![head.map(String::from).to_vec()];
    for row in rows {
        let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        let each = (row.open_kib as f64 - row.before_kib as f64) / row.streams as f64;
        let title = row.kind.title().into();
        let (before, open, after) = (mib(row.before_kib), mib(row.open_kib), mib(row.after_kib));
        cells.push(vec![title, row.streams.to_string(), before, open, format!("{each:.1}"), after]);
    }
    markdown(&cells)
}

/// Steady loads, compared with the first of them.
pub(crate) fn steady(title: &str, rows: &[Steady]) -> String {
    let mut cells = vec![[title, "answers", "p50 µs", "p99 µs", "p99 of the first"].map(String::from).to_vec()];
    for row in rows {
        let share = rows.first().map_or(f64::NAN, |first| row.p99_us / first.p99_us);
        let (p50, p99) = (format!("{:.0}", row.p50_us), format!("{:.0}", row.p99_us));
        cells.push(vec![row.title.into(), row.answers.to_string(), p50, p99, format!("{share:.2}")]);
    }
    markdown(&cells)
}

/// The first row is the head; all columns but the first are numbers.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            // Writing to a String cannot fail.
            let _ = if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text.push_str("|\n");
        if at == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = write!(text, "|{}{}", "-".repeat(width + 1), if column == 0 { "-" } else { ":" });
            }
            text.push_str("|\n");
        }
    }
    text
}

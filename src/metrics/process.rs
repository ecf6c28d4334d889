//! The process itself, under the names that Prometheus' client libraries have for it
//! (prometheus.io/docs/instrumenting/writing_clientlibs, "Process metrics").

use super::series::Series;
use parking_lot::Mutex;
use prometheus::{Counter, IntGauge, Result};

/// What a process takes of the machine.
#[derive(Clone, Copy, Debug)]
pub struct ProcessFigures {
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Memory that it has.
    pub resident_bytes: u64,
    /// Memory that it may touch.
    pub virtual_bytes: u64,
    /// Files and connections that are open …
    pub open_files: u64,
    /// … and how many may be; none: any number.
    pub open_files_max: Option<u64>,
    /// Threads that run.
    pub threads: u64,
    /// When it began, in seconds since 1970.
    pub started_at_s: u64,
}

/// Their series, which are there as soon as there is something to show.
pub(super) struct ProcessSeries {
    cpu_seconds: Counter,
    resident_bytes: IntGauge,
    virtual_bytes: IntGauge,
    open_files: IntGauge,
    open_files_max: IntGauge,
    threads: IntGauge,
    started_at_s: IntGauge,
    /// Two pages at once would add the same seconds twice.
    showing: Mutex<()>,
}

impl ProcessSeries {
    pub(super) fn new(series: &Series<'_>) -> Result<Self> {
        Ok(Self {
            cpu_seconds: series.float_counter("process_cpu_seconds_total", "Processor time of the process.")?,
            resident_bytes: series.gauge("process_resident_memory_bytes", "Memory that the process has.")?,
            virtual_bytes: series.gauge("process_virtual_memory_bytes", "Memory that the process may touch.")?,
            open_files: series.gauge("process_open_fds", "Files and connections that are open.")?,
            open_files_max: series.gauge("process_max_fds", "Files and connections that may be open.")?,
            threads: series.gauge("process_threads", "Threads of the process.")?,
            started_at_s: series.gauge("process_start_time_seconds", "When the process began, since 1970.")?,
            showing: Mutex::default(),
        })
    }

    pub(super) fn show(&self, figures: &ProcessFigures) {
        let _showing = self.showing.lock();
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        self.cpu_seconds.inc_by((figures.cpu_seconds - self.cpu_seconds.get()).max(0.0));
        set(&self.resident_bytes, figures.resident_bytes);
        set(&self.virtual_bytes, figures.virtual_bytes);
        set(&self.open_files, figures.open_files);
        set(&self.open_files_max, figures.open_files_max.unwrap_or(u64::MAX));
        set(&self.threads, figures.threads);
        set(&self.started_at_s, figures.started_at_s);
    }
}

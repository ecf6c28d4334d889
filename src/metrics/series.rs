//! Makes series, and registers them.

use prometheus::{Counter, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};

/// See the module.
pub(super) struct Series<'a> {
    pub(super) registry: &'a Registry,
}

impl Series<'_> {
    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec> {
        let series = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    pub(super) fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        let series = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        let series = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        let series = IntGauge::new(name, help)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }

    /// A sum that is no whole number.
    pub(super) fn float_counter(&self, name: &str, help: &str) -> Result<Counter> {
        let series = Counter::new(name, help)?;
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }
}

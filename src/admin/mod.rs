//! What operators' programs read: the metrics page.

mod metrics_page;

pub use metrics_page::MetricsPage;

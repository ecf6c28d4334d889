//! What operators' programs read, and the console, in which operators change things.

#[allow(dead_code, reason = "more endpoints are to come")]
mod console;
mod metrics_page;

pub use console::{FirstAdmin, console, first_admin};
pub use metrics_page::MetricsPage;

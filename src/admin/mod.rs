//! What operators' programs read, and the console, in which operators change things.

mod console;
mod metrics_page;

pub use console::{FirstAdmin, console, first_admin, reset_password};
pub use metrics_page::MetricsPage;

//! THE list of built-in plugins, in the order in which they act: from where one may call; cross-origin answers, because
//! preflights carry no credential; then who calls, where that is shown by other means than a key first; then what they may
//! take. What only looks on comes last.
//!
//! A program that has Tollgate as a library adds its own, which act after these. A plugin of one's own, in a binary that is
//! Tollgate otherwise:
//!
//! ```no_run
//! use async_trait::async_trait;
//! use std::sync::Arc;
//! use tollgate_plugin_api::{
//!     Flow, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead, Settings,
//! };
//!
//! /// Refuses whoever does not say which team pays: `[plugins.team]`, `teams = ["search", "ads"]`.
//! struct Team(Vec<String>);
//!
//! #[async_trait]
//! impl Plugin for Team {
//!     fn name(&self) -> &'static str {
//!         "team"
//!     }
//!
//!     fn phases(&self) -> Phases {
//!         Phases { request: true, ..Phases::default() }
//!     }
//!
//!     async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
//!         let said = head.headers.get("x-team").and_then(|value| value.to_str().ok());
//!         match said {
//!             Some(team) if self.0.iter().any(|known| known == team) => Ok(Flow::Continue),
//!             _ => Err(Reject::new(RejectCode::Forbidden).message("Say which team pays: `x-team`")),
//!         }
//!     }
//! }
//!
//! fn build(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
//!     let mistakes = Mistakes::default();
//!     let settings = Settings::open(&table, &["teams"], &mistakes);
//!     settings.must_have("teams", "an array of names");
//!     let teams = settings.texts("teams", "names", |name| Ok(name.to_owned()));
//!     mistakes.into_result()?;
//!     Ok(Arc::new(Team(teams)))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     tollgate::plugins::add(PluginRow { name: "team", always: false, paths: &[], build });
//!     tollgate::cli::main().into()
//! }
//! ```

use parking_lot::RwLock;
use tollgate_plugin_api::PluginRow;

/// Every built-in plugin.
pub const PLUGINS: &[PluginRow] = &[
    tollgate_ip_allow::PLUGIN,
    tollgate_cors::PLUGIN,
    tollgate_auth_jwt::PLUGIN,
    tollgate_auth_siwe::PLUGIN,
    tollgate_auth_key::PLUGIN,
    tollgate_rate_limit::PLUGIN,
    tollgate_access_log::PLUGIN,
    tollgate_otlp::PLUGIN,
];

/// What a program has added.
static ADDED: RwLock<Vec<PluginRow>> = RwLock::new(Vec::new());

/// Adds a plugin to this process, behind the others. To be called before a configuration is read.
///
/// # Panics
/// There is one of this name already: a mistake in the program.
pub fn add(row: PluginRow) {
    assert!(!names().contains(&row.name), "a second plugin `{}`", row.name);
    ADDED.write().push(row);
}

/// All plugins, in order.
pub fn all() -> Vec<PluginRow> {
    PLUGINS.iter().chain(ADDED.read().iter()).copied().collect()
}

/// Their names, for the configuration's checks.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|row| row.name).collect()
}

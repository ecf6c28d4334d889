//! THE list of built-in plugins, in the order in which they act: cross-origin answers first, because preflights carry no
//! credential; then who calls; then what they may take.

use tollgate_plugin_api::PluginRow;

/// Every built-in plugin.
pub const PLUGINS: &[PluginRow] = &[tollgate_cors::PLUGIN, tollgate_auth_key::PLUGIN, tollgate_rate_limit::PLUGIN];

/// Their names, for the configuration's checks.
pub fn names() -> Vec<&'static str> {
    PLUGINS.iter().map(|row| row.name).collect()
}

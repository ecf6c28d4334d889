//! THE list of built-in plugins, in the order in which they act: from where one may call; cross-origin answers, because
//! preflights carry no credential; then who calls. What only looks on comes last.

use tollgate_plugin_api::PluginRow;

/// Every built-in plugin.
pub const PLUGINS: &[PluginRow] =
    &[tollgate_ip_allow::PLUGIN, tollgate_cors::PLUGIN, tollgate_auth_key::PLUGIN, tollgate_access_log::PLUGIN];

/// The keys of their tables that are paths, by plugin: relative ones start from the config file's folder.
pub const PATHS: &[(&str, &str)] = &[("access-log", "path")];

/// Their names, for the configuration's checks.
pub fn names() -> Vec<&'static str> {
    PLUGINS.iter().map(|row| row.name).collect()
}

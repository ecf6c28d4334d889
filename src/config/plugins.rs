//! The plugins that a configuration asks for, made from their tables; and what is wrong with these, each at its place.

use super::{Config, ConfigError};
use std::collections::BTreeSet;
use std::sync::Arc;
use tollgate_plugin_api::{Mistake, Plugin, Ports};

impl Config {
    /// Every plugin that is to act, in order, and everything that is wrong with their tables.
    pub(super) fn build_plugins(&self, ports: &Ports) -> (Vec<Arc<dyn Plugin>>, Vec<ConfigError>) {
        self.build_plugins_on(&Ports { upstreams: Some(Arc::new(self.upstream_names())), ..ports.clone() })
    }

    /// What is wrong with their tables in a file that has other mistakes. `are_upstreams_whole`: every upstream could be read.
    pub(super) fn plugin_errors(&self, are_upstreams_whole: bool) -> Vec<ConfigError> {
        let upstreams = are_upstreams_whole.then(|| Arc::new(self.upstream_names()));
        self.build_plugins_on(&Ports { upstreams, ..Ports::to_nothing() }).1
    }

    fn upstream_names(&self) -> BTreeSet<String> {
        self.upstreams.iter().map(|upstream| upstream.name.clone()).collect()
    }

    fn build_plugins_on(&self, ports: &Ports) -> (Vec<Arc<dyn Plugin>>, Vec<ConfigError>) {
        let (mut plugins, mut errors) = (Vec::new(), Vec::new());
        for row in crate::plugins::all() {
            let table = self.plugins.get(row.name);
            if table.is_none() && !row.always {
                continue;
            }
            match (row.build)(table.cloned().unwrap_or_default(), ports) {
                Ok(plugin) => plugins.push(plugin),
                Err(mistakes) => {
                    errors.extend(mistakes.into_list().iter().map(|mistake| self.plugin_error(row.name, mistake)))
                }
            }
        }
        (plugins, errors)
    }

    fn plugin_error(&self, name: &str, mistake: &Mistake) -> ConfigError {
        let table = tollgate_plugin_api::join("plugins", name);
        let key = if mistake.key.is_empty() { table } else { format!("{table}.{}", mistake.key) };
        match mistake.is_key {
            true => self.positions.error_at_key(&key, &*mistake.message),
            false => self.positions.error(&key, &*mistake.message),
        }
    }
}

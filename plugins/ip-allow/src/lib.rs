//! Admits only callers from the configured networks, before their credential is looked at. `server.trusted_proxies` decides
//! who the caller is: behind a proxy that is not trusted, it is the proxy.

use async_trait::async_trait;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_plugin_api::{
    Flow, Mistakes, Network, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead, Settings,
};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "ip-allow", always: false, paths: &[], build };

/// The most networks of one list: each request is compared with all of them.
const NETWORKS_MAX: usize = 1_000;

/// `[plugins.ip-allow]`: `10.0.0.0/8`, `2001:db8::/32`, or one address.
const KEYS: &[&str] = &["networks"];

fn build(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    const OF: &str = "networks, as in `[\"10.0.0.0/8\"]`";
    let mistakes = Mistakes::default();
    let settings = Settings::open(&table, KEYS, &mistakes);
    settings.must_have("networks", &format!("an array of {OF}"));
    match settings.list("networks", OF).len() {
        0 if settings.get("networks").is_some_and(toml::Value::is_array) => {
            settings.wrong("networks", "is empty, so nobody could call; expected at least one network");
        }
        count if count > NETWORKS_MAX => {
            settings.wrong("networks", format!("has too many entries, expected at most {NETWORKS_MAX}"));
        }
        _ => {}
    }
    let networks = settings.texts("networks", OF, |text| {
        Network::parse(text).map_err(|message| format!("{message}, expected a network such as `10.0.0.0/8`"))
    });
    mistakes.into_result()?;
    Ok(Arc::new(IpAllow { networks }))
}

struct IpAllow {
    networks: Vec<Network>,
}

impl IpAllow {
    fn lets_in(&self, client: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(client))
    }
}

#[async_trait]
impl Plugin for IpAllow {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { request: true, console: true, ..Phases::default() }
    }

    /// Refuses whoever comes from elsewhere, and whoever has no address at all.
    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        if head.client.is_some_and(|client| self.lets_in(client)) {
            return Ok(Flow::Continue);
        }
        Err(Reject::new(RejectCode::Forbidden).message("Requests from this address are not allowed"))
    }
}

#[cfg(test)]
mod tests;

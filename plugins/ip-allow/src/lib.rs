//! Lets in only callers from the networks that the configuration names, before anybody looks at their credential. Who the
//! caller is, `server.trusted_proxies` decides: behind a proxy that is not trusted, it is the proxy.

use async_trait::async_trait;
use std::net::IpAddr;
use std::sync::Arc;
use tollgate_plugin_api::{Flow, Network, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "ip-allow", always: false, build };

/// The most networks of one list: each request is compared with all of them.
const NETWORKS_MAX: usize = 1_000;

/// `[plugins.ip-allow]`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    networks: Vec<String>,
}

fn build(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, String> {
    let settings: Settings = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    match settings.networks.len() {
        0 => return Err("networks: is empty, so nobody could call; expected at least one network".into()),
        count if count > NETWORKS_MAX => {
            return Err(format!("networks: has too many entries, expected at most {NETWORKS_MAX}"));
        }
        _ => {}
    }
    let read = |(index, text): (usize, &String)| {
        Network::parse(text)
            .map_err(|message| format!("networks[{index}]: {message}, expected a network such as `10.0.0.0/8`"))
    };
    let networks = settings.networks.iter().enumerate().map(read).collect::<Result<_, _>>()?;
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

//! Authentication by virtual key: takes the credential from the request, looks its SHA-256 up, and refuses unknown,
//! disabled and expired keys. Always in the chain.

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tollgate_plugin_api::{
    Clock, Flow, KeyRing, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead, Settings,
    credential,
};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "auth-key", always: true, paths: &[], build };

/// `[plugins.auth-key]` takes no keys yet.
fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let mistakes = Mistakes::default();
    Settings::open(&table, &[], &mistakes);
    mistakes.into_result()?;
    Ok(Arc::new(AuthKey { keys: ports.keys.clone(), clock: ports.clock.clone() }))
}

struct AuthKey {
    keys: Arc<dyn KeyRing>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Plugin for AuthKey {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { request: true, ..Phases::default() }
    }

    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        if head.key.is_some() {
            return Ok(Flow::Continue);
        }
        let Some(secret) = credential(head.headers, head.query) else {
            return Err(Reject::new(RejectCode::AuthMissingToken).message(
                "Missing API key: send it as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`",
            ));
        };
        let digest = Sha256::digest(secret.as_ref()).into();
        let handle = self.keys.find(&digest).ok_or(RejectCode::AuthInvalidToken)?;
        handle.check(self.clock.now_ms())?;
        head.key = Some(handle);
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests;

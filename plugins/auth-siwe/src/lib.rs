//! Authentication by wallet (Sign-In with Ethereum, EIP-4361): whoever signs a message of this gateway's nonce with a wallet
//! that the operator has named gets a bearer token for a while, and calls with it as that wallet's key.
//!
//! - `POST /v1/auth/siwe/nonce` gives `{nonce, expires_at}`.
//! - `POST /v1/auth/siwe/verify` takes `{message, signature}` and gives `{token, expires_at}`.

mod address;
mod grammar;
mod message;
mod nonces;
mod session;
mod settings;
mod signature;

use async_trait::async_trait;
use http::{Method, StatusCode};
use jiff::Timestamp;
use message::Message;
use nonces::{NONCE_LIFE_MS, Nonces};
use session::{Session, Sessions};
use settings::Settings;
use std::sync::Arc;
use tollgate_plugin_api::{
    Clock, Flow, KeyHandle, KeyRing, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, Reply,
    RequestHead, credential,
};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "auth-siwe", always: false, paths: &[], build };

const NONCE_PATH: &str = "/v1/auth/siwe/nonce";
const VERIFY_PATH: &str = "/v1/auth/siwe/verify";
/// A message with its signature is no longer.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// Clocks may differ by so much.
const LEEWAY_MS: i64 = 60_000;

fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let (settings, sessions) = settings::read(&table)?;
    ports.keys.index_names();
    let nonces = ports.memory.get::<Nonces>();
    Ok(Arc::new(AuthSiwe { settings, sessions, nonces, keys: ports.keys.clone(), clock: ports.clock.clone() }))
}

struct AuthSiwe {
    settings: Settings,
    sessions: Sessions,
    nonces: Arc<Nonces>,
    keys: Arc<dyn KeyRing>,
    clock: Arc<dyn Clock>,
}

/// What a client sends to log in.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    message: String,
    signature: String,
}

fn invalid(why: &str) -> Reject {
    Reject::new(RejectCode::AuthInvalidToken).message(why)
}

impl AuthSiwe {
    fn give_nonce(&self) -> Result<Reply, Reject> {
        let nonce = self.nonces.make(self.clock.steady_ms()).ok_or_else(|| {
            Reject::new(RejectCode::UpstreamUnavailable).message("No random numbers are available").retry_after_s(1)
        })?;
        let expires_at_ms = self.clock.now_ms().saturating_add(NONCE_LIFE_MS);
        Ok(Reply::json(StatusCode::OK, &serde_json::json!({"nonce": nonce, "expires_at": rfc3339(expires_at_ms)})))
    }

    /// A login: everything about it is checked before its nonce is taken, and then it is one login.
    fn log_in(&self, body: &[u8]) -> Result<Reply, Reject> {
        let login: Login = serde_json::from_slice(body).map_err(|_| {
            Reject::new(RejectCode::InvalidRequest)
                .message("Expected a JSON object with the texts `message` and `signature`, and nothing else")
        })?;
        let message = Message::read(&login.message)
            .map_err(|wrong| Reject::new(RejectCode::InvalidRequest).message(wrong).param("message"))?;
        let now_ms = self.clock.now_ms();
        self.check_place(&message)?;
        check_times(&message, now_ms)?;
        let steady_ms = self.clock.steady_ms();
        let nonce = self.nonces.read(message.nonce, steady_ms);
        let nonce = nonce.ok_or_else(|| invalid("The nonce is unknown to this gateway, or has expired"))?;
        if signature::signer(&login.message, &login.signature) != Some(message.address) {
            return Err(invalid("The signature is not that of the message's address"));
        }
        // From here on it is told to whom it concerns.
        let name = self
            .settings
            .wallets
            .get(&message.address)
            .ok_or_else(|| Reject::new(RejectCode::Forbidden).message("This wallet is not configured here"))?;
        self.key(name, now_ms)?;
        self.nonces.take(nonce, message.address, steady_ms)?;
        let ends_at_ms = now_ms.saturating_add(self.settings.session_ms);
        let expires_at_s = message.expires_at_ms.map_or(ends_at_ms, |at| at.min(ends_at_ms)).div_euclid(1000);
        let token = self.sessions.issue(&Session { address: message.address, expires_at_s }).ok_or_else(|| {
            Reject::new(RejectCode::UpstreamUnavailable).message("No random numbers are available").retry_after_s(1)
        })?;
        let expires_at = rfc3339(expires_at_s.saturating_mul(1000));
        Ok(Reply::json(StatusCode::OK, &serde_json::json!({"token": token, "expires_at": expires_at})))
    }

    /// Whether the message was signed for this gateway.
    fn check_place(&self, message: &Message<'_>) -> Result<(), Reject> {
        let settings = &self.settings;
        let scheme = settings.uri.split_once("://").map(|(scheme, _)| scheme);
        if message.domain != settings.domain || (message.scheme.is_some() && message.scheme != scheme) {
            return Err(invalid("The message is for another domain"));
        }
        // At the configured place, or below it.
        let below = message.uri.strip_prefix(settings.uri.as_str());
        if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            return Err(invalid("The message is for another URI"));
        }
        if !settings.chain_ids.contains(&message.chain_id) {
            return Err(invalid("The message is for another chain"));
        }
        Ok(())
    }

    fn key(&self, name: &str, now_ms: i64) -> Result<Arc<dyn KeyHandle>, Reject> {
        let handle = self
            .keys
            .find_by_name(name)
            .ok_or_else(|| invalid("The wallet's key no longer exists, or its user has renamed it"))?;
        handle.check(now_ms)?;
        Ok(handle)
    }
}

fn check_times(message: &Message<'_>, now_ms: i64) -> Result<(), Reject> {
    let latest_ms = now_ms.saturating_add(LEEWAY_MS);
    if message.issued_at_ms > latest_ms {
        return Err(invalid("The message was issued in the future"));
    }
    if message.not_before_ms.is_some_and(|at| at > latest_ms) {
        return Err(invalid("The message is not valid yet"));
    }
    let oldest_ms = now_ms.saturating_sub(NONCE_LIFE_MS + LEEWAY_MS);
    if message.issued_at_ms < oldest_ms || message.expires_at_ms.is_some_and(|at| at <= now_ms) {
        return Err(RejectCode::TokenExpired.into());
    }
    Ok(())
}

fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

#[async_trait]
impl Plugin for AuthSiwe {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { request: true, ..Phases::default() }
    }

    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        if matches!(head.path, NONCE_PATH | VERIFY_PATH) {
            if *head.method == Method::POST {
                return Ok(Flow::TakeBody { bytes_max: BODY_BYTES_MAX });
            }
            return Err(Reject::new(RejectCode::NotFound).message("This path takes POST"));
        }
        let shown = credential(head.headers, head.query).filter(|shown| session::looks_like_one(shown));
        let (None, Some(shown)) = (&head.key, shown) else { return Ok(Flow::Continue) };
        let session = self.sessions.read(&shown).ok_or(RejectCode::AuthInvalidToken)?;
        let now_ms = self.clock.now_ms();
        if session.expires_at_s.saturating_mul(1000) <= now_ms {
            return Err(RejectCode::TokenExpired.into());
        }
        // A wallet that was taken out of the list is out, whatever it was given.
        let name = self.settings.wallets.get(&session.address).ok_or(RejectCode::AuthInvalidToken)?;
        head.key = Some(self.key(name, now_ms)?);
        Ok(Flow::Continue)
    }

    async fn answer(&self, request: &RequestHead<'_>, body: &[u8]) -> Result<Reply, Reject> {
        if request.path == VERIFY_PATH { self.log_in(body) } else { self.give_nonce() }
    }
}

#[cfg(test)]
mod tests;

//! Authentication by a signed token (JWT, RFC 7519) of the operator's identity provider. A token that is valid, in time and
//! meant for this gateway calls as the key that one of its claims names. Any other credential goes on to `auth-key`.
//!
//! Signatures are checked by ring; claims are read here, as strictly as RFC 8725 asks. Nothing in a token is followed before
//! it is trusted: no address, no algorithm that is not configured, no key of another type than its algorithm's.

mod algorithm;
mod claims;
mod members;
mod set;
mod settings;
mod source;
mod token;

use algorithm::Algorithm;
use async_trait::async_trait;
use claims::Expected;
use ring::hmac;
use source::Source;
use std::sync::Arc;
use token::Token;
use tollgate_plugin_api::{
    Clock, Flow, KeyRing, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, RejectCode, RequestHead, credential,
};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "auth-jwt", always: false, paths: &["jwks_file"], build };

/// A token that comes before its issuer's keys may come again after so long.
const RETRY_AFTER_S: u64 = 1;

fn build(table: toml::Table, ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let settings = settings::read(&table)?;
    let source = settings.place.map(|place| Source::start(place, settings.refresh, &ports.memory)).transpose()?;
    ports.keys.index_names();
    Ok(Arc::new(AuthJwt {
        algorithms: settings.algorithms,
        secret: settings.secret,
        source,
        expected: settings.expected,
        keys: ports.keys.clone(),
        clock: ports.clock.clone(),
    }))
}

struct AuthJwt {
    algorithms: Vec<Algorithm>,
    /// What HS256 is checked with.
    secret: Option<hmac::Key>,
    /// Where the public keys of the others come from.
    source: Option<Source>,
    expected: Expected,
    keys: Arc<dyn KeyRing>,
    clock: Arc<dyn Clock>,
}

impl AuthJwt {
    /// What the token says, once its signature is known to be its issuer's.
    fn verify(&self, token: &Token<'_>) -> Result<(), Reject> {
        let algorithm = self.algorithms.iter().find(|known| known.name() == token.algorithm);
        let is_sound = match algorithm.ok_or_else(token::invalid)? {
            Algorithm::Hs256 => {
                let secret = self.secret.as_ref().ok_or_else(token::invalid)?;
                hmac::verify(secret, token.signed, &token.signature).is_ok()
            }
            public => {
                let source = self.source.as_ref().ok_or_else(token::invalid)?;
                let set = source.set().ok_or_else(|| {
                    Reject::new(RejectCode::UpstreamUnavailable)
                        .message("Tokens cannot be checked yet: the issuer's keys have not been read")
                        .retry_after_s(RETRY_AFTER_S)
                })?;
                let Some(key) = set.find(*public, token.key_id.as_deref()) else {
                    // There may be a new one. This request does not wait for it.
                    source.ask();
                    return Err(token::invalid());
                };
                key.has_signed(token.signed, &token.signature)
            }
        };
        is_sound.then_some(()).ok_or_else(token::invalid)
    }
}

#[async_trait]
impl Plugin for AuthJwt {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { request: true, ..Phases::default() }
    }

    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        let shown = credential(head.headers, head.query).filter(|shown| token::looks_like_one(shown));
        let (None, Some(shown)) = (&head.key, shown) else { return Ok(Flow::Continue) };
        let token = Token::read(&shown)?;
        self.verify(&token)?;
        let now_ms = self.clock.now_ms();
        let name = self.expected.key_name(&token.claims()?, now_ms)?;
        let handle = self
            .keys
            .find_by_name(&name)
            .ok_or_else(|| claims::refusal("it names no key, or a name that no operator has given"))?;
        handle.check(now_ms)?;
        head.key = Some(handle);
        Ok(Flow::Continue)
    }
}

#[cfg(test)]
mod tests;

//! What a token must claim, whose signature is right (RFC 7519, 4.1).

use crate::members::Members;
use serde_json::Value;
use tollgate_plugin_api::{Reject, RejectCode};

/// Why a token of the issuer's own is refused; never with a value out of it.
pub(crate) fn refusal(why: &str) -> Reject {
    Reject::new(RejectCode::AuthInvalidToken).message(format!("Invalid token: {why}"))
}

/// What is configured.
pub(crate) struct Expected {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// The claim that names the key.
    pub(crate) key_claim: String,
    /// Clocks may differ by so much.
    pub(crate) leeway_s: u32,
}

impl Expected {
    /// The name of the key as which the bearer calls.
    ///
    /// # Errors
    /// It is another issuer's, for another audience, not valid yet or no more (`TOKEN_EXPIRED`), or names no key.
    pub(crate) fn key_name(&self, claims: &Members, now_ms: i64) -> Result<String, Reject> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(refusal("it is of another issuer"));
        }
        if !self.is_for_us(claims.get("aud")) {
            return Err(refusal("it is for another audience"));
        }
        let (now_s, leeway_s) = (now_ms as f64 / 1000.0, f64::from(self.leeway_s));
        for name in ["nbf", "iat"] {
            let begins = claims.get(name).map(|value| seconds(value).ok_or(name)).transpose();
            let begins = begins.map_err(|name| refusal(&format!("its `{name}` is no time")))?;
            if begins.is_some_and(|at| at > now_s + leeway_s) {
                return Err(refusal("it is not valid yet"));
            }
        }
        let ends = claims.get("exp").and_then(seconds).ok_or_else(|| refusal("its `exp` is missing, or is no time"))?;
        if ends <= now_s - leeway_s {
            return Err(RejectCode::TokenExpired.into());
        }
        let name = claims.get(&self.key_claim).and_then(Value::as_str).filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| refusal("it names no key"))
    }

    /// One name, or a list with ours in it.
    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        match audience {
            Some(Value::String(name)) => *name == self.audience,
            Some(Value::Array(names)) => {
                names.iter().all(Value::is_string) && names.iter().any(|name| *name == *self.audience)
            }
            _ => false,
        }
    }
}

/// Seconds since 1970, with or without a fraction.
fn seconds(value: &Value) -> Option<f64> {
    value.as_f64().filter(|seconds| seconds.is_finite())
}

//! A token as it comes: three parts in Base64 (RFC 7515, 7.1). Nothing in it is believed before its signature is checked, and
//! whoever cannot sign learns nothing but that it is not accepted.

use crate::members::Members;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tollgate_plugin_api::{Reject, RejectCode};

/// A token is no longer.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The media types of tokens that say who may call: what is signed for another purpose by the same issuer (a logout, a security
/// event, a proof of possession) says another one.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
const TYPE_PREFIX: &str = "application/";

/// Refused, without saying why.
pub(crate) fn invalid() -> Reject {
    Reject::new(RejectCode::AuthInvalidToken).message("Invalid token")
}

/// Whether a credential is to be read as a token. Keys of ours have no dots.
pub(crate) fn looks_like_one(credential: &[u8]) -> bool {
    credential.iter().filter(|byte| **byte == b'.').count() == 2
}

/// A token whose form is right; whose it is, is another question.
pub(crate) struct Token<'a> {
    pub(crate) algorithm: String,
    pub(crate) key_id: Option<String>,
    /// What the signature is of.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    payload: Vec<u8>,
}

impl<'a> Token<'a> {
    /// # Errors
    /// It is not of the form, or asks for what is not understood.
    pub(crate) fn read(token: &'a [u8]) -> Result<Self, Reject> {
        Self::parts(token).ok_or_else(invalid)
    }

    fn parts(token: &'a [u8]) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut dots = token.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let (first, second) = (dots.next()?, dots.next()?);
        let decoded = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty());
        let header = Members::read(&decoded(&token[..first])?)?;
        // What must be understood to be obeyed is not; and without `crit`, a payload that is not encoded is not one either.
        if header.get("crit").is_some() || header.get("b64").is_some() || !has_right_type(&header) {
            return None;
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        Some(Self {
            algorithm: header.get("alg")?.as_str()?.to_owned(),
            key_id,
            signed: &token[..second],
            signature: decoded(&token[second + 1..])?,
            payload: decoded(&token[first + 1..second])?,
        })
    }

    /// What it claims. To be asked for when the signature is known to be right.
    ///
    /// # Errors
    /// It is no JSON object.
    pub(crate) fn claims(&self) -> Result<Members, Reject> {
        Members::read(&self.payload).ok_or_else(invalid)
    }
}

fn has_right_type(header: &Members) -> bool {
    let is_right = |value: &Value| {
        let Some(name) = value.as_str().map(str::to_ascii_lowercase) else { return false };
        TYPES.contains(&name.strip_prefix(TYPE_PREFIX).unwrap_or(&name))
    };
    header.get("typ").is_none_or(is_right)
}

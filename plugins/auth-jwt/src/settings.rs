//! `[plugins.auth-jwt]`, read and checked.

use crate::algorithm::Algorithm;
use crate::claims::Expected;
use crate::source::Place;
use ring::hmac;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;

/// The shortest secret: as long as what it makes (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
const LEEWAY_S_DEFAULT: u32 = 60;
const LEEWAY_S_MAX: u32 = 600;
const REFRESH_S_DEFAULT: u32 = 300;
const REFRESH_S_MAX: u32 = 86_400;
const KEY_CLAIM_DEFAULT: &str = "sub";

/// What may stand there. The values are looked at one by one, so that an error says which, and never repeats a secret.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// `iss`, exactly.
    issuer: Option<Value>,
    /// What `aud` must be, or have in its list.
    audience: Option<Value>,
    algorithms: Option<Value>,
    /// HS256.
    secret: Option<Value>,
    /// RS256 and ES256: where the issuer's public keys are …
    jwks_url: Option<Value>,
    /// … or the file that has them.
    jwks_file: Option<Value>,
    /// How often they are read again.
    jwks_refresh_s: Option<Value>,
    /// The claim that has the key's name.
    key_claim: Option<Value>,
    leeway_s: Option<Value>,
}

/// What is made of it.
pub(crate) struct Settings {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) secret: Option<hmac::Key>,
    pub(crate) place: Option<Place>,
    pub(crate) refresh: Duration,
    pub(crate) expected: Expected,
}

/// # Errors
/// Which key is wrong, and what was expected.
pub(crate) fn read(table: toml::Table) -> Result<Settings, String> {
    let table: Table = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let algorithms = algorithms(table.algorithms)?;
    let is_shared = algorithms.contains(&Algorithm::Hs256);
    let is_public = algorithms.iter().any(|algorithm| *algorithm != Algorithm::Hs256);
    let secret = table.secret.as_ref().map(secret).transpose()?;
    match (&secret, is_shared) {
        (None, true) => return Err(format!("secret: missing, expected at least {SECRET_BYTES_MIN} bytes for HS256")),
        (Some(_), false) => return Err("secret: without use, expected HS256 among `algorithms`".to_owned()),
        _ => {}
    }
    let place = match (table.jwks_url, table.jwks_file) {
        (Some(_), Some(_)) => return Err("jwks_url: expected one of `jwks_url` and `jwks_file`".to_owned()),
        (Some(url), None) => Some(Place::url(text(Some(url), "jwks_url", "the address of a JWK set")?)?),
        (None, Some(file)) => Some(Place::File(PathBuf::from(text(Some(file), "jwks_file", "the path of a JWK set")?))),
        (None, None) => None,
    };
    match (&place, is_public) {
        (None, true) => return Err("jwks_url: missing, expected it or `jwks_file` for RS256 and ES256".to_owned()),
        (Some(place), false) => {
            return Err(format!("{}: without use, expected RS256 or ES256 among `algorithms`", place.key()));
        }
        _ => {}
    }
    let key_claim = table.key_claim.unwrap_or_else(|| KEY_CLAIM_DEFAULT.into());
    let expected = Expected {
        issuer: text(table.issuer, "issuer", "the `iss` of its tokens")?,
        audience: text(table.audience, "audience", "what stands for this gateway in `aud`")?,
        key_claim: text(Some(key_claim), "key_claim", "the name of a claim")?,
        leeway_s: number(table.leeway_s, "leeway_s", LEEWAY_S_DEFAULT, 0, LEEWAY_S_MAX)?,
    };
    let refresh_s = number(table.jwks_refresh_s, "jwks_refresh_s", REFRESH_S_DEFAULT, 1, REFRESH_S_MAX)?;
    Ok(Settings { algorithms, secret, place, refresh: Duration::from_secs(refresh_s.into()), expected })
}

fn algorithms(value: Option<Value>) -> Result<Vec<Algorithm>, String> {
    let known = Algorithm::ALL.map(Algorithm::name).join(", ");
    let wrong = || format!("algorithms: expected a list of {known}");
    let value = value.ok_or_else(|| format!("algorithms: missing, expected a list of {known}"))?;
    let names = value.as_array().filter(|names| !names.is_empty()).ok_or_else(wrong)?;
    let named = |name: &Value| Algorithm::ALL.into_iter().find(|known| name.as_str() == Some(known.name()));
    names.iter().map(|name| named(name).ok_or_else(wrong)).collect()
}

fn secret(value: &Value) -> Result<hmac::Key, String> {
    let bytes = value.as_str().unwrap_or_default().as_bytes();
    if bytes.len() < SECRET_BYTES_MIN {
        return Err(format!("secret: expected text of at least {SECRET_BYTES_MIN} bytes"));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

fn text(value: Option<Value>, key: &str, expected: &str) -> Result<String, String> {
    match value {
        None => Err(format!("{key}: missing, expected {expected}")),
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(format!("{key}: expected {expected}")),
    }
}

fn number(value: Option<Value>, key: &str, default: u32, min: u32, max: u32) -> Result<u32, String> {
    let Some(value) = value else { return Ok(default) };
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| format!("{key}: expected {min} to {max} seconds"))
}

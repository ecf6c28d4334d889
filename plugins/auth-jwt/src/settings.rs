//! `[plugins.auth-jwt]`, read and checked.

use crate::algorithm::Algorithm;
use crate::claims::Expected;
use crate::source::Place;
use ring::hmac;
use std::path::PathBuf;
use std::time::Duration;
use tollgate_plugin_api::{Mistakes, Settings as Read, did_you_mean, one_of};
use toml::Table;

/// The shortest secret: as long as what it makes (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;
const LEEWAY_S_DEFAULT: u64 = 60;
const LEEWAY_S_MAX: u64 = 600;
const REFRESH_S_DEFAULT: u64 = 300;
const REFRESH_S_MAX: u64 = 86_400;
const SECONDS: &str = " of seconds";
const KEY_CLAIM_DEFAULT: &str = "sub";

/// What may stand there.
const KEYS: &[&str] = &[
    // `iss`, exactly.
    "issuer",
    // What `aud` must be, or have in its list.
    "audience",
    "algorithms",
    // HS256.
    "secret",
    // RS256 and ES256: where the issuer's public keys are …
    "jwks_url",
    // … or the file that has them.
    "jwks_file",
    // How often they are read again.
    "jwks_refresh_s",
    // The claim that has the key's name.
    "key_claim",
    "leeway_s",
];

/// What is made of it.
pub(crate) struct Settings {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) secret: Option<hmac::Key>,
    pub(crate) place: Option<Place>,
    pub(crate) refresh: Duration,
    pub(crate) expected: Expected,
}

/// # Errors
/// Which keys are wrong, and what was expected.
pub(crate) fn read(table: &Table) -> Result<Settings, Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Read::open(table, KEYS, &mistakes);
    let algorithms = algorithms(&settings);
    let secret = secret(&settings, algorithms.as_deref());
    let place = place(&settings, algorithms.as_deref());
    let leeway_s = settings.number("leeway_s", SECONDS, 0..=LEEWAY_S_MAX, LEEWAY_S_DEFAULT);
    let expected = Expected {
        issuer: settings.needed_text("issuer", "the `iss` of its tokens").to_owned(),
        audience: settings.needed_text("audience", "this gateway's name in `aud`").to_owned(),
        key_claim: settings.text("key_claim", "the name of a claim").unwrap_or(KEY_CLAIM_DEFAULT).to_owned(),
        leeway_s: u32::try_from(leeway_s).unwrap_or_default(),
    };
    let refresh_s = settings.number("jwks_refresh_s", SECONDS, 1..=REFRESH_S_MAX, REFRESH_S_DEFAULT);
    mistakes.into_result()?;
    let algorithms = algorithms.unwrap_or_default();
    Ok(Settings { algorithms, secret, place, refresh: Duration::from_secs(refresh_s), expected })
}

/// None: they are wrong, and what follows from them is not known.
fn algorithms(settings: &Read<'_>) -> Option<Vec<Algorithm>> {
    let known = || Algorithm::ALL.into_iter().map(Algorithm::name);
    let of = format!("names, each {}", one_of(known()));
    settings.must_have("algorithms", &format!("an array of {of}"));
    let named = |name: &str| {
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| format!("unknown algorithm, expected {}{}", one_of(known()), did_you_mean(name, known())))
    };
    let count = settings.list("algorithms", &of).len();
    let is_list = settings.get("algorithms")?.is_array();
    if is_list && count == 0 {
        settings.wrong("algorithms", format!("is empty, expected {of}"));
    }
    let read = if is_list { settings.texts("algorithms", &of, named) } else { Vec::new() };
    (count > 0 && read.len() == count).then_some(read)
}

fn secret(settings: &Read<'_>, algorithms: Option<&[Algorithm]>) -> Option<hmac::Key> {
    let is_shared = algorithms.map(|all| all.contains(&Algorithm::Hs256));
    let expected = format!("text of at least {SECRET_BYTES_MIN} bytes for HS256");
    match (settings.get("secret").is_some(), is_shared) {
        (false, Some(true)) => settings.must_have("secret", &expected),
        (true, Some(false)) => settings.wrong("secret", "is not used, expected HS256 among `algorithms`"),
        _ => {}
    }
    let bytes = settings.text("secret", &expected)?.as_bytes();
    if bytes.len() < SECRET_BYTES_MIN {
        settings.wrong("secret", format!("is too short, expected {expected}"));
    }
    Some(hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

/// Where the public keys are.
fn place(settings: &Read<'_>, algorithms: Option<&[Algorithm]>) -> Option<Place> {
    let is_public = algorithms.map(|all| all.iter().any(|algorithm| *algorithm != Algorithm::Hs256));
    let url = settings.text("jwks_url", "the address of a JWK set");
    let file = settings.text("jwks_file", "the path of a JWK set");
    let given: Vec<&str> = ["jwks_url", "jwks_file"].into_iter().filter(|key| settings.get(key).is_some()).collect();
    match (given.as_slice(), is_public) {
        ([], Some(true)) => settings.must_have("jwks_url", "it or `jwks_file` for RS256 and ES256"),
        ([key], Some(false)) => settings.wrong(key, "is not used, expected RS256 or ES256 among `algorithms`"),
        ([_, _], _) => settings.wrong("jwks_url", "expected one of `jwks_url` and `jwks_file`"),
        _ => {}
    }
    let url = url.and_then(|url| Place::url(url.to_owned()).map_err(|error| settings.wrong("jwks_url", error)).ok());
    url.or_else(|| {
        let path = PathBuf::from(file?);
        let place = Place::File(path.clone());
        // It is there, or the configuration is wrong.
        place.read().map_err(|error| settings.wrong("jwks_file", format!("{}: {error}", path.display()))).ok()?;
        Some(place)
    })
}

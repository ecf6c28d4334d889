use super::*;
use http::{HeaderMap, HeaderValue, Method};
use tollgate_plugin_api::Key;
use tollgate_plugin_doubles::{self as doubles, Hands, Ring, at_once};

fn key(enabled: bool, expires_at_ms: Option<i64>) -> Key {
    Key { enabled, expires_at_ms, ..doubles::key("k") }
}

/// The plugin's verdict on a request with this credential, at time 1000.
fn verdict(key: Key, credential: Option<&'static str>) -> Result<i64, RejectCode> {
    let keys = Arc::new(Ring::of(Sha256::digest(b"sk-tg-right").into(), key));
    let ports = Ports { keys, clock: Arc::new(Hands::at(1000)), ..Ports::to_nothing() };
    let plugin = build(toml::Table::new(), &ports).unwrap();
    let mut headers = HeaderMap::new();
    if let Some(credential) = credential {
        headers.insert("x-api-key", HeaderValue::from_static(credential));
    }
    let mut head = RequestHead {
        method: &Method::POST,
        path: "/v1/messages",
        query: None,
        headers: &headers,
        client: None,
        key: None,
    };
    at_once(plugin.request_filter(&mut head)).map_err(|reject| reject.code)?;
    Ok(head.key.expect("an accepted request has a key").key().id)
}

#[test]
fn a_live_key_passes() {
    assert_eq!(verdict(key(true, None), Some("sk-tg-right")), Ok(7));
    assert_eq!(verdict(key(true, Some(1001)), Some("sk-tg-right")), Ok(7));
}

#[test]
fn everything_else_is_refused_with_its_own_code() {
    assert_eq!(verdict(key(true, None), None), Err(RejectCode::AuthMissingToken));
    assert_eq!(verdict(key(true, None), Some("sk-tg-wrong")), Err(RejectCode::AuthInvalidToken));
    assert_eq!(verdict(key(false, None), Some("sk-tg-right")), Err(RejectCode::AuthInvalidToken));
    assert_eq!(verdict(key(true, Some(1000)), Some("sk-tg-right")), Err(RejectCode::TokenExpired));
}

#[test]
fn unknown_settings_are_named() {
    let error = build("realm = 1".parse().unwrap(), &Ports::to_nothing()).err().unwrap().to_string();
    assert!(error.contains("realm"), "{error}");
}

use super::*;
use tollgate_plugin_doubles::at_once;

fn plugin(table: &str) -> Result<Arc<dyn Plugin>, Mistakes> {
    build(table.parse().unwrap(), &Ports::to_nothing())
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn request(plugin: &dyn Plugin, method: Method, headers: &HeaderMap) -> Flow {
    let mut head = RequestHead { method: &method, path: "/v1/models", query: None, headers, client: None, key: None };
    at_once(plugin.request_filter(&mut head)).unwrap()
}

const ONE: &str = "allowed_origins = ['https://app.example']";

#[test]
fn a_preflight_is_answered_for_an_allowed_origin_only() {
    let asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        let headers = headers(&[asked[0], asked[1], ("origin", origin)]);
        let Flow::Respond(reply) = request(&*plugin(ONE).unwrap(), Method::OPTIONS, &headers) else {
            panic!("answered")
        };
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        assert_eq!(reply.headers.iter().any(|(_, value)| value == "authorization"), allowed);
    }
}

#[test]
fn other_requests_go_on() {
    let cors = plugin(ONE).unwrap();
    assert!(matches!(request(&*cors, Method::POST, &headers(&[("origin", "https://app.example")])), Flow::Continue));
    assert!(matches!(request(&*cors, Method::OPTIONS, &headers(&[])), Flow::Continue));
}

fn answered(table: &str, origin: &'static str) -> HeaderMap {
    let mut answer = headers(&[("access-control-allow-origin", "*")]);
    plugin(table).unwrap().response_filter(&headers(&[("origin", origin)]), StatusCode::OK, &mut answer);
    answer
}

#[test]
fn answers_name_the_origin_and_never_a_wildcard_by_themselves() {
    let answer = answered(ONE, "https://app.example");
    assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
    assert_eq!(answer[VARY], "origin");
    assert!(!answered(ONE, "https://evil.example").contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    assert!(!answered("allowed_origins = []", "https://app.example").contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    assert_eq!(answered("allowed_origins = ['*']", "https://any.example")[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
}

#[test]
fn the_preflights_age_is_the_configured_one() {
    let cors = plugin("allowed_origins = ['*']\nmax_age_seconds = 7").unwrap();
    let asked = headers(&[("access-control-request-method", "POST"), ("origin", "https://app.example")]);
    let Flow::Respond(reply) = request(&*cors, Method::OPTIONS, &asked) else { panic!("answered") };
    assert!(reply.headers.contains(&(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7"))));
}

#[test]
fn scripts_may_read_every_field_of_our_own() {
    let answer = answered(ONE, "https://app.example");
    let exposed = answer[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
    let exposed: Vec<&str> = exposed.split(", ").collect();
    for name in [
        "x-request-id",
        "request-id",
        "retry-after",
        "x-should-retry",
        "x-tollgate-attempts",
        "x-tollgate-estimated",
        "x-tollgate-explain",
        "x-tollgate-left-out",
        "x-tollgate-rejected-by",
        "x-tollgate-replayed",
        "x-tollgate-translated",
        "x-tollgate-upstream",
        "x-tollgate-upstream-request-id",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-concurrency",
        "x-ratelimit-limit-spend-usd",
    ] {
        assert!(exposed.contains(&name), "{name}: {exposed:?}");
    }
    let absent = answered(ONE, "https://evil.example");
    assert!(!absent.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS));
}

#[test]
fn an_origin_that_no_browser_sends_is_refused_with_the_one_that_it_would() {
    for (written, sent) in [
        ("https://App.Example", "https://app.example"),
        ("HTTPS://app.example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("https://APP.example:8443", "https://app.example:8443"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
    ] {
        let error = plugin(&format!("allowed_origins = ['{written}']")).err().expect(written).to_string();
        assert!(error.contains("allowed_origins[0]") && error.contains(&format!("expected `{sent}`")), "{error}");
        assert!(plugin(&format!("allowed_origins = ['{sent}']")).is_ok(), "{sent}");
    }
    for sound in ["http://app.example:443", "https://app.example:80", "http://localhost:3000", "app-extension://abc"] {
        assert!(plugin(&format!("allowed_origins = ['{sound}']")).is_ok(), "{sound}");
    }
}

#[test]
fn mistakes_in_the_table_are_named() {
    for (table, word) in [
        ("allowed_origin = []", "allowed_origin"),
        ("", "allowed_origins"),
        ("allowed_origins = ['app.example']", "allowed_origins[0]: is not an origin"),
        ("allowed_origins = ['*', 'https://app.example/']", "allowed_origins[1]: is not an origin"),
        ("allowed_origins = ['https://ann@app.example']", "allowed_origins[0]: is not an origin"),
        ("allowed_origins = ['https://app.example:']", "allowed_origins[0]: is not an origin"),
        ("allowed_origins = ['https://app.example:0443']", "allowed_origins[0]: is not an origin"),
        ("allowed_origins = ['https://app.example?x']", "allowed_origins[0]: is not an origin"),
        ("allowed_origins = ['null']", "allowed_origins[0]: is not an origin"),
    ] {
        let error = plugin(table).err().expect(table).to_string();
        assert!(error.contains(word), "{error}");
    }
}

//! What cannot be read in a query is refused by its name, with what was expected and what was given; the names are those of the
//! API's own description.

use crate::stage::Stage;
use serde_json::{Value, json};

/// A value that is none of a parameter's; `None`: any text is.
fn unreadable(schema: &Value) -> Option<&'static str> {
    let says = schema.to_string();
    let is_text = ["\"integer\"", "\"enum\"", "\"format\"", "\"pattern\""].iter().all(|word| !says.contains(word));
    (!is_text).then_some("a+b%3F")
}

#[tokio::test]
async fn every_parameter_that_cannot_be_read_is_named() {
    let stage = Stage::start().await;
    let document = stage.admin.get("/openapi.json").await.ok();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let parameters = methods["get"]["parameters"].as_array().into_iter().flatten();
        let asked: Vec<&Value> = parameters.filter(|parameter| parameter["in"] == "query").collect();
        let path = path.strip_prefix("/console/api").unwrap_or_default();
        let names: Vec<&str> = asked.iter().map(|parameter| parameter["name"].as_str().expect("a name")).collect();
        // What must be there is there.
        let needed: Vec<String> = asked
            .iter()
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| {
                format!("{}={}", name_of(parameter), parameter["schema"]["enum"][0].as_str().expect("a word"))
            })
            .collect();
        for parameter in &asked {
            let Some(value) = unreadable(&parameter["schema"]) else { continue };
            let name = name_of(parameter);
            let others = needed.iter().filter(|other| !other.starts_with(&format!("{name}=")));
            let query = others.cloned().chain([format!("{name}={value}")]).collect::<Vec<_>>().join("&");
            let told = stage.admin.get(&format!("{path}?{query}")).await;
            let error = &told.body["error"];
            assert_eq!((told.status, told.code(), &error["field"]), (400, "INVALID", &json!(name)), "{path}?{query}");
            let message = error["message"].as_str().expect("a message");
            assert!(message.starts_with("cannot read `a b?`, expected "), "{path}?{query}: {message}");
            tried += 1;
        }
        if names.is_empty() {
            continue;
        }
        let query = needed.iter().cloned().chain(["surprise=1".to_owned()]).collect::<Vec<_>>().join("&");
        let told = stage.admin.get(&format!("{path}?{query}")).await;
        let error = &told.body["error"];
        assert_eq!((told.status, told.code(), &error["field"]), (400, "INVALID", &json!("surprise")), "{path}?{query}");
        let message = error["message"].as_str().expect("a message");
        assert!(names.iter().all(|name| message.contains(&format!("`{name}`"))), "{path}: {names:?}: {message}");
    }
    assert!(tried > 25, "{tried}");
}

fn name_of(parameter: &Value) -> &str {
    parameter["name"].as_str().expect("a name")
}

/// So many parameters of different names.
fn many(count: usize) -> String {
    (0..count).map(|nth| format!("p{nth}=&")).collect()
}

#[tokio::test]
async fn a_name_in_the_path_that_is_no_text_is_nothing_that_there_is() {
    let stage = Stage::start().await;
    for (method, path) in [
        ("GET", "/logs/%FF"),
        ("PATCH", "/upstreams/%FF"),
        ("DELETE", "/upstreams/%FF/override"),
        ("POST", "/upstreams/%FF/test"),
        ("GET", "/keys/%FF"),
    ] {
        let body = (method != "GET").then(|| json!({}));
        let told = stage.admin.ask(method, path, body.as_ref()).await;
        assert_eq!((told.status, told.code()), (404, "NOT_FOUND"), "{method} {path}: {}", told.answer.text());
    }
}

#[tokio::test]
async fn what_was_expected_and_given_is_said() {
    let stage = Stage::start().await;
    let long = "x".repeat(100);
    let outcomes = "expected `ok`, `client_aborted`, `upstream_error` or `interrupted`";
    for (query, field, message) in [
        ("/logs?status=abc", "status", "cannot read `abc`, expected a whole number from 0 to 999"),
        ("/logs?status=1000", "status", "cannot read `1000`, expected a whole number from 0 to 999"),
        ("/logs?status=", "status", "cannot read ``, expected a whole number from 0 to 999"),
        ("/logs/export?format=csv&status=-1", "status", "cannot read `-1`, expected a whole number from 0 to 999"),
        ("/logs/export", "format", "missing, expected `csv` or `jsonl`"),
        ("/logs?limit=99999999999999999999", "limit", "expected a whole number from 1 to 1000"),
        (
            "/logs?outcome=client-aborted",
            "outcome",
            &format!("cannot read `client-aborted`, {outcomes}, did you mean `client_aborted`?"),
        ),
        ("/logs?since=yesterday", "since", "cannot read `yesterday`, expected a time as in `2026-12-31T18:00:00Z`"),
        ("/logs?q=7", "q", "cannot read `7`, expected a request id, as `x-request-id` says it"),
        ("/logs?modle=m", "modle", "unknown parameter, expected `since`, "),
        ("/logs?modle=m", "modle", "did you mean `model`?"),
        // Those of the log are not those of its file.
        ("/logs/export?format=csv&limit=1", "limit", "unknown parameter, expected `format`, `since`, "),
        ("/logs?status=200&status=500", "status", "expected one value, not several"),
        ("/logs?user=%ff", "user", "expected UTF-8"),
        (&format!("/logs?status={long}"), "status", &format!("cannot read `{}…`, ", &long[..64])),
        ("/usage", "by", "missing, expected `key`, `user`, `model`, `upstream` or `day`"),
        ("/usage?by=days", "by", "did you mean `day`?"),
        ("/overview?range=24", "range", "cannot read `24`, expected `1h`, `24h`, `7d` or `30d`, did you mean `24h`?"),
        ("/audit?cursor=-1", "cursor", "cannot read `-1`, expected a whole number from 0 to "),
        ("/audit?page=2", "page", "unknown parameter, expected `cursor` or `limit`"),
        (&format!("/audit?{long}=2"), &format!("{}…", &long[..64]), "unknown parameter, expected `cursor` or `limit`"),
        // However many there are, they are not looked at for long.
        (&format!("/audit?{}", many(32)), "p0", "unknown parameter, expected `cursor` or `limit`"),
        (&format!("/audit?{}", many(33)), "", "expected at most 32 parameters"),
        (&format!("/audit?{}", many(8_000)), "", "expected at most 32 parameters"),
    ] {
        let told = stage.admin.get(query).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{query}: {}", told.body);
        assert_eq!(told.body["error"]["field"], *field, "{query}");
        let said = told.body["error"]["message"].as_str().expect("a message");
        assert!(said.contains(message), "{query}: {said}");
    }
    // What forms encode is read as they mean it.
    for query in ["/logs?user=a+b%26c&status=200&&limit=5", "/logs?model=%E6%A8%A1%E5%9E%8B", "/prices?q=", "/audit?"] {
        assert_eq!(stage.admin.get(query).await.status, 200, "{query}");
    }
}

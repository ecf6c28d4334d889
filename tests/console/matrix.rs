//! Every route with every role, made from the API's own description; and what holds for all of them.

use crate::stage::{PASSWORD, RELOAD_SECRET, Stage, setup};
use crate::support::client::{Body, Request};
use crate::support::console::{COOKIE, Visitor, first_admin};
use crate::support::gateway::PROVIDER_KEY;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Every route and the least role that it asks for. A route that is not here fails the test: somebody has to say here who may use
/// it.
const MATRIX: &[(&str, &str, &str)] = &[
    ("post", "/api/session", "none"),
    ("get", "/api/session", "user"),
    ("delete", "/api/session", "user"),
    ("put", "/api/session/password", "user"),
    ("get", "/api/users", "admin"),
    ("post", "/api/users", "admin"),
    ("get", "/api/users/{id}", "admin"),
    ("patch", "/api/users/{id}", "admin"),
    ("delete", "/api/users/{id}", "admin"),
    ("post", "/api/users/{id}/topup", "admin"),
    ("post", "/api/codes", "admin"),
    ("get", "/api/codes", "admin"),
    ("delete", "/api/codes/{id}", "admin"),
    ("post", "/api/codes/redeem", "user"),
    ("get", "/api/keys", "user"),
    ("post", "/api/keys", "user"),
    ("get", "/api/keys/{id}", "user"),
    ("patch", "/api/keys/{id}", "user"),
    ("delete", "/api/keys/{id}", "user"),
    ("post", "/api/keys/{id}/rotate", "user"),
    ("get", "/api/groups", "operator"),
    ("get", "/api/models", "user"),
    ("get", "/api/upstreams", "operator"),
    ("post", "/api/upstreams/{name}/test", "operator"),
    ("patch", "/api/upstreams/{name}", "operator"),
    ("delete", "/api/upstreams/{name}/override", "operator"),
    ("get", "/api/prices", "user"),
    ("get", "/api/prices/file", "operator"),
    ("put", "/api/prices/file", "admin"),
    ("post", "/api/prices/validate", "operator"),
    ("post", "/api/prices/explain", "user"),
    ("get", "/api/prices/history", "operator"),
    ("post", "/api/reload", "operator"),
    ("get", "/api/ledger/verify", "admin"),
    ("get", "/api/settings", "admin"),
    ("get", "/api/metrics/summary", "operator"),
    ("get", "/internal/health", "operator"),
    ("get", "/api/audit", "admin"),
    ("get", "/api/logs", "user"),
    ("get", "/api/logs/export", "user"),
    ("get", "/api/logs/{request_id}", "user"),
    ("get", "/api/usage", "user"),
    ("get", "/api/overview", "user"),
    ("get", "/api/openapi.json", "user"),
];

/// Other names of the same routes.
const ALIASES: [(&str, &str); 2] = [("/api/upstreams", "/api/channels"), ("/api/keys", "/api/tokens")];

const ROLES: [&str; 4] = ["none", "user", "operator", "admin"];

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap_or_else(|| panic!("no role: {role}"))
}

/// The matrix, by method and path, aliases included.
fn matrix() -> BTreeMap<(String, String), &'static str> {
    let mut all = BTreeMap::new();
    for (method, path, role) in MATRIX {
        let aliases = ALIASES.iter().filter_map(|(name, alias)| {
            let rest = path.strip_prefix(name)?;
            Some(format!("{alias}{rest}"))
        });
        for path in aliases.chain([(*path).to_owned()]) {
            all.insert(((*method).to_owned(), format!("/console{path}")), *role);
        }
    }
    all
}

/// An operation of the API's description.
struct Operation {
    method: String,
    path: String,
    says: Value,
}

async fn operations(visitor: &Visitor) -> Vec<Operation> {
    let document = visitor.get("/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, says) in methods.as_object().expect("methods") {
            found.push(Operation { method: method.clone(), path: path.clone(), says: says.clone() });
        }
    }
    found
}

impl Operation {
    /// As a page would ask for it, for something that there is not.
    fn request(&self, visitor: &Visitor, body: &Value) -> Request {
        let target = self.path.replace("{id}", "999999").replace("{name}", "nothing");
        let mut request = Request::new(&self.method.to_uppercase(), &target).field("origin", "http://gateway.test");
        if let Some(session) = &visitor.session {
            request = request.field("cookie", &format!("{COOKIE}={session}"));
        }
        if self.says["requestBody"].is_object() {
            request = request.body(Body::Length(body.to_string().into()));
        }
        request
    }
}

#[tokio::test]
async fn every_route_is_for_the_roles_that_the_matrix_says() {
    let stage = Stage::start().await;
    let operations = operations(&stage.admin).await;
    let said: BTreeMap<_, _> = operations
        .iter()
        .map(|operation| {
            let role = operation.says["x-role"].as_str().expect("a role");
            ((operation.method.clone(), operation.path.clone()), role)
        })
        .collect();
    assert_eq!(said, matrix(), "what the API has, and who may use it");
    let (first, password) = first_admin(&stage.gateway);
    let mut visitors = BTreeMap::from([
        ("none", Visitor::stranger(stage.gateway.address)),
        ("user", stage.user.clone()),
        ("operator", stage.operator.clone()),
        ("admin", stage.admin.clone()),
    ]);
    for operation in &operations {
        let least = operation.says["x-role"].as_str().expect("a role");
        let documented: BTreeSet<&str> =
            operation.says["responses"].as_object().expect("responses").keys().map(String::as_str).collect();
        for role in ROLES {
            let visitor = visitors.get_mut(role).expect("one of each");
            let told = visitor.send(&operation.request(visitor, &json!({}))).await;
            let what = format!("{} {} as {role}: {} {}", operation.method, operation.path, told.status, told.body);
            match (rank(role) < rank(least), role) {
                (true, "none") => assert_eq!((told.status, told.code()), (401, "UNAUTHENTICATED"), "{what}"),
                (true, _) => assert_eq!((told.status, told.code()), (403, "FORBIDDEN"), "{what}"),
                (false, _) => assert!(!matches!(told.status, 401 | 403 | 405 | 500..), "{what}"),
            }
            assert!(documented.contains(&*told.status.to_string()), "{what}: only {documented:?} are documented");
            if operation.method == "delete" && operation.path == "/console/api/session" && role != "none" {
                let (name, password) = if role == "admin" { (&*first, &*password) } else { (role, PASSWORD) };
                *visitor = Visitor::sign_in(stage.gateway.address, name, password).await;
            }
        }
    }
}

#[tokio::test]
async fn no_document_takes_a_field_that_it_does_not_have() {
    let stage = Stage::start().await;
    let mut tried = 0;
    for operation in operations(&stage.admin).await {
        if !operation.says["requestBody"].is_object() {
            continue;
        }
        let mut operation = operation;
        // One that there is, where that is looked at first.
        operation.path = operation.path.replace("{name}", "u");
        let told = stage.admin.send(&operation.request(&stage.admin, &json!({"surprise": 1}))).await;
        let what = format!("{} {}: {} {}", operation.method, operation.path, told.status, told.body);
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{what}");
        assert_eq!(told.body["error"]["field"], "surprise", "{what}");
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
}

#[tokio::test]
async fn nothing_changes_for_a_page_of_another_site() {
    let stage = Stage::start().await;
    let cross_site: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "http://gateway.test.evil.example"), ("sec-fetch-site", "same-origin")],
    ];
    let mut tried = 0;
    for operation in operations(&stage.admin).await {
        if operation.method == "get" {
            continue;
        }
        for fields in cross_site {
            let mut request = operation.request(&stage.admin, &json!({"name": "made", "role": "admin"}));
            request.fields.retain(|(name, _)| name != "origin");
            for (name, value) in fields {
                request = request.field(name, value);
            }
            let told = stage.admin.send(&request).await;
            let what = format!("{} {} {fields:?}: {}", operation.method, operation.path, told.status);
            assert_eq!((told.status, told.code()), (403, "FORBIDDEN"), "{what}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
    let users = stage.admin.get("/users").await.ok();
    assert_eq!(crate::stage::items(&users).len(), 3, "{users}");
    // What the page itself asks for is done, however it says so.
    for (name, value) in [("origin", "http://gateway.test"), ("sec-fetch-site", "same-origin")] {
        let mut request = stage.admin.request("POST", "/users", Some(&json!({"name": name, "role": "user"})));
        request.fields.retain(|(name, _)| name != "origin");
        assert_eq!(stage.admin.send(&request.field(name, value)).await.status, 201);
    }
}

#[tokio::test]
async fn no_answer_holds_a_secret_and_every_answer_the_headers_that_browsers_need() {
    let (provider, setup) = setup().await;
    let setup = setup
        .set("plugins.otlp.endpoint", "\"http://127.0.0.1:9/v1/traces\"")
        .set("plugins.otlp.headers", "{ \"x-api\" = \"otlp-secret-0123456789\" }");
    let stage = Stage::with(provider, &setup).await;
    let made = stage.user.post("/keys", &json!({"name": "k"})).await.ok();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let code = stage.admin.post("/codes", &json!({"amount_nanos": 5, "count": 1})).await.ok();
    let code = code["codes"][0].as_str().expect("a code").to_owned();
    let session = stage.admin.session.clone().expect("a session");
    let (_, password) = first_admin(&stage.gateway);
    let secrets = [
        &*secret,
        &code,
        &session,
        &password,
        PASSWORD,
        PROVIDER_KEY,
        RELOAD_SECRET,
        "otlp-secret-0123456789",
        "argon2",
    ];
    let mut read = 0;
    for operation in operations(&stage.admin).await {
        for id in ["1", "2", "999999"] {
            if operation.method != "get" {
                continue;
            }
            let mut request = operation.request(&stage.admin, &Value::Null);
            request.target = request.target.replace("999999", id);
            let told = stage.admin.send(&request).await;
            let text = told.answer.text();
            for secret in secrets {
                assert!(!text.contains(secret), "{} holds {secret}: {text}", operation.path);
            }
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
                ("content-type", "application/json"),
            ] {
                assert_eq!(told.answer.field(name), Some(value), "{}: {name}", operation.path);
            }
            let policy = told.answer.field("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
            assert_eq!(told.answer.field("access-control-allow-origin"), None);
            read += 1;
        }
    }
    assert!(read > 40, "{read}");
    // Nor does what is kept on the disk, or logged.
    for file in ["data/tollgate.db", "data/tollgate.db-wal"] {
        let text = stage.gateway.read(file);
        for secret in [&*secret, &code, &session, &password, PASSWORD] {
            assert!(!text.contains(secret), "{file} holds {secret}");
        }
    }
    for secret in [&*secret, &code, &session, PASSWORD, PROVIDER_KEY, RELOAD_SECRET] {
        assert!(!stage.gateway.said().contains(secret), "the log holds {secret}");
    }
}

#[tokio::test]
async fn what_is_no_route_is_the_page_and_what_is_no_request_is_refused_in_our_words() {
    let stage = Stage::start().await;
    let pages = ["/console", "/console/", "/console/keys", "/console/deep/er?x=1", "/console/assets-of/m.js"];
    for target in pages {
        let answer = stage.gateway.send(&Request::get(target)).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"), "{target}");
        assert_eq!(answer.field("cache-control"), Some("no-store"), "{target}");
        assert!(answer.field("content-security-policy").is_some(), "{target}");
    }
    // What the page names is there, and may be kept.
    let page = stage.gateway.send(&Request::get("/console")).await.text();
    let script = page.split('"').find(|part| part.starts_with("/console/assets/") && part.ends_with(".js"));
    let answer = stage.gateway.send(&Request::get(script.expect("a script"))).await;
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(answer.field("cache-control"), Some("public, max-age=31536000, immutable"));
    let refusals = [
        (Request::get("/console/api/nothing"), 404, "NOT_FOUND"),
        (Request::get("/console/api"), 404, "NOT_FOUND"),
        (Request::get("/console/internal/nothing"), 404, "NOT_FOUND"),
        (Request::get("/console/assets/index-deadbeef.js"), 404, "NOT_FOUND"),
        (Request::get("/console/assets/deep/er.css?x=1"), 404, "NOT_FOUND"),
        (Request::get("/console/assets"), 404, "NOT_FOUND"),
        (Request::post("/console/assets/index-deadbeef.js", &json!({})), 405, "METHOD_NOT_ALLOWED"),
        (stage.admin.request("PATCH", "/codes", None), 405, "METHOD_NOT_ALLOWED"),
        (stage.admin.request("GET", "/keys?limit=0", None), 400, "INVALID"),
        (stage.admin.request("GET", "/keys?limit=1001", None), 400, "INVALID"),
        (stage.admin.request("GET", "/keys?nothing=1", None), 400, "INVALID"),
        (stage.admin.request("GET", "/keys/x", None), 404, "NOT_FOUND"),
        (stage.admin.request("POST", "/keys", None).body(Body::Length("{".into())), 400, "INVALID"),
        (stage.admin.request("POST", "/keys", None).body(Body::Length("".into())), 400, "INVALID"),
        (stage.admin.request("POST", "/keys", None).body(Body::Length("{\"name\":\"a\"}x".into())), 400, "INVALID"),
        (stage.admin.request("POST", "/keys", None).body(Body::Length(vec![b' '; 1 << 21].into())), 413, "TOO_LARGE"),
    ];
    for (request, status, code) in refusals {
        let told = stage.admin.send(&request).await;
        assert_eq!((told.status, told.code()), (status, code), "{} {}", request.method, request.target);
        assert!(told.answer.field("content-security-policy").is_some(), "{}", request.target);
    }
}

#[tokio::test]
async fn health_is_for_operators_and_for_whoever_has_the_reload_secret() {
    let stage = Stage::start().await;
    let asked = |secret: &str| Request::get("/console/internal/health").key(secret);
    let stranger = Visitor::stranger(stage.gateway.address);
    let told = stranger.send(&asked(RELOAD_SECRET)).await.ok();
    assert_eq!(told["journal"]["healthy"], true, "{told}");
    assert_eq!(told["upstreams"][0]["breaker"]["state"], "closed", "{told}");
    assert_eq!(stranger.send(&asked("reload-secret-012345678")).await.status, 401);
    // It opens nothing else.
    let request = Request::get("/console/api/users").key(RELOAD_SECRET);
    assert_eq!(stranger.send(&request).await.status, 401);
}

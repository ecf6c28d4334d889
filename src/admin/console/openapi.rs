//! `GET /console/api/openapi.json`: the API's description, made from the table of routes.

use super::refusal::Code;
use super::routes::{ROOT, Route, rows};
use axum::Json;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The description.
pub(super) async fn answer() -> Json<Value> {
    Json(document())
}

/// The same, for whoever compares it.
pub(super) fn document() -> Value {
    let mut named = Map::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (path, route) in rows() {
        let operation = operation(&path, route, &mut named);
        paths.entry(format!("{ROOT}{path}")).or_default().insert(route.verb.word().to_owned(), operation);
    }
    named.insert("Error".into(), error());
    let cookie = json!({"type": "apiKey", "in": "cookie", "name": super::session::COOKIE});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Tollgate console", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": named, "securitySchemes": {"session": cookie}},
    })
}

fn operation(path: &str, route: &Route, named: &mut Map<String, Value>) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"in": "path", "name": name, "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(route.asks.iter().flat_map(|forms| forms()).flat_map(|form| form.parameters()));
    let mut answers = Map::new();
    answers.insert(route.gives.status().to_string(), route.gives.json(named));
    for code in route.all_refusals() {
        answers.insert(code.status().as_str().to_owned(), refusal(code));
    }
    let mut operation = json!({
        "summary": route.summary,
        "x-role": route.access.word(),
        "parameters": parameters,
        "responses": answers,
    });
    if route.access.role().is_some() {
        operation["security"] = json!([{"session": []}]);
    }
    if let Some(form) = &route.takes {
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": form.json(named)}}});
    }
    operation
}

fn refusal(code: Code) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Error"});
    json!({"description": code.word(), "content": {"application/json": {"schema": schema}}})
}

fn error() -> Value {
    let text = json!({"type": "string"});
    let fields = json!({"code": text, "message": text, "field": text, "errors": {"type": "array"}});
    let error = json!({"type": "object", "required": ["code", "message"], "properties": fields});
    json!({"type": "object", "required": ["error"], "properties": {"error": error}})
}

//! Requests that real clients sent to real providers, where the recordings are present.

use crate::dialect::Answer;
use crate::dialect::endpoint::target;
use crate::dialect::request::{image_tokens_bound, read_request, splice};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use std::path::PathBuf;

fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("TOLLGATE_RECORDINGS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings"), PathBuf::from);
    folder.join("manifest.jsonl").is_file().then_some(folder)
}

#[test]
fn real_requests_are_read_and_bounded() {
    let Some(folder) = recordings() else { return };
    let manifest = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let mut read = 0;
    for row in manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let Some(file) = row["request_file"].as_str() else { continue };
        let request: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let (Some(uri), Some(Value::Object(body))) = (request["path"].as_str(), request.get("body")) else { continue };
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        let Ok(target) = target(&Method::POST, path, query, &HeaderMap::new()) else { continue };
        if body.contains_key("omitted") {
            continue;
        }
        let bytes = Bytes::from(serde_json::to_vec(body).unwrap());
        let facts = read_request(target.endpoint, &target, Some("application/json"), &bytes)
            .unwrap_or_else(|reject| panic!("{file}: {reject:?}"));
        read += 1;
        // Where Azure's path names another model than the body does, that one goes.
        if body.get("model").and_then(Value::as_str).is_none_or(|model| facts.model.as_deref() == Some(model)) {
            assert_eq!(splice(&facts, &bytes, None, false), bytes);
        }
        let renamed = splice(&facts, &bytes, Some("other"), facts.stream && target.endpoint.answer == Answer::Chat);
        assert!(serde_json::from_slice::<Value>(&renamed).is_ok(), "{file}");
        let Some(input) = row["expected"]["input_tokens"].as_u64().filter(|_| !facts.refers_elsewhere) else {
            continue;
        };
        let bound = facts.input_tokens_bound(0, image_tokens_bound("", target.endpoint.dialect));
        assert!(input <= bound, "{file}: {input} tokens of at most {bound}");
    }
    assert!(read > 100, "{read}");
}

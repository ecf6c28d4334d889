mod facts;
mod forms;
mod pieces;
mod recordings;
mod refusals;
mod splicing;

use super::{RequestFacts, read_request};
use crate::dialect::endpoint::{Target, target};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tollgate_plugin_api::Reject;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/g:generateContent";

fn at(path: &str) -> Target {
    target(&Method::POST, path, None, &HeaderMap::new()).unwrap()
}

fn read(path: &str, body: &str) -> Result<RequestFacts, Reject> {
    let target = at(path);
    read_request(target.endpoint, &target, Some("application/json"), &Bytes::copy_from_slice(body.as_bytes()))
}

/// The facts of a body that is taken.
fn facts(path: &str, body: &str) -> RequestFacts {
    read(path, body).unwrap_or_else(|reject| panic!("{path} {body}: {reject:?}"))
}

/// The message and the field of a body that is refused.
fn refused(path: &str, body: &str) -> (String, Option<String>) {
    let reject = read(path, body).expect_err(body);
    assert_eq!(reject.code, tollgate_plugin_api::RejectCode::InvalidRequest);
    (reject.message.unwrap(), reject.param)
}

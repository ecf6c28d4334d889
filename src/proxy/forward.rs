//! Stage 3: what goes upstream: own path, own host, own credential, the body with its splices.

use super::exchange::Exchange;
use super::http1::{RequestHead, nominated};
use super::idempotency;
use crate::snapshot::Upstream;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::{Error, Result};
use std::time::SystemTime;

/// Fields of the client's request that stay here: credentials, what belongs to its connection with us, what tells who
/// it is, what we say ourselves, and what would have the upstream read another request than the one that was let in: another method,
/// target, host, model, payer or time than it has. Everything else goes along: vendors read many fields of their own.
const NOT_FORWARDED: [&str; 63] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "cookie",
    "proxy-authorization",
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    "accept-encoding",
    "transfer-encoding",
    "expect",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "fastly-client-ip",
    "ocp-apim-subscription-key",
    "origin",
    "referer",
    "x-request-id",
    "range",
    // RFC 7240: `respond-async` makes an answer that is fetched elsewhere, past every bill.
    "prefer",
    // Makes DashScope's native operations answer with a task's number, and bill it later (alibabacloud.com/help/en/model-studio,
    // "Asynchronous task management API").
    "x-dashscope-async",
    // Another method, path or host, for frameworks that believe them.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-original-host",
    "x-rewrite-url",
    "x-host",
    "x-forwarded",
    "x-url-scheme",
    "x-scheme",
    "front-end-https",
    "x-script-name",
    "x-sendfile-type",
    "max-forwards",
    // Digests of a body that may be another one by now.
    "digest",
    "repr-digest",
    "want-digest",
    // Another deployment, and so another model: Azure's machine-learning endpoints.
    "azureml-model-deployment",
    "x-ms-model-mesh-model-name",
    // Who pays, where a provider's key may be of several: Hugging Face's router.
    "x-hf-bill-to",
    // Another upstream behind a gateway that is ours.
    "custom-host",
    "helicone-auth",
    "helicone-target-url",
    "helicone-openai-api-base",
    "helicone-fallbacks",
    "helicone-model-override",
];
/// Everything that begins so is of some proxy in front of us (many say there who has signed in, and with what token), of a browser,
/// ours, says how a body is to be read or whether it is to be (we say that ourselves), or chooses what nobody here has chosen: an
/// upstream (other gateways), or a tier with a price of its own (Vertex).
const NOT_FORWARDED_PREFIXES: [&str; 18] = [
    "cf-",
    "sec-",
    "x-tollgate-",
    "x-amz",
    "x-envoy-",
    "proxy-",
    "x-forwarded-",
    "x-auth-request-",
    "x-goog-iap-",
    "x-goog-authenticated-user-",
    "x-ms-token-",
    "x-ms-client-principal",
    "content-",
    "if-",
    "x-accel-",
    "x-litellm-",
    "x-portkey-",
    "x-vertex-ai-llm-",
];

/// What goes upstream: our own head, made of what of the client's may go along, and the body.
///
/// # Errors
/// Something of it cannot be sent.
pub(super) fn request(client: &RequestHeader, exchange: &Exchange) -> Result<(RequestHead, Bytes)> {
    let (admitted, attempt) = exchange.attempted()?;
    let upstream = &attempt.upstream;
    // Origin form, always: an absolute target would reach the upstream as it is.
    let target = attempt.lane.as_ref().map_or(&admitted.target, |lane| &lane.target);
    let target = target.upstream_path_and_query(&upstream.base_path, &attempt.upstream_model);
    // As it was read here, whatever the client calls it; and what is written anew is JSON, as it was before.
    let content = (client.method != Method::GET).then(|| (admitted.facts.content_type(), attempt.body.len()));
    let mut headers = match &attempt.lane {
        Some(lane) if lane.translates_answer() => fields(&lane.forwarded(&client.headers), upstream, content),
        _ => fields(&client.headers, upstream, content),
    };
    if let Some(caller) = &exchange.caller {
        idempotency::separate(&caller.row(), &mut headers);
    }
    for plugin in &exchange.snapshot.plugins.upstream_request {
        plugin.upstream_request_filter(exchange.request_id.as_u128(), &client.headers, &mut headers);
    }
    let head = signed(RequestHead { method: client.method.clone(), target, headers }, upstream, &attempt.body)?;
    Ok((head, attempt.body.clone()))
}

/// A head that is complete, signed where the upstream's key is not shown.
///
/// # Errors
/// It cannot be signed.
pub(super) fn signed(mut head: RequestHead, upstream: &Upstream, body: &[u8]) -> Result<RequestHead> {
    if let Some(signer) = &upstream.signer {
        // No request of this upstream's can be: another one's turn.
        signer.sign(&mut head, body, SystemTime::now()).map_err(Error::into_up)?;
    }
    Ok(head)
}

/// The fields of a request to this upstream: the client's that may go along, the vendor's, and our own. `content`: how its body is to
/// be read, and how many bytes that has.
pub(super) fn fields(client: &HeaderMap, upstream: &Upstream, content: Option<(HeaderValue, usize)>) -> HeaderMap {
    let count = client.len() + upstream.provider.headers.len() + upstream.headers.len() + 5;
    let mut headers = HeaderMap::with_capacity(count);
    headers.insert(HOST, upstream.host_header.clone());
    // Admission has refused what `Connection` may not name.
    let nominated = nominated(client);
    for (name, value) in client {
        if !is_dropped(name.as_str()) && !nominated.contains(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((content_type, bytes)) = content {
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    for (name, value) in &upstream.provider.headers {
        headers.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for (name, value) in upstream.headers.iter().chain(&upstream.credential) {
        headers.insert(name.clone(), value.clone());
    }
    headers
}

fn is_dropped(name: &str) -> bool {
    // Many servers read `x_api_key` as `x-api-key`: a name that is not the one that is looked at here.
    name.contains('_')
        || NOT_FORWARDED.contains(&name)
        || NOT_FORWARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_dropped;

    #[test]
    fn credentials_and_connection_fields_stay_here_and_vendor_fields_go_along() {
        for name in [
            "authorization",
            "x-api-key",
            "api-key",
            "cookie",
            "te",
            "x-forwarded-for",
            "cf-ray",
            "sec-fetch-mode",
            "x_api_key",
            "content-type",
            "content-encoding",
            "if-none-match",
            "x-http-method-override",
            "x-portkey-custom-host",
        ] {
            assert!(is_dropped(name), "{name}");
        }
        for name in [
            "anthropic-beta",
            "anthropic-version",
            "openai-beta",
            "accept",
            "http-referer",
            "x-title",
            "x-stainless-lang",
            "traceparent",
            "tracestate",
            "idempotency-key",
            "x-idempotency-key",
            "x-ms-client-request-id",
            "x-goog-api-client",
        ] {
            assert!(!is_dropped(name), "{name}");
        }
    }
}

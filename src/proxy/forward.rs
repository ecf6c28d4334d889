//! Stage 3: what goes upstream: own path, own host, own credential, the body with its splices.

use super::exchange::Exchange;
use super::http1::{RequestHead, nominated};
use super::idempotency;
use crate::snapshot::Upstream;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::{Error, Result};
use std::time::SystemTime;

/// Fields of the client's request that stay here: credentials, what belongs to its connection with us, what tells who
/// it is, and what we say ourselves. Everything else goes along: vendors read many fields of their own.
const NOT_FORWARDED: [&str; 34] = [
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
    "content-length",
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
];
/// Everything that begins so is of some proxy in front of us (many say there who has signed in, and with what token), of a browser,
/// or ours.
const NOT_FORWARDED_PREFIXES: [&str; 12] = [
    "cf-",
    "sec-",
    "x-tollgate-",
    "x-amzn-",
    "x-envoy-",
    "proxy-",
    "x-forwarded-",
    "x-auth-request-",
    "x-goog-iap-",
    "x-goog-authenticated-user-",
    "x-ms-token-",
    "x-ms-client-principal",
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
    let mut headers = match &attempt.lane {
        Some(lane) if lane.translates_answer() => {
            fields(&client.method, &lane.forwarded(&client.headers), upstream, attempt.body.len())
        }
        _ => fields(&client.method, &client.headers, upstream, attempt.body.len()),
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

/// The fields of a request to this upstream: the client's that may go along, the vendor's, and our own.
pub(super) fn fields(method: &Method, client: &HeaderMap, upstream: &Upstream, body_bytes: usize) -> HeaderMap {
    let count = client.len() + upstream.provider.headers.len() + upstream.headers.len() + 4;
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
    if *method != Method::GET {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
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
        ] {
            assert!(is_dropped(name), "{name}");
        }
        for name in [
            "anthropic-beta",
            "anthropic-version",
            "openai-beta",
            "content-type",
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

//! Stage 3, `upstream_request_filter` and `request_body_filter`: what goes upstream: own path, own host, own credential,
//! the body with its splices.

use super::exchange::Exchange;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Uri};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorType, OrErr, Result};

/// Fields of the client's request that stay here: credentials, what belongs to its connection with us, what tells who
/// it is, and what we say ourselves. Everything else goes along: vendors read many fields of their own.
const NOT_FORWARDED: [&str; 31] = [
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
    "ocp-apim-subscription-key",
    "origin",
    "referer",
    "idempotency-key",
    "x-request-id",
    "range",
];
/// Everything that begins so is of some proxy in front of us, of a browser, or ours.
const NOT_FORWARDED_PREFIXES: [&str; 8] =
    ["cf-", "sec-", "x-tollgate-", "x-amzn-", "x-envoy-", "proxy-", "x-forwarded-", "x-auth-request-"];

/// Turns the client's head into ours.
pub(super) fn request_head(request: &mut RequestHeader, exchange: &Exchange) -> Result<()> {
    let (Some(admitted), Some(attempt)) = (&exchange.admitted, &exchange.attempt) else {
        return Error::e_explain(ErrorType::InternalError, "nothing is admitted");
    };
    let upstream = &attempt.upstream;
    let dropped: Vec<HeaderName> = request.headers.keys().filter(|name| is_dropped(name.as_str())).cloned().collect();
    for name in &dropped {
        request.remove_header(name);
    }
    // Origin form, always: an absolute target would reach the upstream as it is.
    let path = admitted.target.upstream_path_and_query(&upstream.base_path, &attempt.upstream_model);
    let uri: Uri = path.parse().or_err(ErrorType::InternalError, "the upstream path is not a URI")?;
    request.set_uri(uri);
    request.insert_header(HOST, &upstream.host_header)?;
    request.insert_header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))?;
    request.remove_header(&TRANSFER_ENCODING);
    if request.method != http::Method::GET {
        request.insert_header(CONTENT_LENGTH, attempt.body.len())?;
    }
    for (name, value) in &upstream.provider.headers {
        if !request.headers.contains_key(name) {
            request.insert_header(name, value)?;
        }
    }
    for (name, value) in &upstream.headers {
        request.insert_header(name, value)?;
    }
    if let Some((name, value)) = &upstream.credential {
        request.insert_header(name, value)?;
    }
    Ok(())
}

fn is_dropped(name: &str) -> bool {
    NOT_FORWARDED.contains(&name) || NOT_FORWARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The whole body, once an attempt.
pub(super) fn request_body(body: &mut Option<Bytes>, exchange: &Exchange) {
    if let (Some(attempt), Some(_)) = (&exchange.attempt, &body) {
        *body = Some(attempt.body.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::is_dropped;

    #[test]
    fn credentials_and_connection_fields_stay_here_and_vendor_fields_go_along() {
        for name in
            ["authorization", "x-api-key", "api-key", "cookie", "te", "x-forwarded-for", "cf-ray", "sec-fetch-mode"]
        {
            assert!(is_dropped(name), "{name}");
        }
        for name in
            ["anthropic-beta", "anthropic-version", "openai-beta", "content-type", "traceparent", "x-stainless-lang"]
        {
            assert!(!is_dropped(name), "{name}");
        }
    }
}

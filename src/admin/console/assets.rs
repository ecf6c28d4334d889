//! The console's page: what of it is there is served; every other path is the page itself, which finds its way by its address, but
//! for folders that have no pages.

use super::refusal::Refusal;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use tollgate_console::{Asset, HASHED, INDEX, asset};

/// The API, of which nothing is a page.
const API: [&str; 2] = ["api", "internal"];

/// Answers what is no endpoint.
pub(super) async fn page(request: Request) -> Response {
    let path = request.uri().path();
    let path = path.strip_prefix(super::routes::ROOT).unwrap_or(path).trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if API.contains(&first) {
        return Refusal::not_found().into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Refusal::new(super::Code::MethodNotAllowed, "expected GET").into_response();
    }
    if let Some(asset) = asset(path).filter(|_| path != INDEX) {
        let kept = if asset.is_immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        return answer(&request, asset, kept);
    }
    // A script or style of another version: the page in its place would be run as it, or be kept under its name.
    if first == HASHED {
        return Refusal::not_found().into_response();
    }
    asset(INDEX).map_or_else(|| Refusal::not_found().into_response(), |index| answer(&request, index, "no-store"))
}

fn answer(request: &Request, asset: Asset, kept: &'static str) -> Response {
    let Asset { bytes, content_type, etag, .. } = asset;
    let headers = [(header::CONTENT_TYPE, content_type), (header::ETAG, &*etag), (header::CACHE_CONTROL, kept)];
    if request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, bytes.into_owned()).into_response()
}

//! The one place that decides whether a request may be answered: which page it comes from, who is signed in, with which
//! role.

use super::access::Access;
use super::refusal::{Code, Refusal};
use super::session;
use super::{Desk, Remote};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, Uri, header};
use std::sync::Arc;

/// The field by which a page says for whom it was made: a person's `id`.
const SHOWN_TO: &str = "x-tollgate-person";

/// What one endpoint asks for.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) desk: Arc<Desk>,
    pub(super) access: Access,
}

/// Lets a request through, with its caller beside it.
///
/// # Errors
/// It may not pass.
pub(super) async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, Refusal> {
    if !request.method().is_safe() && !is_same_origin(request.method(), request.uri(), request.headers()) {
        return Err(Refusal::new(Code::Forbidden, "this request must come from the console's own page (Origin)"));
    }
    let remote = request.extensions().get::<Remote>().copied().unwrap_or_default();
    let shows_secret = matches!(gate.access, Access::RoleOrSecret(_)) && shows_secret(&gate.desk, request.headers());
    if let Some(least) = gate.access.role().filter(|_| !shows_secret) {
        let caller = session::caller(&gate.desk, remote, request.headers()).await?;
        if !is_shown_to(caller.person.id, request.headers()) {
            let message = "this page was made for a person who is no longer the one signed in with this browser";
            return Err(Refusal::new(Code::Unauthenticated, message));
        }
        if caller.person.role < least {
            let message = format!("this is for {}s", least.as_str());
            return Err(Refusal::new(Code::Forbidden, message));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Whether the page was made for this person, if it says for whom. All tabs of a browser have one cookie: one that was opened by
/// somebody else would act in the name, and with the role, of whoever has signed in since.
fn is_shown_to(person: i64, headers: &HeaderMap) -> bool {
    headers.get_all(SHOWN_TO).into_iter().all(|id| id.to_str().is_ok_and(|id| id.parse() == Ok(person)))
}

fn shows_secret(desk: &Desk, headers: &HeaderMap) -> bool {
    const BEARER: &[u8] = b"Bearer ";
    let snapshot = desk.shared.snapshot.load();
    let Some(secret) = &snapshot.reload_secret else { return false };
    let shown = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let Some((scheme, guess)) = shown.and_then(|shown| shown.split_at_checked(BEARER.len())) else { return false };
    scheme.eq_ignore_ascii_case(BEARER) && secret.is(guess.trim_ascii())
}

/// Whether a page of ours asks. A browser says which page it is for everything that changes something.
fn is_same_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    debug_assert!(!method.is_safe());
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST));
    match text(header::ORIGIN) {
        Some(origin) => {
            let from = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            from.is_some_and(|from| host.is_some_and(|host| host.eq_ignore_ascii_case(from)))
        }
        None if headers.contains_key(header::ORIGIN) => false,
        None => headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_same_origin;
    use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

    #[test]
    fn only_our_own_page_changes_anything() {
        for (fields, is_ours) in [
            (&[("host", "a.example"), ("origin", "https://a.example")][..], true),
            (&[("host", "a.example:3000"), ("origin", "http://a.example:3000")], true),
            (&[("host", "A.example"), ("origin", "https://a.Example")], true),
            (&[("host", "a.example"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "a.example")], false),
            (&[("origin", "https://a.example")], false),
            (&[("host", "a.example"), ("origin", "null")], false),
            (&[("host", "a.example"), ("origin", "https://a.example:8443")], false),
            (&[("host", "a.example"), ("origin", "https://b.example")], false),
            (&[("host", "a.example"), ("origin", "https://a.example.evil.example")], false),
            (&[("host", "a.example"), ("origin", "a.example")], false),
            (&[("host", "a.example"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "a.example"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "a.example"), ("sec-fetch-site", "none")], false),
            // Who lies in one of them is believed in neither.
            (&[("host", "a.example"), ("origin", "https://b.example"), ("sec-fetch-site", "same-origin")], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let uri = Uri::from_static("/console/api/session");
            assert_eq!(is_same_origin(&Method::POST, &uri, &headers), is_ours, "{fields:?}");
        }
    }
}

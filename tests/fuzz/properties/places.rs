//! Which operation a path means, and where it goes upstream.

use super::input::Input;
use super::json::assert_object;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tollgate::dialect::answer::reject_body;
use tollgate::dialect::endpoint::{dialect_of, target};

/// What goes upstream is a path that a request can have, below the operator's base path; no credential is in its query. The
/// body is `PATH?QUERY`, and fields of the head behind it, one a line.
pub(crate) fn endpoint(input: &Input<'_>) {
    let Some(text) = input.text() else { return };
    let mut lines = text.lines();
    let uri = lines.next().unwrap_or_default();
    let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let method = input.choose(&[Method::POST, Method::GET, Method::HEAD, Method::DELETE].each_ref());
    let dialect = dialect_of(path, &headers);
    let target = match target(method, path, query, &headers) {
        Ok(target) => target,
        Err(refusal) => return assert_object(&reject_body(dialect, &refusal, "r1"), uri),
    };
    for (base, model) in [("", "m"), ("/base/v1/", "a/b ?#%é"), ("/v1beta", "tunedModels/x:y")] {
        let upstream = target.upstream_path_and_query(base, model);
        assert!(upstream.starts_with(base.trim_end_matches('/')), "{uri}: {upstream}");
        // What a request's line cannot have, no client's request line had.
        if let Ok(asked) = PathAndQuery::try_from(uri) {
            let parsed = PathAndQuery::try_from(upstream.as_str());
            let parsed = parsed.unwrap_or_else(|error| panic!("{uri}: {upstream}: {error}"));
            assert!(
                !parsed.path().split('/').any(|part| part == "..") || asked.path().contains(".."),
                "{uri}: {upstream}"
            );
            assert!(
                !parsed.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("key="))),
                "{uri}"
            );
        }
    }
}

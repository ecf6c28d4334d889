//! Cross-origin requests from browsers (the Fetch standard's CORS protocol). Only the origins named in the configuration
//! may read answers; without any, no header is sent and browsers refuse. `"*"` must be written to be meant.

use async_trait::async_trait;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use tollgate_plugin_api::answer_fields::answer_fields;
use tollgate_plugin_api::{Flow, Mistakes, Phases, Plugin, PluginRow, Ports, Reject, Reply, RequestHead, Settings};

/// The row for the list of built-in plugins.
pub const PLUGIN: PluginRow = PluginRow { name: "cors", always: false, paths: &[], build };

const ALLOWED_METHODS: &str = "GET, POST, OPTIONS";
/// `[plugins.cors]`
const KEYS: &[&str] = &[
    // `https://app.example`: scheme, host and port as a browser sends them; or `*`.
    "allowed_origins",
    // How long a browser may remember a preflight answer.
    "max_age_seconds",
];
const MAX_AGE_S_DEFAULT: u64 = 600;

fn build(table: toml::Table, _ports: &Ports) -> Result<Arc<dyn Plugin>, Mistakes> {
    let mistakes = Mistakes::default();
    let settings = Settings::open(&table, KEYS, &mistakes);
    settings.must_have("allowed_origins", ORIGINS_EXPECTED);
    let origins = settings.texts("allowed_origins", "origins, as in `[\"https://app.example\"]`", checked_origin);
    let max_age_s = settings.number("max_age_seconds", " of seconds", 0..=u64::from(u32::MAX), MAX_AGE_S_DEFAULT);
    mistakes.into_result()?;
    let any = origins.iter().any(|origin| origin == "*");
    Ok(Arc::new(Cors { origins, any, max_age: HeaderValue::from(max_age_s), exposed: exposed() }))
}

const ORIGINS_EXPECTED: &str = "an array of origins, each `https://host`, `https://host:port` or `*`";

/// An origin as RFC 6454 serialises it and browsers send it: `scheme://host[:port]`, nothing behind. They are compared letter by
/// letter, so one that is written in another way would never be met.
fn checked_origin(origin: &str) -> Result<HeaderValue, String> {
    const WRONG: &str = "is not an origin, expected `https://host`, `https://host:port` or `*`";
    if origin != "*" {
        let uri: http::Uri = origin.parse().map_err(|_| WRONG)?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or(WRONG)?;
        let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let bare = format!("{scheme}://{}{port}", authority.host());
        if !bare.eq_ignore_ascii_case(origin) {
            return Err(WRONG.to_owned());
        }
        let is_own = OWN_PORTS.contains(&(&scheme.to_ascii_lowercase(), authority.port_u16().unwrap_or_default()));
        let sent = if is_own { bare.trim_end_matches(&port) } else { &bare }.to_ascii_lowercase();
        if sent != origin {
            return Err(format!(
                "is never sent: browsers use lower case and leave out the scheme's default port, expected `{sent}`"
            ));
        }
    }
    HeaderValue::from_str(origin).map_err(|_| WRONG.to_owned())
}

/// Ports that browsers leave out.
const OWN_PORTS: [(&str, u16); 2] = [("http", 80), ("https", 443)];

/// What a script may read of an answer beside the safelisted fields.
fn exposed() -> HeaderValue {
    let fields = answer_fields().collect::<Vec<_>>().join(", ");
    // Names of fields always make one.
    HeaderValue::try_from(fields).unwrap_or(HeaderValue::from_static("x-request-id"))
}

struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
    max_age: HeaderValue,
    exposed: HeaderValue,
}

impl Cors {
    /// The value of `access-control-allow-origin` for this request, if its origin is allowed.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if self.any {
            Some(HeaderValue::from_static("*"))
        } else {
            self.origins.contains(origin).then(|| origin.clone())
        }
    }
}

#[async_trait]
impl Plugin for Cors {
    fn name(&self) -> &'static str {
        PLUGIN.name
    }

    fn phases(&self) -> Phases {
        Phases { request: true, response: true, ..Phases::default() }
    }

    /// Answers preflights, which carry no credential, before authentication.
    async fn request_filter(&self, head: &mut RequestHead<'_>) -> Result<Flow, Reject> {
        if *head.method != Method::OPTIONS || !head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return Ok(Flow::Continue);
        }
        let mut headers = Vec::new();
        if self.allowed(head.headers).is_some() {
            headers.push((ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOWED_METHODS)));
            headers.push((ACCESS_CONTROL_MAX_AGE, self.max_age.clone()));
            if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.push((ACCESS_CONTROL_ALLOW_HEADERS, asked.clone()));
            }
        }
        Ok(Flow::Respond(Reply { status: StatusCode::NO_CONTENT, headers, body: Default::default() }))
    }

    fn response_filter(&self, request_headers: &HeaderMap, _status: StatusCode, headers: &mut HeaderMap) {
        // What the upstream says about origins concerns its own callers.
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS] {
            headers.remove(name);
        }
        if !self.any {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = self.allowed(request_headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }
}

#[cfg(test)]
mod tests;

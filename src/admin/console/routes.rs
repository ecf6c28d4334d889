//! THE table of the API: what is not in it is not there. The router and the API's description are both made from it.

use super::access::{Access, USER};
use super::guard::{Gate, guard};
use super::query::Query;
use super::refusal::{Code, Refusal};
use super::schema::{Answer, Form};
use super::{
    Desk, assets, audit, codes, groups, health, keys, logs, openapi, operations, overview, people, price_file, prices,
    session, upstreams, usage,
};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use std::sync::Arc;
use utoipa::ToSchema;

/// Where all of it is.
pub(super) const ROOT: &str = "/console";

/// The tables, each beside its endpoints.
const TABLES: [&[Route]; 15] = [
    session::ROUTES,
    people::ROUTES,
    codes::ROUTES,
    keys::ROUTES,
    groups::ROUTES,
    upstreams::ROUTES,
    prices::ROUTES,
    price_file::ROUTES,
    operations::ROUTES,
    health::ROUTES,
    audit::ROUTES,
    logs::ROUTES,
    usage::ROUTES,
    overview::ROUTES,
    ITSELF,
];

/// What operators of other gateways call things.
const ALIASES: [(&str, &str); 2] = [("/api/upstreams", "/api/channels"), ("/api/keys", "/api/tokens")];

/// A method of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As the API's description has it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// An endpoint for a method: `|verb| on(verb, list)`.
type Endpoint = fn(MethodFilter) -> MethodRouter<Arc<Desk>>;

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) verb: Verb,
    /// Below [`ROOT`].
    pub(super) path: &'static str,
    pub(super) access: Access,
    endpoint: Endpoint,
    pub(super) summary: &'static str,
    /// The document that is sent.
    pub(super) takes: Option<Form>,
    /// The query, as the structures that it is read as.
    pub(super) asks: Option<fn() -> Vec<Form>>,
    pub(super) gives: Answer,
    /// What else it can refuse than what follows from the rest of the row.
    pub(super) refuses: &'static [Code],
}

impl Route {
    /// A row. It takes nothing and answers nothing, until it says so.
    pub(super) const fn new(
        verb: Verb,
        path: &'static str,
        access: Access,
        endpoint: Endpoint,
        summary: &'static str,
    ) -> Self {
        let gives = Answer::Nothing;
        Self { verb, path, access, endpoint, summary, takes: None, asks: None, gives, refuses: &[] }
    }

    /// A document is sent.
    pub(super) const fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Some(Form::of::<T>());
        self
    }

    /// There is a query.
    pub(super) const fn asks<T: Query>(mut self) -> Self {
        self.asks = Some(T::forms);
        self
    }

    /// A document is answered.
    pub(super) const fn gives<T: ToSchema>(mut self) -> Self {
        self.gives = Answer::Document(Form::of::<T>());
        self
    }

    /// A new thing is answered.
    pub(super) const fn makes<T: ToSchema>(mut self) -> Self {
        self.gives = Answer::Made(Form::of::<T>());
        self
    }

    /// A part of a listing is answered.
    pub(super) const fn lists<T: ToSchema>(mut self) -> Self {
        self.gives = Answer::Listing(Form::of::<T>());
        self
    }

    /// Something of one of these types is answered.
    pub(super) const fn gives_raw(mut self, content_types: &'static [&'static str]) -> Self {
        self.gives = Answer::Raw(content_types);
        self
    }

    /// It can refuse for these reasons, too.
    pub(super) const fn refuses(mut self, codes: &'static [Code]) -> Self {
        self.refuses = codes;
        self
    }

    /// Why it can refuse.
    pub(super) fn all_refusals(&self) -> Vec<Code> {
        let mut codes = vec![Code::Unavailable];
        codes.extend(self.refuses);
        let by_role = self.access.role().is_some();
        for (applies, code) in [
            (by_role, Code::Unauthenticated),
            (by_role && self.access != USER || self.verb != Verb::Get, Code::Forbidden),
            (self.path.contains('{'), Code::NotFound),
            (self.takes.is_some() || self.asks.is_some(), Code::Invalid),
            (self.takes.is_some(), Code::TooLarge),
        ] {
            if applies {
                codes.push(code);
            }
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

/// The description of the API belongs to it.
const ITSELF: &[Route] = &[Route::new(
    Verb::Get,
    "/api/openapi.json",
    USER,
    |verb| on(verb, openapi::answer),
    "This description of the API (OpenAPI 3.1).",
)
.gives_raw(&["application/json"])];

/// Every row with each path it has, aliases too.
pub(super) fn rows() -> impl Iterator<Item = (String, &'static Route)> {
    TABLES.into_iter().flatten().flat_map(|route| {
        let aliases = ALIASES.iter().filter_map(|(name, alias)| {
            let rest = route.path.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{alias}{rest}"))
        });
        [route.path.to_owned()].into_iter().chain(aliases.collect::<Vec<_>>()).map(move |path| (path, route))
    })
}

/// The whole of `/console`.
pub(super) fn router(desk: &Arc<Desk>) -> Router {
    let mut router = Router::new();
    for (path, route) in rows() {
        let gate = Gate { desk: desk.clone(), access: route.access };
        let endpoint = (route.endpoint)(route.verb.filter()).route_layer(from_fn_with_state(gate, guard));
        router = router.route(&format!("{ROOT}{path}"), endpoint);
    }
    router
        .method_not_allowed_fallback(async || Refusal::new(Code::MethodNotAllowed, "not with this method"))
        .fallback(assets::page)
        .with_state(desk.clone())
}

//! What endpoints take out of a request; what they take out of its query is in `query`.

use super::query::Whole;
use super::refusal::Refusal;
use crate::store::Page;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Rows of a listing, if nobody says.
const LIMIT_DEFAULT: u32 = 50;

/// The JSON document that was sent.
pub(super) struct Sent<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body =
            Bytes::from_request(request, state).await.map_err(|_| Refusal::field("", "the body is not whole"))?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let sent = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            wrong(if path == "." { "" } else { &path }, &error.into_inner().to_string())
        })?;
        json.end().map_err(|error| wrong("", &error.to_string()))?;
        Ok(Self(sent))
    }
}

/// The number in the path; anything else is nothing that there is.
pub(super) struct Id(pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<i64>::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Refusal::not_found())
    }
}

/// The name in the path; what is not UTF-8 is nothing that there is.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|_| Refusal::not_found())
    }
}

/// A refusal that names the field, also where serde names it only in its sentence.
fn wrong(path: &str, message: &str) -> Refusal {
    let named = message.split_once(" field `").and_then(|(_, rest)| rest.split_once('`')).map(|(name, _)| name);
    let field = match (path, named) {
        ("", Some(name)) => name.to_owned(),
        (path, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    Refusal::field(&field, message)
}

/// Which part of a listing.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct Part {
    /// What the page before said comes next.
    #[schema(inline)]
    cursor: Option<Whole<0, { i64::MAX }>>,
    /// Rows at most; 50 if nobody says.
    #[schema(inline)]
    limit: Option<Limit>,
}

impl Part {
    /// As the store has it: with one row more, which says whether another part is behind this one.
    pub(super) fn page(&self) -> Page {
        Page { after: self.cursor.map(|cursor| cursor.0), limit: rows(self.limit) + 1 }
    }
}

/// How many rows may be asked for at once.
pub(super) type Limit = Whole<1, 1000>;

/// So many rows at most.
pub(super) fn rows(limit: Option<Limit>) -> u32 {
    limit.and_then(|limit| limit.0.try_into().ok()).unwrap_or(LIMIT_DEFAULT)
}

/// A part of a listing, as it is answered.
#[derive(Serialize)]
pub(super) struct Listed<T> {
    /// The rows.
    pub(super) items: Vec<T>,
    /// The cursor of the next part; `null`: there is none.
    pub(super) next: Option<i64>,
}

impl<T> Listed<T> {
    /// Rows of a [`Part::page`], the one that is too many included.
    pub(super) fn of<R>(mut rows: Vec<R>, page: Page, id: impl Fn(&R) -> i64, show: impl Fn(R) -> T) -> Self {
        let has_more = rows.len() >= page.limit as usize;
        rows.truncate(page.limit as usize - 1);
        let next = rows.last().filter(|_| has_more).map(id);
        Self { items: rows.into_iter().map(show).collect(), next }
    }
}

/// A field that may be left out, be `null`, or have a value: three different things.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

//! What endpoints take out of a request.

use super::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, RawQuery, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Rows of a listing, if nobody says.
const LIMIT_DEFAULT: u32 = 50;
/// And at most.
const LIMIT_MAX: u32 = 1000;

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

/// What the query asks for.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Ok(RawQuery(_)) = RawQuery::from_request_parts(parts, state).await;
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| wrong("", &error.body_text()))
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
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// What the page before said comes next.
    pub(super) cursor: Option<i64>,
    /// Rows at most: 1 to 1000, 50 if nobody says.
    pub(super) limit: Option<u32>,
}

impl Part {
    /// # Errors
    /// The limit is out of bounds.
    pub(super) fn limit(&self) -> Result<u32, Refusal> {
        limit(self.limit)
    }

    /// As the store has it.
    ///
    /// # Errors
    /// The limit is out of bounds.
    pub(super) fn page(&self) -> Result<crate::store::Page, Refusal> {
        Ok(crate::store::Page { after: self.cursor, limit: self.limit()? })
    }
}

/// A limit within the API's bounds.
///
/// # Errors
/// It is not.
pub(super) fn limit(limit: Option<u32>) -> Result<u32, Refusal> {
    match limit.unwrap_or(LIMIT_DEFAULT) {
        limit if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(Refusal::field("limit", format!("expected a number from 1 to {LIMIT_MAX}"))),
    }
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
    /// Rows that the store gave for this limit; a full part may have another behind it.
    pub(super) fn of<R>(rows: Vec<R>, limit: u32, id: impl Fn(&R) -> i64, show: impl Fn(R) -> T) -> Self {
        let is_full = rows.len() >= limit as usize;
        let next = rows.last().filter(|_| is_full).map(id);
        Self { items: rows.into_iter().map(show).collect(), next }
    }
}

/// A field that may be left out, be `null`, or have a value: three different things.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

//! What the API says when it does not do what is asked.

use crate::store::{StoreError, StoreErrorKind};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

/// What is wrong, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Code {
    /// Nobody is signed in.
    Unauthenticated,
    /// Not with this role, or not from this page.
    Forbidden,
    /// There is none, for whoever asks.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// What was sent is not acceptable.
    Invalid,
    /// What there is does not allow it.
    Conflict,
    /// More than is read.
    TooLarge,
    /// Too often.
    TooMany,
    /// Not now.
    Unavailable,
}

/// A code, its word and its status.
const CODES: [(Code, &str, StatusCode); 9] = [
    (Code::Unauthenticated, "UNAUTHENTICATED", StatusCode::UNAUTHORIZED),
    (Code::Forbidden, "FORBIDDEN", StatusCode::FORBIDDEN),
    (Code::NotFound, "NOT_FOUND", StatusCode::NOT_FOUND),
    (Code::MethodNotAllowed, "METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED),
    (Code::Invalid, "INVALID", StatusCode::BAD_REQUEST),
    (Code::Conflict, "CONFLICT", StatusCode::CONFLICT),
    (Code::TooLarge, "TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE),
    (Code::TooMany, "TOO_MANY", StatusCode::TOO_MANY_REQUESTS),
    (Code::Unavailable, "UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
];

impl Code {
    fn row(self) -> &'static (Self, &'static str, StatusCode) {
        CODES.iter().find(|(code, ..)| *code == self).unwrap_or(&CODES[CODES.len() - 1])
    }

    /// As `error.code` says it.
    pub(super) fn word(self) -> &'static str {
        self.row().1
    }

    /// The answer's status.
    pub(super) fn status(self) -> StatusCode {
        self.row().2
    }
}

/// An answer that is none.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    message: String,
    /// Which field of the request.
    field: Option<String>,
    /// Everything that is wrong, where that is more than one thing. Boxed: every endpoint's result has room for it.
    errors: Option<Box<Value>>,
    /// In how many seconds it may be tried again.
    retry_after_s: Option<u64>,
}

impl Refusal {
    /// A refusal in a sentence.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, errors: None, retry_after_s: None }
    }

    /// Why.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// There is none, for whoever asks.
    pub(super) fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing")
    }

    /// A field is not acceptable.
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message).at(field)
    }

    /// Because of this field.
    pub(super) fn at(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// A field that is not to be changed here.
    pub(super) fn conflict(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message).at(field)
    }

    /// It may be tried again after so many milliseconds.
    pub(super) fn after_ms(self, wait_ms: i64) -> Self {
        Self { retry_after_s: Some(wait_ms.max(0).unsigned_abs().div_ceil(1000)), ..self }
    }

    /// With all that is wrong.
    pub(super) fn errors(self, errors: Value) -> Self {
        Self { errors: Some(Box::new(errors)), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code.word(), "message": self.message});
        for (key, value) in [("field", self.field.map(Value::from)), ("errors", self.errors.map(|errors| *errors))] {
            if let Some(value) = value {
                error[key] = value;
            }
        }
        let mut response = (self.code.status(), Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let code = match error.kind {
            StoreErrorKind::NotFound => Code::NotFound,
            StoreErrorKind::NameTaken => {
                return Self { field: Some("name".into()), ..Self::new(Code::Conflict, error.message) };
            }
            StoreErrorKind::Conflict => Code::Conflict,
            StoreErrorKind::Invalid => Code::Invalid,
            _ => {
                tracing::warn!("console: {error}");
                // Where it is on the disk is nobody's business.
                return Self::new(Code::Unavailable, "the store does not answer now");
            }
        };
        Self::new(code, error.message)
    }
}

//! Refusals: every answer that is Tollgate's own, as one table.

/// Why a request is refused. The wire form (status, code, message) is [`RejectCode::row`]; the shape of the body follows
/// the caller's dialect and is made by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectCode {
    /// No credential.
    AuthMissingToken,
    /// Unknown or disabled credential.
    AuthInvalidToken,
    /// The key's time is over.
    TokenExpired,
    /// The key's balance cannot cover the worst case of this request.
    QuotaInsufficient,
    /// Known, but not allowed: a model outside the key's list, an origin, an address.
    Forbidden,
    /// No such model for this key's group.
    ModelNotFound,
    /// No such path.
    NotFound,
    /// The request cannot be understood.
    InvalidRequest,
    /// The model has no price, and the configuration refuses such requests.
    PriceMissing,
    /// The body or the head is larger than allowed.
    RequestTooLarge,
    /// A rate limit.
    RateLimitExceeded,
    /// No upstream can take the request now.
    UpstreamUnavailable,
    /// The journal cannot take the request now.
    BillingUnavailable,
    /// The gateway has no memory for the request now.
    Overloaded,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// Another request with the same idempotency key is being served.
    IdempotencyInProgress,
    /// One has been served, and its answer cannot be given again.
    IdempotencyAlreadyDone,
    /// The idempotency key is another request's.
    IdempotencyMismatch,
}

/// One row of the contract's error table.
#[derive(Clone, Copy, Debug)]
pub struct RejectRow {
    /// HTTP status.
    pub status: u16,
    /// The code in the body.
    pub code: &'static str,
    /// The message when the refusal brings none.
    pub message: &'static str,
    /// Who refused: the value of `x-tollgate-rejected-by`, if the header is sent.
    pub rejected_by: Option<&'static str>,
    /// OpenAI's `error.type`, also Anthropic's where it has that name.
    pub openai_type: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Gemini's `error.status` (google.rpc.Code).
    pub gemini_status: &'static str,
}

impl RejectCode {
    /// This code's row.
    pub fn row(self) -> RejectRow {
        ROWS[self as usize]
    }

    /// All rows, in the order of the codes.
    pub fn rows() -> &'static [RejectRow] {
        &ROWS
    }
}

/// One row a code, in the order of [`RejectCode`]: status, code, message, who refused, and the types in OpenAI's,
/// Anthropic's and Gemini's shapes. Kept as a table, hence unformatted.
#[rustfmt::skip]
const ROWS: [RejectRow; 18] = [
    row(401, "AUTH_MISSING_TOKEN", "Missing API key", "auth", ["authentication_error", "authentication_error", "UNAUTHENTICATED"]),
    row(401, "AUTH_INVALID_TOKEN", "Invalid API key", "auth", ["authentication_error", "authentication_error", "UNAUTHENTICATED"]),
    row(401, "TOKEN_EXPIRED", "Token has expired", "auth", ["authentication_error", "authentication_error", "UNAUTHENTICATED"]),
    row(402, "QUOTA_INSUFFICIENT", "Insufficient quota", "quota", ["insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"]),
    row(403, "FORBIDDEN", "Not allowed", "auth", ["permission_error", "permission_error", "PERMISSION_DENIED"]),
    row(404, "MODEL_NOT_FOUND", "Model not found", "routing", ["invalid_request_error", "not_found_error", "NOT_FOUND"]),
    row(404, "NOT_FOUND", "Not found", "routing", ["invalid_request_error", "not_found_error", "NOT_FOUND"]),
    row(400, "INVALID_REQUEST", "Invalid request", "routing", ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"]),
    row(400, "PRICE_MISSING", "This model has no price", "billing", ["invalid_request_error", "invalid_request_error", "FAILED_PRECONDITION"]),
    row(413, "REQUEST_TOO_LARGE", "Request too large", "routing", ["invalid_request_error", "request_too_large", "INVALID_ARGUMENT"]),
    row(429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded", "rate_limit", ["rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"]),
    row(503, "UPSTREAM_UNAVAILABLE", "No upstream is available", "routing", ["server_error", "overloaded_error", "UNAVAILABLE"]),
    row(503, "BILLING_UNAVAILABLE", "Billing is unavailable", "billing", ["server_error", "api_error", "UNAVAILABLE"]),
    row(503, "OVERLOADED", "The gateway has no memory for this request now", "routing", ["server_error", "overloaded_error", "UNAVAILABLE"]),
    row(504, "UPSTREAM_TIMEOUT", "The upstream did not answer in time", "", ["server_error", "timeout_error", "DEADLINE_EXCEEDED"]),
    row(409, "IDEMPOTENCY_IN_PROGRESS", "A request with this idempotency key is being served", "billing", ["invalid_request_error", "invalid_request_error", "ABORTED"]),
    row(409, "IDEMPOTENCY_ALREADY_DONE", "A request with this idempotency key has been served", "billing", ["invalid_request_error", "invalid_request_error", "ALREADY_EXISTS"]),
    row(422, "IDEMPOTENCY_MISMATCH", "This idempotency key was used for another request", "billing", ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"]),
];

/// `by` is `routing` also where a request has no way upstream for what it is; and empty where nobody refused: the upstream was too slow.
const fn row(
    status: u16,
    code: &'static str,
    message: &'static str,
    by: &'static str,
    [openai_type, anthropic_type, gemini_status]: [&'static str; 3],
) -> RejectRow {
    let rejected_by = if by.is_empty() { None } else { Some(by) };
    RejectRow { status, code, message, rejected_by, openai_type, anthropic_type, gemini_status }
}

/// A refusal of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Which row of the table.
    pub code: RejectCode,
    /// Said to the caller instead of the row's message. Never holds a secret.
    pub message: Option<String>,
    /// The request field that is wrong (OpenAI's `param`).
    pub param: Option<String>,
    /// Seconds for `retry-after`.
    pub retry_after_s: Option<u64>,
    /// The same request will never be taken: SDKs are told not to retry it, whatever the status says to them.
    pub not_again: bool,
    /// Further response headers (`x-ratelimit-*`).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

impl Reject {
    /// A refusal with the row's own message.
    pub fn new(code: RejectCode) -> Self {
        Self { code, message: None, param: None, retry_after_s: None, not_again: false, headers: Vec::new() }
    }

    /// With a message of its own.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With the field that is wrong.
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// With `retry-after`, in seconds.
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// For a request that will never be taken.
    pub fn not_again(mut self) -> Self {
        self.not_again = true;
        self
    }
}

impl From<RejectCode> for Reject {
    fn from(code: RejectCode) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::{ROWS, RejectCode};

    #[test]
    fn rows_stand_in_the_order_of_their_codes() {
        assert_eq!(RejectCode::AuthMissingToken.row().code, "AUTH_MISSING_TOKEN");
        assert_eq!(RejectCode::TokenExpired.row().message, "Token has expired");
        assert_eq!(RejectCode::QuotaInsufficient.row().status, 402);
        assert_eq!(RejectCode::UpstreamTimeout.row().rejected_by, None);
        assert_eq!(RejectCode::InvalidRequest.row().rejected_by, Some("routing"));
        assert_eq!(RejectCode::RateLimitExceeded.row().rejected_by, Some("rate_limit"));
        assert_eq!(RejectCode::UpstreamTimeout.row().code, "UPSTREAM_TIMEOUT");
        assert_eq!(RejectCode::IdempotencyMismatch.row().code, "IDEMPOTENCY_MISMATCH");
        assert_eq!(RejectCode::IdempotencyMismatch as usize + 1, ROWS.len());
    }
}

//! How an exchange ended, and what its record calls that.

use super::exchange::Answer;
use crate::ledger::{INTERNAL_ERROR, Outcome};
use tollgate_plugin_api::RejectCode;

/// Nginx's word for a client that left before it got anything: the status where there is none.
pub(super) const CLIENT_CLOSED: u16 = 499;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The answer is whole, as far as the upstream is concerned.
    Whole,
    /// The upstream failed in the middle of its answer.
    Broken(Cut),
    /// The upstream's answer was an error, and the client got it.
    Refused(u16),
    /// No upstream gave an HTTP answer; the client got this refusal.
    NoAnswer(RejectCode),
    /// The client left and the answer was not read to its end.
    Aborted,
    /// A filter panicked.
    Panicked,
    /// The gateway was stopped, and this took longer than `shutdown_ms`.
    Stopped,
}

/// How an upstream failed in the middle of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection broke, or what came is no whole answer.
    BrokeOff,
    /// Nothing more came in time.
    TimedOut,
}

impl Cut {
    /// Its code, in records and in the event that ends a stream.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::BrokeOff => "UPSTREAM_BROKE_OFF",
            Self::TimedOut => RejectCode::UpstreamTimeout.row().code,
        }
    }

    /// What that event says.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::BrokeOff => "The upstream broke off its answer",
            Self::TimedOut => "The upstream did not go on with its answer in time",
        }
    }
}

impl End {
    /// The code of what cut an exchange off in its middle.
    pub(super) fn cut_off(self) -> Option<&'static str> {
        match self {
            Self::Panicked => Some(INTERNAL_ERROR),
            Self::Stopped => Some("GATEWAY_STOPPED"),
            Self::Aborted => Some("CLIENT_CLOSED"),
            Self::Whole | Self::Broken(_) | Self::Refused(_) | Self::NoAnswer(_) => None,
        }
    }
}

/// An error and nothing before it is no answer, whatever its status was: it costs what one above 400 costs, unless its provider
/// says what it took. (What Anthropic says at a stream's start is not yet that.) Images that have begun are something.
pub(super) fn came_to_nothing(answer: &Answer, end: End) -> bool {
    let scanner = &answer.scanner;
    let failed = matches!(end, End::Broken(_)) || scanner.error_event().is_some();
    let is_bare = || scanner.made().images.is_none_or(|images| images == 0);
    failed && !scanner.token_seen() && scanner.delivered().total_bytes() == 0 && !scanner.has_counted() && is_bare()
}

/// Outcome, status and error code of the record. `gone`: the client left; `delivered`: after it got bytes of the answer.
pub(super) fn words(
    end: End,
    (gone, delivered): (bool, bool),
    answer: Option<&Answer>,
) -> (Outcome, u16, Option<String>) {
    let sent = answer.map_or(CLIENT_CLOSED, |answer| answer.status);
    // Where nothing more goes out, what is not out by now never was.
    let is_over = gone || end.cut_off().is_some();
    let status = if is_over && !delivered { CLIENT_CLOSED } else { sent };
    let refusal = |answer: &Answer| answer.translation.as_ref().is_some_and(|told| told.refusal().is_some());
    let error_event = answer.is_some_and(|answer| answer.scanner.error_event().is_some() || refusal(answer));
    let error_event_told = || (Outcome::UpstreamError, status, Some("UPSTREAM_ERROR_EVENT".into()));
    match end {
        End::Panicked | End::Stopped => (Outcome::Interrupted, status, end.cut_off().map(Into::into)),
        // Many clients leave at an error, as at the end: they have all that there is.
        End::Aborted | End::Broken(_) if answer.is_some_and(|answer| answer.is_error_told) => error_event_told(),
        End::Aborted => (Outcome::ClientAborted, status, end.cut_off().map(Into::into)),
        _ if gone => (Outcome::ClientAborted, status, End::Aborted.cut_off().map(Into::into)),
        End::Whole => (Outcome::Ok, status, None),
        End::Broken(_) if error_event => error_event_told(),
        End::Broken(cut) => (Outcome::UpstreamError, status, Some(cut.code().into())),
        // The client may have got another status than the upstream's.
        End::Refused(theirs) => (Outcome::UpstreamError, status, Some(format!("UPSTREAM_STATUS_{theirs}"))),
        End::NoAnswer(code) => {
            let row = code.row();
            (Outcome::UpstreamError, row.status, Some(row.code.into()))
        }
    }
}

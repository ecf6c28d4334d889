//! The response object.

use super::super::super::error::Refusal;
use super::super::super::write::Members;
use super::super::output::list;
use super::Head;
use tollgate_plugin_api::{Metered, ServiceTier};

/// How far it is.
pub(super) enum Outcome<'a> {
    /// It has begun.
    Running,
    /// It is over.
    Whole {
        /// The items, as JSON with commas.
        output: &'a str,
        /// Why it is not complete: OpenAI's `reason`, or the provider's own word where OpenAI has none; a member's name
        /// and its text.
        cut_by: Option<(&'static str, &'a str)>,
        /// What it used.
        metered: Option<&'a Metered>,
    },
    /// Something is wrong.
    Failed {
        /// The complete items, as JSON with commas.
        output: &'a str,
        /// What.
        refusal: &'a Refusal<'a>,
    },
}

/// Its members.
pub(super) fn response(members: &mut Members<'_>, head: &Head, outcome: &Outcome<'_>) {
    let (status, output, tier) = match outcome {
        Outcome::Running => ("in_progress", "", "auto"),
        Outcome::Whole { output, cut_by: None, metered } => ("completed", *output, tier(*metered)),
        Outcome::Whole { output, metered, .. } => ("incomplete", *output, tier(*metered)),
        Outcome::Failed { output, .. } => ("failed", *output, "default"),
    };
    members.member("id", &head.id);
    members.member("object", "response");
    members.member("created_at", &head.created_s);
    members.member("status", status);
    match outcome {
        Outcome::Failed { refusal, .. } => members.object("error", |error| {
            error.member("code", refusal.code.as_deref().unwrap_or(code(refusal.status)));
            error.member("message", &refusal.message);
        }),
        _ => members.member("error", &()),
    }
    match outcome {
        Outcome::Whole { cut_by: Some((name, word)), .. } => {
            members.object("incomplete_details", |details| details.member(name, word));
        }
        _ => members.member("incomplete_details", &()),
    }
    members.member("model", &head.model);
    members.written("output", &list(output));
    members.spliced(&head.echo.members);
    members.member("service_tier", tier);
    match outcome {
        Outcome::Whole { metered: Some(metered), .. } => usage(members, metered),
        _ => members.member("usage", &()),
    }
}

/// The code of an error that has none.
fn code(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    }
}

fn tier(metered: Option<&Metered>) -> &'static str {
    match metered.map(|metered| metered.tier) {
        Some(ServiceTier::Flex) => "flex",
        Some(ServiceTier::Priority) => "priority",
        Some(ServiceTier::Ultrafast) => "ultrafast",
        Some(ServiceTier::Standard | ServiceTier::Batch) | None => "default",
    }
}

fn usage(members: &mut Members<'_>, metered: &Metered) {
    let used = metered.usage;
    members.object("usage", |usage| {
        usage.member("input_tokens", &used.input_tokens);
        usage.object("input_tokens_details", |details| {
            details.member("cached_tokens", &used.cached_input_tokens);
            details.member("cache_write_tokens", &used.cache_write_tokens);
        });
        usage.member("output_tokens", &used.output_tokens);
        usage.object("output_tokens_details", |details| details.member("reasoning_tokens", &used.reasoning_tokens));
        usage.member("total_tokens", &used.input_tokens.saturating_add(used.output_tokens));
    });
}

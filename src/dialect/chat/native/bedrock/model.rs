//! What the vendors behind Converse take beyond it.

use crate::dialect::chat::anthropic::models;
use crate::dialect::chat::anthropic::request_writer::{sampling::Sampled, thinking};
use crate::dialect::chat::fields::Field;
use crate::dialect::chat::json::Json;
use crate::dialect::chat::request::{ChatRequest, Effort, Part, Role, ToolChoice};
use crate::dialect::chat::wire::{Inexpressible, Manner};
use crate::dialect::chat::write::{Members, object};
use std::borrow::Cow;

/// Whose model it is, as far as its requests differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Anthropic's: as in Messages.
    Claude,
    /// Amazon's first Nova: no thinking.
    Nova,
    /// Its second.
    Nova2,
    /// OpenAI's open models.
    GptOss,
    /// Meta's.
    Llama,
    Other,
}

/// By a part of the model's id; the first that is found.
const FAMILIES: [(&str, Family); 5] = [
    ("claude", Family::Claude),
    ("nova-2", Family::Nova2),
    ("nova", Family::Nova),
    ("gpt-oss", Family::GptOss),
    ("llama", Family::Llama),
];

fn family(model: &str) -> Family {
    FAMILIES.iter().find(|(part, _)| model.contains(part)).map_or(Family::Other, |(_, family)| *family)
}

/// Cache points are refused by models that cache nothing.
pub(super) fn takes_cache_points(model: &str) -> bool {
    matches!(family(model), Family::Claude | Family::Nova | Family::Nova2)
}

/// What a model takes of schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schemas {
    /// Those that are enforced must be closed and say less, as Anthropic's own API has it ("For 'object' type, 'additionalProperties'
    /// must be explicitly set to false"; github.com/future-agi/future-agi/pull/412).
    AsAnthropics,
    /// As they are written.
    AsTheyAre,
    /// As they are written; no tool's is enforced.
    NeverEnforced,
    /// The same, and with the least at the top of a tool's.
    Bare,
}

/// Which models enforce schemas, by Amazon Bedrock's user guide, "Get validated JSON results from models": Claude since 4.5 and
/// open-weight ones, but neither Nova nor Llama.
const SCHEMAS: [(Family, Schemas); 4] = [
    (Family::Claude, Schemas::AsAnthropics),
    (Family::Nova, Schemas::Bare),
    (Family::Nova2, Schemas::Bare),
    (Family::Llama, Schemas::NeverEnforced),
];

/// How a model takes schemas.
pub(super) fn schemas(model: &str) -> Schemas {
    let family = family(model);
    SCHEMAS.iter().find(|(own, _)| *own == family).map_or(Schemas::AsTheyAre, |(_, taken)| *taken)
}

/// Whether results of tools, and calls, must be turns of their own: "Conversation blocks and tool result blocks cannot be provided
/// in the same turn", "… tool use blocks …" (Llama 3.2 and 4; github.com/strands-agents/harness-sdk/issues/1223,
/// quarkiverse/quarkus-langchain4j/issues/1983).
pub(super) fn has_tools_apart(model: &str) -> bool {
    family(model) == Family::Llama
}

/// What is written of sampling and thinking.
pub(super) struct Plan<'a> {
    limit: Option<Json<'a>>,
    temperature: Option<Json<'a>>,
    top_p: Option<Json<'a>>,
    /// The members of `additionalModelRequestFields`.
    additional: String,
    /// `outputConfig.effort`
    effort: Option<&'static str>,
    /// False: the model is Claude, and is not to think.
    thinks: bool,
}

impl<'a> Plan<'a> {
    /// Decides on it.
    ///
    /// # Errors
    /// What only some vendors' models can do.
    pub(super) fn of(
        request: &ChatRequest<'a>,
        manner: &Manner<'_>,
        unused: &mut Vec<Field>,
    ) -> Result<Self, Inexpressible> {
        let family = family(manner.model);
        if family == Family::Claude {
            return Self::of_claude(request, manner, unused);
        }
        let value = |field| request.options.plain(field).cloned();
        let mut members = Vec::new();
        let limit = value(Field::OutputTokens);
        let (temperature, top_p) = (value(Field::Temperature), value(Field::TopP));
        let is_free = limit.is_none() && temperature.is_none() && top_p.is_none();
        let top_k = value(Field::TopK);
        if top_k.is_some() && !matches!(family, Family::Nova | Family::Nova2) {
            return Err(Inexpressible::new(Field::TopK, "a choice among the most likely tokens"));
        }
        let thought = thinking_of(family, request, is_free, unused);
        object(&mut members, |fields| {
            if let Some(top_k) = &top_k {
                fields.object("inferenceConfig", |config| config.raw("topK", top_k));
            }
            match thought {
                Some(Thought::Reasoning(None)) => {
                    fields.object("reasoningConfig", |config| config.member("type", "disabled"));
                }
                Some(Thought::Reasoning(Some(effort))) => fields.object("reasoningConfig", |config| {
                    config.member("type", "enabled");
                    config.member("maxReasoningEffort", effort);
                }),
                Some(Thought::Effort(effort)) => fields.member("reasoning_effort", effort),
                None => {}
            }
        });
        Ok(Self { limit, temperature, top_p, additional: inside(&members), effort: None, thinks: true })
    }

    /// As Anthropic's own API has it: what Claude refuses together is decided there.
    fn of_claude(
        request: &ChatRequest<'a>,
        manner: &Manner<'_>,
        unused: &mut Vec<Field>,
    ) -> Result<Self, Inexpressible> {
        let options = &request.options;
        let model = models::model(manner.model);
        model.check_choice(options.tool_choice.as_ref())?;
        let limit = options.plain(Field::OutputTokens).cloned();
        let tokens = limit.as_ref().and_then(|limit| limit.as_str().parse().ok());
        let asked = thinking::Asked {
            limit: tokens.unwrap_or(manner.output_tokens_default),
            must_call: matches!(options.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))),
            began_without: calls_go_on_without_thoughts(request),
            is_prefilled: answer_goes_on_without_thoughts(request),
        };
        let plan = thinking::plan(options.reasoning, model, &asked, unused);
        let sampled = Sampled::of(options, model.sampling, plan.thinks(), unused);
        let [temperature, top_p, top_k] = sampled.parts().map(|part| part.cloned());
        let mut members = Vec::new();
        object(&mut members, |fields| {
            if let Some(top_k) = &top_k {
                fields.raw("top_k", top_k);
            }
            plan.write_thinking(fields);
        });
        // A budget is only below a limit: the one it was fitted to is said.
        let limit = limit.or_else(|| plan.thinks().then(|| Json::of(&manner.output_tokens_default)));
        let (effort, thinks) = (plan.effort, plan.thinks());
        Ok(Self { limit, temperature, top_p, additional: inside(&members), effort, thinks })
    }

    pub(super) fn thinks(&self) -> bool {
        self.thinks
    }

    pub(super) fn effort(&self) -> Option<&'static str> {
        self.effort
    }

    pub(super) fn write_inference(&self, body: &mut Members<'_>, stop: &[Cow<'_, str>]) {
        let values = [("maxTokens", &self.limit), ("temperature", &self.temperature), ("topP", &self.top_p)];
        if stop.is_empty() && values.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        body.object("inferenceConfig", |config| {
            for (name, value) in values {
                if let Some(value) = value {
                    config.raw(name, value);
                }
            }
            if !stop.is_empty() {
                config.member("stopSequences", stop);
            }
        });
    }

    pub(super) fn write_additional(&self, body: &mut Members<'_>) {
        if !self.additional.is_empty() {
            body.object("additionalModelRequestFields", |fields| fields.spliced(&self.additional));
        }
    }
}

enum Thought {
    /// Nova's `reasoningConfig`; `None`: off.
    Reasoning(Option<&'static str>),
    /// OpenAI's `reasoning_effort`.
    Effort(&'static str),
}

/// Vendors that are in no family have no common way to be told.
fn thinking_of(family: Family, request: &ChatRequest<'_>, is_free: bool, unused: &mut Vec<Field>) -> Option<Thought> {
    let reasoning = request.options.reasoning?;
    let effort = reasoning.effort.or_else(|| reasoning.budget_tokens.map(Effort::from_budget));
    let word = match effort {
        Some(Effort::Minimal | Effort::Low) => "low",
        // Nova at its hardest takes neither an output limit nor sampling.
        Some(Effort::High | Effort::ExtraHigh | Effort::Max) if is_free || family != Family::Nova2 => "high",
        _ => "medium",
    };
    match (family, effort) {
        (Family::Nova2, Some(Effort::None)) => Some(Thought::Reasoning(None)),
        (Family::Nova2, Some(_)) => Some(Thought::Reasoning(Some(word))),
        (Family::GptOss, Some(effort)) if effort != Effort::None => Some(Thought::Effort(word)),
        _ => {
            unused.push(Field::Reasoning);
            None
        }
    }
}

/// The model goes on with calls of its, and what it thought before them is not there: Claude refuses to think then.
fn calls_go_on_without_thoughts(request: &ChatRequest<'_>) -> bool {
    let own = |part: &Part<'_>| !matches!(part, Part::ToolResult(_) | Part::CacheMark(_));
    let asks = |message: &&super::super::super::request::Message<'_>| {
        message.role == Role::User && message.parts.iter().any(own)
    };
    let start = request.messages.iter().rposition(|message| asks(&message)).unwrap_or(0);
    let mut parts = request.messages[start..]
        .iter()
        .filter(|message| message.role == Role::Assistant)
        .flat_map(|message| &message.parts)
        .filter(|part| match part {
            Part::Reasoning { signature, .. } => super::blocks::is_ours(signature.as_ref()),
            _ => true,
        })
        .peekable();
    let began_with_thoughts = matches!(parts.peek(), Some(Part::Reasoning { .. }));
    parts.any(|part| matches!(part, Part::ToolCall(_))) && !began_with_thoughts
}

/// The conversation ends with an answer of the model's, which it is to go on with, and what it thought before that is not there.
fn answer_goes_on_without_thoughts(request: &ChatRequest<'_>) -> bool {
    let turn = request.messages.iter().rev().filter(|message| !matches!(message.role, Role::System | Role::Developer));
    let answer: Vec<_> = turn.take_while(|message| message.role == Role::Assistant).collect();
    let mut parts = answer.iter().rev().flat_map(|message| &message.parts).filter(|part| match part {
        Part::Reasoning { signature, .. } => super::blocks::is_ours(signature.as_ref()),
        Part::Text { text, .. } => !text.trim().is_empty(),
        _ => true,
    });
    parts.next().is_some_and(|first| !matches!(first, Part::Reasoning { .. }))
}

/// An object's members, without its braces.
fn inside(object: &[u8]) -> String {
    let inside = object.get(1..object.len().saturating_sub(1)).unwrap_or_default();
    String::from_utf8_lossy(inside).into_owned()
}

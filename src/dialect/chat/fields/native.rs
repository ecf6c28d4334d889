//! The fields' names in the dialects that upstreams alone speak. By docs.ollama.com/api, docs.cohere.com/reference/chat,
//! Amazon Bedrock's API reference (Converse), and Alibaba Cloud Model Studio's reference of the DashScope API.

use super::Field;
use crate::dialect::DialectId::{self, Bedrock, Cohere, DashScope, Ollama};

/// A field's name in DashScope, Cohere, Ollama and Bedrock; empty: it has none there.
type Names = (Field, [&'static str; 4]);

const DIALECTS: [DialectId; 4] = [DashScope, Cohere, Ollama, Bedrock];

/// What is not listed has no name in any of them.
#[rustfmt::skip]
static NAMES: &[Names] = &[
    (Field::Messages, ["input.messages", "messages", "messages", "messages"]),
    (Field::Instructions, ["input.messages", "messages", "messages", "system"]),
    (Field::Tools, ["parameters.tools", "tools", "tools", "toolConfig.tools"]),
    (Field::ToolChoice, ["parameters.tool_choice", "tool_choice", "tools", "toolConfig.toolChoice"]),
    (Field::ParallelToolCalls, ["parameters.parallel_tool_calls", "", "", ""]),
    (Field::OutputTokens, ["parameters.max_tokens", "max_tokens", "options.num_predict", "inferenceConfig.maxTokens"]),
    (Field::Temperature, ["parameters.temperature", "temperature", "options.temperature", "inferenceConfig.temperature"]),
    (Field::TopP, ["parameters.top_p", "p", "options.top_p", "inferenceConfig.topP"]),
    (Field::TopK, ["parameters.top_k", "k", "options.top_k", "additionalModelRequestFields.top_k"]),
    (Field::FrequencyPenalty, ["", "frequency_penalty", "options.frequency_penalty", ""]),
    (Field::PresencePenalty, ["parameters.presence_penalty", "presence_penalty", "options.presence_penalty", ""]),
    (Field::RepetitionPenalty, ["parameters.repetition_penalty", "", "options.repeat_penalty", ""]),
    (Field::MinP, ["", "", "options.min_p", ""]),
    (Field::Seed, ["parameters.seed", "seed", "options.seed", ""]),
    (Field::Stop, ["parameters.stop", "stop_sequences", "options.stop", "inferenceConfig.stopSequences"]),
    (Field::Choices, ["parameters.n", "", "", ""]),
    (Field::Logprobs, ["parameters.top_logprobs", "", "top_logprobs", ""]),
    (Field::JsonObject, ["parameters.response_format", "response_format", "format", ""]),
    (Field::JsonSchema, ["parameters.response_format", "response_format", "format", "outputConfig.textFormat"]),
    (Field::Reasoning, ["parameters.enable_thinking", "thinking", "think", "additionalModelRequestFields.thinking"]),
    (Field::ServiceTier, ["", "", "", "serviceTier.type"]),
    (Field::CacheMark, ["", "", "", "cachePoint"]),
    (Field::ToolStrict, ["", "strict_tools", "", "toolConfig.tools.toolSpec.strict"]),
];

/// What one of these dialects calls a field.
pub(super) fn name(field: Field, dialect: DialectId) -> Option<&'static str> {
    let column = DIALECTS.iter().position(|own| *own == dialect)?;
    let (_, names) = NAMES.iter().find(|(own, _)| *own == field)?;
    Some(names[column]).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_row_and_a_name_only_where_it_is_known() {
        for (index, (field, _)) in NAMES.iter().enumerate() {
            assert!(NAMES[..index].iter().all(|(before, _)| before != field), "{field:?} twice");
        }
        assert_eq!(name(Field::TopP, Cohere), Some("p"));
        assert_eq!(name(Field::Seed, Bedrock), None);
        assert_eq!(name(Field::TopP, DialectId::OpenAi), None);
        assert_eq!(DIALECTS, DialectId::UPSTREAM_ONLY);
    }
}

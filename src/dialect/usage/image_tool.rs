//! Images that a tool of OpenAI's Responses makes: billed beside the answer, by the tool's own model.

use super::count::{Count, Object};
use serde::Deserialize;
use tollgate_plugin_api::{ExtraUsage, Usage};

/// Images made by a tool of OpenAI's Responses; counted beside the answer's usage. (Shared recordings `openai/responses`; the details
/// are those of the Images API, platform.openai.com/docs/api-reference/images.)
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ImageTool {
    input_tokens: Count,
    output_tokens: Count,
    input_tokens_details: Object<ImageDetails>,
    output_tokens_details: Object<ImageDetails>,
}

/// What of a tool's tokens is images.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct ImageDetails {
    image_tokens: Count,
}

impl ImageTool {
    /// What it adds to the bill; `model`: the tool's own.
    pub(super) fn extra(self, model: Option<String>) -> Option<ExtraUsage> {
        let usage = Usage {
            input_tokens: self.input_tokens.get().unwrap_or(0),
            output_tokens: self.output_tokens.get().unwrap_or(0),
            ..Usage::default()
        };
        // What is made there is images, but for what is said to be another thing.
        let (input, output) = (self.input_tokens_details.0.image_tokens, self.output_tokens_details.0.image_tokens);
        (usage != Usage::default()).then(|| ExtraUsage {
            kind: "image_generation".to_owned(),
            model,
            usage,
            input_image_tokens: input.get().unwrap_or(0).min(usage.input_tokens),
            output_image_tokens: output.get().unwrap_or(usage.output_tokens).min(usage.output_tokens),
            ..ExtraUsage::default()
        })
    }
}

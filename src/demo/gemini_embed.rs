//! Gemini's embeddings.

use super::call::{Call, Fault, Reply};
use super::gemini::content_text;
use super::openai_media::embedding;
use serde_json::{Value, json};

/// Numbers of an embedding, unless the request says otherwise.
const DIMENSIONS_DEFAULT: u64 = 256;
/// Numbers of an embedding at most.
const DIMENSIONS_MAX: u64 = 4_096;
/// Texts of one batch at most.
const BATCH_MAX: usize = 100;

fn vector(request: &Value) -> Result<Value, Fault> {
    let text = content_text(&request["content"]);
    if text.is_empty() {
        return Err(Fault::invalid("content", "content is not specified"));
    }
    let asked = ["outputDimensionality", "output_dimensionality"].iter().find_map(|name| request[*name].as_u64());
    let dimensions = asked.unwrap_or(DIMENSIONS_DEFAULT);
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(Fault::invalid(
            "outputDimensionality",
            format!("outputDimensionality must be from 1 to {DIMENSIONS_MAX}"),
        ));
    }
    Ok(json!({"values": embedding(&text, dimensions)}))
}

/// `POST …:embedContent`.
pub(super) fn one(call: &Call<'_>) -> Result<Reply, Fault> {
    call.model("gemini", Some(call.capture))?;
    Ok(Reply::json(&json!({"embedding": vector(&call.json)?}), 0))
}

/// `POST …:batchEmbedContents`. Like the real one, neither reports any usage.
pub(super) fn batch(call: &Call<'_>) -> Result<Reply, Fault> {
    call.model("gemini", Some(call.capture))?;
    let number = call.list("requests").len();
    if !(1..=BATCH_MAX).contains(&number) {
        return Err(Fault::invalid("requests", format!("a batch must have 1 to {BATCH_MAX} requests")));
    }
    let vectors = call.list("requests").iter().map(vector).collect::<Result<Vec<_>, _>>()?;
    Ok(Reply::json(&json!({"embeddings": vectors}), 0))
}

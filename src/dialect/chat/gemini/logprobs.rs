//! Log probabilities: Google's `LogprobsResult` and OpenAI's `logprobs.content`.

use crate::dialect::chat::write::{self, Members};
use crate::dialect::chat::{Json, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogprobsResult<'a> {
    #[serde(borrow)]
    chosen_candidates: Option<Vec<Token<'a>>>,
    #[serde(borrow)]
    top_candidates: Option<Vec<Tops<'a>>>,
}

#[derive(Deserialize)]
struct Tops<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Token<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow)]
    token: Option<Text<'a>>,
    #[serde(borrow)]
    log_probability: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OpenAiToken<'a> {
    #[serde(borrow)]
    token: Option<Text<'a>>,
    #[serde(borrow)]
    logprob: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<Vec<OpenAiToken<'a>>>,
}

/// As OpenAI's chat has them: an array. `None`: there are none, or they cannot be read.
pub(super) fn read(result: &RawValue) -> Option<Json<'static>> {
    let result: LogprobsResult<'_> = serde_json::from_str(result.get()).ok()?;
    let chosen = result.chosen_candidates.filter(|chosen| !chosen.is_empty())?;
    let tops = result.top_candidates.unwrap_or_default();
    let mut out = Vec::new();
    write::array(&mut out, |elements| {
        for (place, token) in chosen.iter().enumerate() {
            elements.object_element(|element| {
                openai_token(token, element);
                element.array("top_logprobs", |alternatives| {
                    let top = tops.get(place).and_then(|top| top.candidates.as_deref()).unwrap_or_default();
                    top.iter().for_each(|token| alternatives.object_element(|element| openai_token(token, element)));
                });
            });
        }
    });
    Json::parse(String::from_utf8(out).ok()?.into())
}

fn openai_token(token: &Token<'_>, element: &mut Members<'_>) {
    let text = token.token.as_ref().map_or("", Text::as_str);
    element.member("token", text);
    element.member("logprob", &token.log_probability);
    element.member("bytes", text.as_bytes());
}

/// As Google has them, of OpenAI's arrays.
pub(super) fn write(arrays: &[&Json<'_>], candidate: &mut Members<'_>) {
    let tokens: Vec<OpenAiToken<'_>> =
        arrays.iter().filter_map(|array| serde_json::from_str::<Vec<_>>(array.as_str()).ok()).flatten().collect();
    if tokens.is_empty() {
        return;
    }
    candidate.object("logprobsResult", |result| {
        result.array("chosenCandidates", |chosen| {
            tokens.iter().for_each(|token| chosen.object_element(|element| googles_token(token, element)));
        });
        result.array("topCandidates", |tops| {
            for token in &tokens {
                tops.object_element(|top| {
                    top.array("candidates", |candidates| {
                        let alternatives = token.top_logprobs.as_deref().unwrap_or_default();
                        let each = |token| candidates.object_element(|element| googles_token(token, element));
                        alternatives.iter().for_each(each);
                    });
                });
            }
        });
    });
}

fn googles_token(token: &OpenAiToken<'_>, element: &mut Members<'_>) {
    element.member("token", token.token.as_ref().map_or("", Text::as_str));
    element.some("logProbability", token.logprob.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_through_both_ways() {
        let google = r#"{"chosenCandidates":[{"token":"Hé","tokenId":7,"logProbability":-0.250}],"topCandidates":[{"candidates":[{"token":"Hi","logProbability":-1e-3}]}]}"#;
        let raw: &RawValue = serde_json::from_str(google).unwrap();
        let openai = read(raw).unwrap();
        assert_eq!(
            openai.as_str(),
            r#"[{"token":"Hé","logprob":-0.250,"bytes":[72,195,169],"top_logprobs":[{"token":"Hi","logprob":-1e-3,"bytes":[72,105]}]}]"#
        );
        let mut out = Vec::new();
        write::object(&mut out, |candidate| write(&[&openai], candidate));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(r#"{{"logprobsResult":{}}}"#, google.replace(r#""tokenId":7,"#, ""))
        );
    }
}

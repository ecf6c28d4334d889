//! A request that has to be written anew for a candidate: all that this takes, so that it can be done on any thread.

use super::super::aside::aside;
use super::super::exchange::{Admitted, Exchange};
use super::super::prompt::Prompt;
use super::super::route;
use super::{AnswerLane, Lane};
use crate::balance::Pick;
use crate::dialect::chat::{self, ChatRules, Manner, Translated};
use crate::dialect::endpoint::{self, Endpoint, Target};
use crate::dialect::{DialectId, embed};
use crate::estimate;
use crate::provider::StreamUsage;
use bytes::Bytes;
use std::sync::Arc;
use tollgate_plugin_api::{Reject, RejectCode};

/// The most values (of lists and objects) that a request may have to be translated: the shortest has three bytes, and takes some
/// hundred while it is.
const TRANSLATED_VALUES_MAX: u64 = 250_000;
/// A body of so many bytes is written at once, in a millisecond or two; a larger one, aside.
const AT_ONCE_BYTES_MAX: usize = 128 * 1024;

/// See the module.
pub(in crate::proxy) struct Writing {
    endpoint: &'static Endpoint,
    body: Bytes,
    stream: bool,
    /// As the upstream calls it.
    model: Arc<str>,
    kind: Kind,
}

/// What is written.
enum Kind {
    /// A conversation in another dialect, of which the first is preferred.
    Chat { dialects: Vec<DialectId>, output_tokens_default: u64, asks_for_usage: bool, rules: ChatRules },
    /// Texts to embed, in another dialect. Their tokens are counted as this model's: the one that the ledger counts by.
    Embeddings { dialect: DialectId, counted_as: Arc<str> },
    /// A conversation without what other dialects' upstreams left in it. Its body is what the upstream would get.
    Unsigned(Target),
}

impl Writing {
    /// What an attempt at this candidate has to write; `None`: nothing, the request passes through.
    ///
    /// # Errors
    /// It is too much.
    pub(in crate::proxy) fn of(exchange: &Exchange, admitted: &Admitted, pick: &Pick) -> Result<Option<Self>, Reject> {
        let endpoint = admitted.target.endpoint;
        let Some(candidate) = admitted.route.plan.candidate(pick) else { return Ok(None) };
        let upstream = &exchange.snapshot.upstreams[candidate.upstream as usize];
        let (model, stream) = (candidate.upstream_model.clone(), admitted.facts.stream);
        if upstream.provider.speaks(endpoint.dialect) {
            if !endpoint.is_chat() || !chat::may_hold_foreign_signature(&admitted.body) {
                return Ok(None);
            }
            let body = route::spliced(admitted, &model, upstream);
            return Ok(Some(Self { endpoint, body, stream, model, kind: Kind::Unsigned(admitted.target.clone()) }));
        }
        let dialects: Vec<DialectId> = upstream.provider.translations(endpoint).collect();
        let Some(dialect) = dialects.first().copied() else { return Ok(None) };
        if admitted.facts.values > TRANSLATED_VALUES_MAX {
            return Err(Reject::new(RejectCode::InvalidRequest).message(format!(
                "The request has {} values; no more than {TRANSLATED_VALUES_MAX} can be translated for this model's provider",
                admitted.facts.values
            )));
        }
        let kind = if endpoint.is_chat() {
            let price = admitted.route.charges(pick).and_then(|charges| charges.price.as_ref());
            let output_tokens = price.and_then(|price| price.limits(exchange.started_at_ms).output_tokens_max);
            Kind::Chat {
                dialects,
                output_tokens_default: output_tokens.unwrap_or(exchange.snapshot.routing.output_tokens_default),
                asks_for_usage: stream && upstream.provider.stream_usage == StreamUsage::OptIn,
                rules: upstream.chat_rules(),
            }
        } else {
            Kind::Embeddings { dialect, counted_as: admitted.route.model.clone() }
        };
        Ok(Some(Self { endpoint, body: admitted.body.clone(), stream, model, kind }))
    }

    /// Writes it; `None`: as it is, it can pass through.
    ///
    /// # Errors
    /// The candidate's dialect cannot express the request, or it cannot be read.
    pub(in crate::proxy) fn write(self) -> Result<Option<Box<Lane>>, Reject> {
        let Self { endpoint, body, stream, model, kind } = self;
        // Admission has found it to be UTF-8.
        let text = std::str::from_utf8(&body).unwrap_or_default();
        match kind {
            Kind::Chat { dialects, output_tokens_default, asks_for_usage, rules } => {
                let manner = Manner { model: &model, output_tokens_default, asks_for_usage, rules };
                let (dialect, translated) = chat::translate_for(endpoint.dialect, &dialects, text, stream, &manner)?;
                let target = endpoint::chat_target(dialect, stream, &model, translated.has_media);
                Ok(Some(Lane::new(target, translated, AnswerLane::Chat, stream)))
            }
            Kind::Embeddings { dialect, counted_as } => {
                let (translated, shape) = embed::translate_request(endpoint, text, &model)?;
                let target = endpoint::embeddings_target(dialect);
                // Told to the client where the upstream reports nothing, so it has to be known before the answer's end.
                let prompt = Prompt::Body(body.clone());
                let input_tokens_counted = prompt.text(endpoint).tokens(|text| estimate::tokens(&counted_as, text));
                let answer = AnswerLane::Embeddings { shape, input_tokens_counted };
                Ok(Some(Lane::new(target, translated, answer, false)))
            }
            // Their signatures are in places where this upstream would refuse them: they go, with the thoughts that they are of.
            Kind::Unsigned(target) => {
                let unsigned = chat::without_foreign_thoughts(endpoint.dialect, &model, text);
                Ok(unsigned.map(|(body, left_out)| {
                    let changed = Translated { body: body.into(), left_out, has_media: false, repeated: Bytes::new() };
                    Lane::new(target, changed, AnswerLane::Passes, stream)
                }))
            }
        }
    }

    /// The same, where it takes long on a thread of its own: on this one others wait.
    ///
    /// # Errors
    /// As [`Writing::write`]; `UPSTREAM_UNAVAILABLE` when the process ends meanwhile.
    pub(in crate::proxy) async fn write_aside(self) -> Result<Option<Box<Lane>>, Reject> {
        let counts_tokens = matches!(self.kind, Kind::Embeddings { .. });
        let is_quick = self.body.len() <= AT_ONCE_BYTES_MAX && !counts_tokens;
        if is_quick { self.write() } else { aside(|| self.write()).await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(text_bytes: usize) -> Writing {
        let target = endpoint::target(&http::Method::POST, "/v1/messages", None, &http::HeaderMap::new()).unwrap();
        let text = "word ".repeat(text_bytes / 5);
        let body = format!(r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let kind = Kind::Chat {
            dialects: vec![DialectId::OpenAi],
            output_tokens_default: 1,
            asks_for_usage: false,
            rules: ChatRules::default(),
        };
        Writing { endpoint: target.endpoint, body: body.into(), stream: false, model: "theirs".into(), kind }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn others_on_the_thread_are_served_while_a_large_request_is_written_and_it_is_written_alike() {
        for (text_bytes, is_long) in [(100, false), (AT_ONCE_BYTES_MAX / 2, false), (8 * AT_ONCE_BYTES_MAX, true)] {
            let mut others = 0_u64;
            let served = async {
                loop {
                    others += 1;
                    tokio::task::yield_now().await;
                }
            };
            let written = tokio::select! { biased;
                written = writing(text_bytes).write_aside() => written,
                () = served => unreachable!(),
            };
            let at_once = writing(text_bytes).write().unwrap().unwrap();
            let aside = written.unwrap().unwrap();
            assert_eq!(aside.body, at_once.body);
            assert!(aside.body.len() > text_bytes);
            assert_eq!(others > 0, is_long, "{text_bytes}");
        }
    }
}

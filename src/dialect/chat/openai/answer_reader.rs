//! A chat completion of any vendor's, whole or in chunks.

use super::call_reader::Calls;
use super::chunk::{AudioChunk, CallChunk, ChoiceChunk, Chunk, Delta, Loose, PartChunk, PlainChunk};
use super::reasoning_details::{Detail, made};
use super::{BETWEEN_BLOCKS, finish_reason};
use crate::dialect::DialectId;
use crate::dialect::chat::data_url::data_url;
use crate::dialect::chat::error::Refusal;
use crate::dialect::chat::event::{Annotation, Begin, Event, FinishReason, ReasoningKind, Sink};
use crate::dialect::chat::json::{Json, Text, text_or_json};
use crate::dialect::chat::wire::{AnswerReader, Unreadable};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most choices that are told apart: OpenAI's limit. Others are passed over.
const CHOICES_MAX: u32 = 128;

/// Reads an answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    has_begun: bool,
    is_over: bool,
    /// What made-up ids are made of: the answer's id, or when it was made.
    seed: String,
    choices: Vec<Choice>,
}

/// What is known of one choice.
#[derive(Debug, Default)]
struct Choice {
    is_used: bool,
    is_finished: bool,
    has_text: bool,
    has_refused: bool,
    /// The entry of `reasoning_details` that is open.
    thoughts: Option<u64>,
    /// Thoughts came without details: what these repeat of them later, with their signature, is known.
    has_plain_thoughts: bool,
    /// A block of thoughts is complete.
    has_thought: bool,
    calls: Calls,
}

impl AnswerReader for Reader {
    fn event(&mut self, name: &str, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        if json.trim_ascii() == "[DONE]" {
            self.end(sink);
            return Ok(());
        }
        if name == "error" {
            self.fail(json, sink);
            return Ok(());
        }
        if self.has_begun
            && let Ok(plain) = serde_json::from_str::<PlainChunk<'_>>(json)
            && self.plain(plain, sink)
        {
            return Ok(());
        }
        let chunk: Chunk<'_> = serde_json::from_str(json)?;
        self.chunk(chunk, json, false, sink);
        Ok(())
    }

    fn document(&mut self, json: &str, sink: &mut dyn Sink) -> Result<(), Unreadable> {
        let chunk: Chunk<'_> = serde_json::from_str(json)?;
        let is_answer = chunk.choices.is_some();
        self.chunk(chunk, json, true, sink);
        if !is_answer && !self.is_over {
            return Err(Unreadable::new("the answer is no chat completion"));
        }
        self.end(sink);
        Ok(())
    }
}

impl Reader {
    /// The next piece of a choice that has begun. False: it is to be read as any other chunk.
    fn plain(&mut self, chunk: PlainChunk<'_>, sink: &mut dyn Sink) -> bool {
        let (said,) = chunk.choices;
        let known = self.choices.get_mut(said.index as usize).filter(|choice| choice.is_used && !choice.is_finished);
        let (Some(choice), false) = (known, self.is_over) else { return false };
        let text = said.delta.content.0;
        if !text.is_empty() {
            choice.has_text = true;
            sink.event(Event::Text { choice: said.index, text, logprobs: None });
        }
        true
    }

    fn chunk(&mut self, mut chunk: Chunk<'_>, json: &str, is_whole: bool, sink: &mut dyn Sink) {
        if self.is_over {
            return;
        }
        if chunk.error.is_some() || chunk.object.filled().as_deref() == Some("error") {
            return self.fail(json, sink);
        }
        if let Some(refusal) = chunk.base_resp.refusal() {
            return self.refuse(refusal, sink);
        }
        let pages = chunk.search_results.or(chunk.citations);
        let choices = chunk.choices.take().unwrap_or_default();
        self.begin(&mut chunk, !choices.is_empty(), sink);
        for said in choices {
            if let Some(error) = said.error {
                return self.fail(&format!("{{\"error\":{}}}", error.get()), sink);
            }
            let failure = said.finish_reason.0.as_ref().and_then(|word| failure(&word.0));
            self.choice(said, pages, is_whole, sink);
            if let Some(refusal) = failure {
                return self.refuse(refusal, sink);
            }
        }
    }

    fn fail(&mut self, json: &str, sink: &mut dyn Sink) {
        self.refuse(Refusal::read(None, json.as_bytes()), sink);
    }

    fn refuse(&mut self, refusal: Refusal<'_>, sink: &mut dyn Sink) {
        if !std::mem::replace(&mut self.is_over, true) {
            sink.event(Event::Error(refusal));
        }
    }

    fn begin(&mut self, chunk: &mut Chunk<'_>, has_choices: bool, sink: &mut dyn Sink) {
        let id = chunk.id.filled();
        // Azure's first chunk only tells of its filters.
        if self.has_begun || (id.is_none() && !has_choices) {
            return;
        }
        self.has_begun = true;
        let created_s = chunk.created.0.filled_s();
        self.seed = id.as_deref().map_or_else(|| created_s.unwrap_or_default().to_string(), str::to_owned);
        sink.event(Event::Begin(Begin { id, model: chunk.model.filled(), created_s }));
    }

    fn choice(&mut self, mut said: ChoiceChunk<'_>, pages: Option<&RawValue>, is_whole: bool, sink: &mut dyn Sink) {
        let number = said.index.0.unwrap_or(0);
        if number >= CHOICES_MAX {
            return;
        }
        let at = number as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        let Some(choice) = self.choices.get_mut(at).filter(|choice| !choice.is_finished) else { return };
        choice.is_used = true;
        let message = said.message.and_then(|message| serde_json::from_str::<Delta<'_>>(message.get()).ok());
        let delta = if is_whole { message.or(said.delta.0) } else { said.delta.0.or(message) };
        let logprobs = said.logprobs.0.and_then(|logprobs| logprobs.content);
        let mut told = Told { number, is_whole, is_calling: false, seed: &self.seed, choice, sink };
        if let Some(delta) = delta {
            told.delta(delta, logprobs);
        }
        let word = said.finish_reason.filled().filter(|word| failure(word).is_none());
        if let Some(reason) = word.as_deref().and_then(finish_reason) {
            if let (0, Some(pages)) = (number, pages) {
                told.pages(pages);
            }
            told.finish(reason, said.stop_reason.filled());
        }
    }

    /// Nothing more comes. Some servers never say why they finished.
    fn end(&mut self, sink: &mut dyn Sink) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            sink.event(Event::Begin(Begin::default()));
        }
        for (number, choice) in (0..).zip(&mut self.choices) {
            if choice.is_used && !choice.is_finished {
                Told { number, is_whole: true, is_calling: false, seed: "", choice, sink }
                    .finish(FinishReason::Stop, None);
            }
        }
        sink.event(Event::End(None));
    }
}

/// What went wrong, if this word, in the place of a finish reason, is none.
fn failure(word: &str) -> Option<Refusal<'static>> {
    Refusal::of_finish(DialectId::OpenAi, word)
}

/// Unix seconds that say something.
trait FilledSeconds {
    fn filled_s(self) -> Option<i64>;
}

impl FilledSeconds for Option<i64> {
    fn filled_s(self) -> Option<i64> {
        self.filter(|seconds| *seconds > 0)
    }
}

/// What one chunk tells of one choice.
struct Told<'r> {
    number: u32,
    is_whole: bool,
    /// Calls have begun, or are what this chunk tells of.
    is_calling: bool,
    seed: &'r str,
    choice: &'r mut Choice,
    sink: &'r mut dyn Sink,
}

impl Told<'_> {
    fn delta(&mut self, mut delta: Delta<'_>, logprobs: Option<&RawValue>) {
        // Log probabilities of a call's own tokens have no place; as a text they would end it in its middle.
        let names_calls = delta.tool_calls.0.as_ref().is_some_and(|calls| !calls.is_empty());
        self.is_calling = names_calls || delta.function_call.0.is_some() || self.choice.calls.any();
        self.thoughts(&mut delta);
        self.content(delta.content, logprobs);
        if let Some(text) = delta.refusal.filled() {
            self.choice.has_refused = true;
            self.sink.event(Event::Refusal { choice: self.number, text });
        }
        if let Some(audio) = delta.audio.0.take() {
            self.audio(audio);
        }
        for image in delta.images.list() {
            self.image(image);
        }
        for annotation in delta.annotations.list() {
            self.annotation(annotation);
        }
        self.calls(&mut delta);
    }

    /// The same thoughts may stand under several names: the one that says most is taken.
    fn thoughts(&mut self, delta: &mut Delta<'_>) {
        let mut details = delta.reasoning_details.list();
        let is_plain = self.choice.has_plain_thoughts || !details.iter().any(Detail::has_words);
        if is_plain && let Some(text) = delta.reasoning_content.filled().or_else(|| delta.reasoning.filled()) {
            self.choice.has_plain_thoughts = true;
            self.thought(if self.choice.has_thought { next_block(text) } else { text }, ReasoningKind::Full);
        }
        for detail in &mut details {
            let index = detail.index.0.unwrap_or(0);
            if let Some((text, kind)) = detail.words().filter(|_| !is_plain) {
                if self.choice.thoughts.is_some_and(|open| open != index) {
                    self.thoughts_end(None);
                }
                self.choice.thoughts = Some(index);
                self.thought(text, kind);
            }
            if let Some(signature) = detail.signature(made) {
                self.thoughts_end(Some(signature));
            }
        }
    }

    fn thought(&mut self, text: Cow<'_, str>, kind: ReasoningKind) {
        self.sink.event(Event::Reasoning { choice: self.number, text, kind });
    }

    fn thoughts_end(&mut self, signature: Option<crate::dialect::chat::Signature<'_>>) {
        self.choice.thoughts = None;
        self.choice.has_plain_thoughts = false;
        self.choice.has_thought = true;
        self.sink.event(Event::ReasoningEnd { choice: self.number, signature });
    }

    fn content(&mut self, content: Option<&RawValue>, logprobs: Option<&RawValue>) {
        let Some(content) = content else {
            return self.text(Cow::Borrowed(""), logprobs);
        };
        if !content.get().starts_with('[') {
            return self.text(text_or_json(content), logprobs);
        }
        let parts: Vec<Loose<PartChunk<'_>>> = serde_json::from_str(content.get()).unwrap_or_default();
        for mut part in parts.into_iter().filter_map(|part| part.0) {
            for text in part.thoughts() {
                self.thought(text, ReasoningKind::Full);
            }
            self.text(part.text.filled().unwrap_or_default(), None);
            if let Some(text) = part.refusal.filled() {
                self.choice.has_refused = true;
                self.sink.event(Event::Refusal { choice: self.number, text });
            }
            self.image(part);
        }
    }

    fn text(&mut self, text: Cow<'_, str>, logprobs: Option<&RawValue>) {
        let logprobs = logprobs.filter(|list| list.get().starts_with('[') && list.get() != "[]").map(Json::raw);
        let logprobs = logprobs.filter(|_| !text.is_empty() || !self.is_calling);
        if !text.is_empty() || logprobs.is_some() {
            self.choice.has_text = true;
            self.sink.event(Event::Text { choice: self.number, text, logprobs });
        }
    }

    fn image(&mut self, mut part: PartChunk<'_>) {
        let url = part.image_url.0.take().and_then(|mut address| address.url.filled());
        if let Some((mime_type, base64)) = url.as_ref().and_then(data_url) {
            self.sink.event(Event::Media { choice: self.number, mime_type, base64 });
        }
    }

    fn audio(&mut self, mut audio: AudioChunk<'_>) {
        self.text(audio.transcript.filled().unwrap_or_default(), None);
        if let Some(base64) = audio.data.filled() {
            // In a stream it is always this; whole, its format is the request's, `wav` as a rule.
            let mime_type = Cow::Borrowed(if self.is_whole { "audio/wav" } else { "audio/pcm;rate=24000" });
            self.sink.event(Event::Media { choice: self.number, mime_type, base64 });
        }
    }

    fn annotation(&mut self, raw: &RawValue) {
        #[derive(Deserialize)]
        struct Said<'a> {
            #[serde(borrow, default)]
            url_citation: Loose<Page<'a>>,
        }
        let native = Some((DialectId::OpenAi, Json::raw(raw)));
        let page = serde_json::from_str::<Said<'_>>(raw.get()).ok().and_then(|said| said.url_citation.0);
        let nothing = Annotation { url: None, title: None, cited_text: None, range: None, native: None };
        let annotation = page.map_or(nothing, Page::annotation);
        self.cite(Annotation { native, ..annotation });
    }

    fn cite(&mut self, annotation: Annotation<'_>) {
        self.sink.event(Event::Annotation { choice: self.number, annotation });
    }

    /// Perplexity's pages, which the text refers to by number.
    fn pages(&mut self, pages: &RawValue) {
        let pages: Vec<&RawValue> = serde_json::from_str(pages.get()).unwrap_or_default();
        for page in pages {
            let url = serde_json::from_str::<Text<'_>>(page.get()).ok().map(|text| text.0);
            let page = match url {
                Some(url) => Page { url: Loose(Some(Text(url))), ..Page::default() },
                None => serde_json::from_str(page.get()).unwrap_or_default(),
            };
            self.cite(page.annotation());
        }
    }

    fn calls(&mut self, delta: &mut Delta<'_>) {
        let mut signature = delta.extra_content.signature();
        if self.choice.has_text
            && let Some(signed) = signature.take()
        {
            self.sink.event(Event::TextSigned { choice: self.number, signature: made(signed) });
        }
        let mut calls = delta.tool_calls.list();
        if let Some(function) = delta.function_call.0.take() {
            calls.push(CallChunk::of(function));
        }
        let are_several = calls.len() > 1;
        for (place, call) in calls.into_iter().enumerate() {
            let call = (are_several.then_some(place), call);
            self.choice.calls.piece(self.number, call, self.is_whole, signature.take(), self.seed, self.sink);
        }
    }

    fn finish(&mut self, reason: FinishReason<'_>, stop_sequence: Option<Cow<'_, str>>) {
        let reason = match reason {
            FinishReason::Stop if self.choice.has_refused => FinishReason::Refusal,
            // Some say so whatever the model did; OpenAI does where the tool was named.
            FinishReason::Stop if self.choice.calls.any() => FinishReason::ToolCalls,
            FinishReason::Stop if stop_sequence.is_some() => FinishReason::StopSequence(stop_sequence),
            reason => reason,
        };
        self.choice.is_finished = true;
        self.sink.event(Event::Finish { choice: self.number, reason });
    }
}

/// Another block of plain thoughts begins with a blank line, as our own writer has it.
fn next_block(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => text.strip_prefix(BETWEEN_BLOCKS).unwrap_or(text).into(),
        Cow::Owned(text) => text.strip_prefix(BETWEEN_BLOCKS).map(str::to_owned).unwrap_or(text).into(),
    }
}

/// A page that is cited: OpenAI's `url_citation`, Perplexity's search result.
#[derive(Debug, Default, Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    url: Loose<Text<'a>>,
    #[serde(borrow, default)]
    title: Loose<Text<'a>>,
    /// OpenRouter's.
    #[serde(borrow, default)]
    content: Loose<Text<'a>>,
    #[serde(borrow, default)]
    snippet: Loose<Text<'a>>,
    #[serde(default)]
    start_index: Loose<u64>,
    #[serde(default)]
    end_index: Loose<u64>,
}

impl<'a> Page<'a> {
    fn annotation(mut self) -> Annotation<'a> {
        let range = self.start_index.0.zip(self.end_index.0).filter(|(start, end)| start < end);
        let cited_text = self.content.filled().or_else(|| self.snippet.filled());
        Annotation { url: self.url.filled(), title: self.title.filled(), cited_text, range, native: None }
    }
}

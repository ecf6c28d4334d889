//! One pass over a JSON body, driven by serde: nothing is built, strings are looked at where they stand.

mod rerank;

use self::rerank::{Bound, Documents};
use super::output::AskedOutput;
use super::places::{Named, Place};
use super::rules::{Frame, Name, Scalar, TOOL_PROMPT_TOKENS};
use super::splice::Edits;
use super::text_sink::PromptText;
use super::{DEPTH_MAX, RequestFacts, invalid, normal, refusal};
use crate::dialect::{DialectId, Passed};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;
use tollgate_plugin_api::Reject;

/// Members of a request that hold its prompt.
const PROMPT_MEMBERS: [&str; 20] = [
    "messages",
    "system",
    "input",
    "instructions",
    "prompt",
    "suffix",
    "contents",
    "content",
    "systemInstruction",
    "system_instruction",
    "tools",
    "functions",
    "documents",
    "texts",
    "query",
    "instruction",
    "instruct",
    "requests",
    "generateContentRequest",
    "generate_content_request",
];

/// The state of the pass.
pub(super) struct Walk<'a> {
    pub(super) dialect: DialectId,
    pub(super) body: &'a str,
    /// The model that the path names, where that is what counts.
    pub(super) path_model: Option<&'a str>,
    pub(super) facts: RequestFacts,
    pub(super) media_bytes: u64,
    pub(super) tool_tokens: u64,
    pub(super) has_tools: bool,
    pub(super) prompts: u64,
    /// Prompts that are vectors.
    pub(super) embedded: u64,
    pub(super) output: AskedOutput,
    /// What bodies within the body say of the same.
    further_outputs: Vec<AskedOutput>,
    pub(super) edits: Edits,
    pub(super) refusal: Option<Reject>,
    pub(super) sink: Option<Passed>,
    pub(super) collects: bool,
    documents: Option<Documents>,
    /// How many elements of lists of prompts refer elsewhere; what is beside them says so in the facts.
    prompts_elsewhere: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(dialect: DialectId, body: &'a str, path_model: Option<&'a str>) -> Self {
        Self {
            dialect,
            body,
            path_model,
            facts: RequestFacts { choices: 1, ..RequestFacts::default() },
            media_bytes: 0,
            tool_tokens: 0,
            has_tools: false,
            prompts: 1,
            embedded: 0,
            output: AskedOutput::default(),
            further_outputs: Vec::new(),
            edits: Edits::default(),
            refusal: None,
            sink: None,
            collects: false,
            documents: None,
            prompts_elsewhere: 0,
        }
    }

    /// The same, collecting the prompt's text.
    pub(super) fn collecting(self, sink: Passed) -> Self {
        Self { sink: Some(sink), ..self }
    }

    /// Walks the whole body.
    pub(super) fn run(&mut self, root: Place) -> Result<(), Reject> {
        let start = self.body.len() - self.body.trim_ascii_start().len();
        let inside = self.body.get(start + 1..).unwrap_or_default().trim_ascii_start();
        self.edits.root = (start + 1, inside.starts_with('}'));
        self.value(self.body, root, 0)
    }

    /// Walks one value that is the body or borrows from it.
    pub(super) fn value(&mut self, text: &str, place: Place, depth: usize) -> Result<(), Reject> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let mut frame = Frame::default();
        let node = Node { walk: self, frame: &mut frame, place, name: Name::NONE, depth };
        let walked = node.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match (walked, self.refusal.take()) {
            (Ok(()), None) => Ok(()),
            (_, Some(refusal)) => Err(refusal),
            (Err(error), None) => Err(invalid(&format!("The body is not valid JSON: {error}"))),
        }
    }

    /// The documents of a rerank, as they are written.
    fn documents(&mut self, raw: &RawValue, depth: usize) -> Result<(), Reject> {
        let (media_bytes, media_tokens) = (self.media_bytes, self.facts.media_tokens);
        let images = self.facts.images;
        let before = self.documents.get_or_insert_default().text.take();
        let own = before.or_else(|| self.sink.as_ref().map(Passed::another));
        let beside = std::mem::replace(&mut self.sink, own);
        let walked = self.value(raw.get(), Place::Documents, depth);
        let text = std::mem::replace(&mut self.sink, beside);
        self.documents.get_or_insert_default().add(Documents {
            bytes: raw.get().len() as u64,
            media_bytes: self.media_bytes - media_bytes,
            media_tokens: self.facts.media_tokens - media_tokens,
            images: self.facts.images - images,
            text,
        });
        walked
    }

    pub(super) fn into_facts(mut self) -> RequestFacts {
        let output = self.further_outputs.iter().fold(self.output, |asked, further| asked.raised_by(*further));
        output.note(self.dialect, &mut self.facts);
        let tool_prompt = if self.has_tools { TOOL_PROMPT_TOKENS } else { 0 };
        let body_bytes = self.body.len() as u64 + normal::growth_bytes(self.body);
        let text_bytes = body_bytes.saturating_sub(self.media_bytes);
        let (media_tokens, images) = (self.facts.media_tokens, self.facts.images);
        let once = Bound { text_bytes, media_tokens, images, searches: 0 };
        let bound = self.documents.as_ref().map_or(once, |documents| documents.bound(once, self.facts.prompts));
        let prompts_elsewhere = if self.facts.refers_elsewhere { 0 } else { self.prompts_elsewhere };
        RequestFacts {
            refers_elsewhere: self.facts.refers_elsewhere || prompts_elsewhere > 0,
            prompts_elsewhere,
            requests_billed_max: bound.searches,
            choices: self.facts.choices.saturating_mul(self.prompts.max(1) + self.embedded),
            prompts: self.facts.prompts + self.embedded,
            prompt_text_bytes: bound.text_bytes.saturating_add(tool_prompt + self.tool_tokens),
            media_tokens: bound.media_tokens,
            images: bound.images,
            edits: self.edits,
            ..self.facts
        }
    }

    /// The text. Of a rerank, what stands beside the documents is read with each of them.
    pub(super) fn into_text(self) -> PromptText {
        let beside = self.sink.unwrap_or_default();
        match self.documents.and_then(|documents| documents.text) {
            Some(once) => PromptText { once, repeated: Some((beside.into(), self.facts.prompts.max(1))) },
            None => PromptText { once: beside, repeated: None },
        }
    }

    /// Where a raw value, which borrows from the body, stands in it.
    pub(super) fn range(&self, raw: &RawValue) -> Range<usize> {
        let start = raw.get().as_ptr() as usize - self.body.as_ptr() as usize;
        start..start + raw.get().len()
    }

    /// Notes a refusal, for [`Walk::run`] to return, and makes serde stop.
    fn stop<E: Error>(&mut self, refusal: Reject) -> E {
        self.refusal = Some(refusal);
        E::custom("refused")
    }
}

fn too_deep() -> Reject {
    invalid(&format!("The body is nested more than {DEPTH_MAX} levels deep"))
}

/// One value of the body, in its place.
struct Node<'w, 'a> {
    walk: &'w mut Walk<'a>,
    /// Of the object around it.
    frame: &'w mut Frame,
    place: Place,
    name: Name,
    depth: usize,
}

impl Node<'_, '_> {
    fn scalar<E: Error>(self, value: Scalar<'_>) -> Result<(), E> {
        self.walk.scalar(self.place, self.name, self.frame, value).map_err(|refusal| self.walk.stop(refusal))
    }

    /// Before the inside of a container.
    fn enter<E: Error>(&mut self, value: Scalar<'_>) -> Result<usize, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.walk.stop(too_deep()));
        }
        if self.depth == 0 && !matches!(value, Scalar::Object) {
            return Err(self.walk.stop(invalid("The body must be a JSON object")));
        }
        let entered = self.walk.scalar(self.place, self.name, self.frame, value);
        entered.map_err(|refusal| self.walk.stop(refusal))?;
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.walk.facts.values += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar_at_depth(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar_at_depth(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar_at_depth(Scalar::Whole(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar_at_depth(u64::try_from(value).map_or(Scalar::Number(-1.0), Scalar::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar_at_depth(Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar_at_depth(Scalar::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let depth = self.enter(Scalar::List)?;
        if self.place == Place::Prompts {
            self.walk.prompts = 0;
        }
        let place = self.place.element();
        if place == Place::Text && self.walk.sink.is_none() {
            while elements.next_element_seed(Skip { walk: &mut *self.walk, depth })?.is_some() {}
            return Ok(());
        }
        loop {
            let beside = self.place.holds_prompts().then(|| std::mem::take(&mut self.walk.facts.refers_elsewhere));
            let frame = &mut *self.frame;
            let node = Node { walk: &mut *self.walk, frame, place, name: self.name, depth };
            let is_over = elements.next_element_seed(node)?.is_none();
            if let Some(beside) = beside {
                let inside = std::mem::replace(&mut self.walk.facts.refers_elsewhere, beside);
                self.walk.prompts_elsewhere += u64::from(inside);
                self.walk.facts.prompts += u64::from(!is_over);
            }
            if is_over {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let depth = self.enter(Scalar::Object)?;
        let mut frame = Frame::default();
        let mut seen = 0;
        loop {
            let key = Key { walk: &mut *self.walk, around: self.place, seen: &mut seen, depth };
            let Some((place, key)) = members.next_key_seed(key)? else { break };
            let read = match place {
                Place::Model | Place::InnerModel => self.walk.model(place, members.next_value()?),
                Place::StreamOptions => self.walk.stream_options(members.next_value()?, depth),
                Place::IncludeUsage => self.walk.include_usage(members.next_value()?),
                Place::Documents if self.place == Place::RerankRoot => {
                    self.walk.documents(members.next_value()?, depth)
                }
                Place::Text if self.walk.sink.is_none() => {
                    members.next_value_seed(Skip { walk: &mut *self.walk, depth })?;
                    Ok(())
                }
                _ => {
                    let beside = (place == Place::ExtraBody).then(|| std::mem::take(&mut self.walk.output));
                    let name = Name { prefix: self.place.prefix(), key };
                    let node = Node { walk: &mut *self.walk, frame: &mut frame, place, name, depth };
                    members.next_value_seed(node)?;
                    if let Some(beside) = beside {
                        let further = std::mem::replace(&mut self.walk.output, beside);
                        self.walk.further_outputs.push(further);
                    }
                    Ok(())
                }
            };
            read.map_err(|refusal| self.walk.stop(refusal))?;
        }
        self.walk.close(self.place, &frame);
        Ok(())
    }
}

impl Node<'_, '_> {
    fn scalar_at_depth<E: Error>(mut self, value: Scalar<'_>) -> Result<(), E> {
        if self.depth == 0 { self.enter(value).map(|_| ()) } else { self.scalar(value) }
    }
}

/// A value that means nothing: only its depth is looked at.
struct Skip<'w, 'a> {
    walk: &'w mut Walk<'a>,
    depth: usize,
}

impl Skip<'_, '_> {
    fn enter<E: Error>(&mut self) -> Result<usize, E> {
        if self.depth >= DEPTH_MAX { Err(self.walk.stop(too_deep())) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Skip<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.walk.facts.values += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.walk.note_reference(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        while elements.next_element_seed(Skip { walk: &mut *self.walk, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let depth = self.enter()?;
        while members.next_key_seed(Skip { walk: &mut *self.walk, depth })?.is_some() {
            members.next_value_seed(Skip { walk: &mut *self.walk, depth })?;
        }
        Ok(())
    }
}

/// A member's name, turned into what its value is.
struct Key<'w, 'a> {
    walk: &'w mut Walk<'a>,
    around: Place,
    seen: &'w mut u64,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = (Place, &'static str);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = (Place, &'static str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if self.walk.sink.is_some() {
            if self.depth == 1 {
                self.walk.collects = PROMPT_MEMBERS.contains(&key);
            } else if matches!(self.around, Place::Text | Place::Functions) {
                // The names in a tool's schema and in a call's arguments are text to the model.
                self.walk.collect(key);
            }
        }
        let (number, member) = match self.around.member(key) {
            Named::Member(number, member) => (number, member),
            Named::Nearly(name) => {
                return Err(self.walk.stop(refusal(key, &format!("`{key}` is not a field: write `{name}`"))));
            }
            Named::Stranger => return Ok((self.around.stranger(), "")),
        };
        let bit = 1_u64 << number;
        if *self.seen & bit != 0 {
            return Err(self.walk.stop(refusal(key, &format!("`{key}` is there twice"))));
        }
        *self.seen |= bit;
        Ok((member.place, member.keys[0]))
    }
}

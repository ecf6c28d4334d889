//! What the readers of these formats tell alike. Pieces come empty as well: those say nothing.

use crate::dialect::chat::event::{Event, ReasoningKind, Sink};
use crate::dialect::chat::json::{Json, Text, filled};
use serde::Deserialize;

/// What is called, or what is new of it, as OpenAI's chat has it: the arguments are a text.
#[derive(Default, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    pub(super) arguments: Option<Text<'a>>,
}

/// The calls of one choice that have begun: the index by which each one's pieces come.
#[derive(Default)]
pub(super) struct Calls(Vec<u64>);

impl Calls {
    /// The number of a call that begins.
    pub(super) fn begin(&mut self, index: u64) -> u32 {
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push(index);
        number
    }

    /// The number of the call that a piece is of: the last that began with this index.
    pub(super) fn find(&self, index: u64) -> Option<u32> {
        self.0.iter().rposition(|own| *own == index).and_then(|place| u32::try_from(place).ok())
    }

    /// Whether any has begun.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

/// A piece of text.
pub(super) fn tell(choice: u32, text: Option<Text<'_>>, logprobs: Option<Json<'_>>, sink: &mut dyn Sink) {
    if let Some(text) = filled(text) {
        sink.event(Event::Text { choice, text, logprobs });
    }
}

/// A piece of thoughts.
pub(super) fn think(choice: u32, text: Option<Text<'_>>, sink: &mut dyn Sink) {
    if let Some(text) = filled(text) {
        sink.event(Event::Reasoning { choice, text, kind: ReasoningKind::Full });
    }
}

/// A piece of a call's arguments.
pub(super) fn argue(choice: u32, call: u32, piece: Option<Text<'_>>, sink: &mut dyn Sink) {
    if let Some(json) = filled(piece) {
        sink.event(Event::Arguments { choice, call, json });
    }
}

//! Which tool call a piece belongs to: vendors leave out indices or ids, start counting at 1, or give every call the index 0.

use super::chunk::CallChunk;
use super::reasoning_details::made;
use crate::dialect::chat::event::{Event, Sink};
use std::borrow::Cow;

/// The most calls of one choice; more are passed over.
const CALLS_MAX: usize = 1024;
/// Arguments that come before their call's name are kept up to here.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// Made-up ids are as long as OpenAI's may be at most; this much of them is the answer's.
const SEED_CHARS_MAX: usize = 24;

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Call>,
    /// Those that began side by side at last, by their places in the list.
    listed: Vec<usize>,
    begun: u32,
}

#[derive(Debug, Default)]
struct Call {
    /// The vendor's number of it.
    index: Option<u64>,
    id: String,
    /// Ours, once its name is known.
    number: Option<u32>,
    /// Arguments that came before the name.
    held: String,
}

impl Calls {
    /// Whether any has begun.
    pub(super) fn any(&self) -> bool {
        self.begun > 0
    }

    /// A piece of one, with its place in a list of several. `is_whole`: each is a call of its own. `signature`: where it has none of its
    /// own; `seed` makes ids where there are none.
    pub(super) fn piece(
        &mut self,
        choice: u32,
        (place, mut piece): (Option<usize>, CallChunk<'_>),
        is_whole: bool,
        signature: Option<Cow<'_, str>>,
        seed: &str,
        sink: &mut dyn Sink,
    ) {
        let (index, id) = (piece.index.0, piece.id.filled().unwrap_or_default());
        let mut function = piece.function.0.take().unwrap_or_default();
        let name = function.name.filled();
        let known = if is_whole { None } else { self.find(index, &id, name.is_some(), place) };
        let Some(at) = known.or_else(|| self.add(index, &id, place)) else { return };
        let Some(call) = self.open.get_mut(at) else { return };
        if let (None, Some(name)) = (call.number, &name) {
            let number = self.begun;
            self.begun += 1;
            call.number = Some(number);
            if call.id.is_empty() {
                call.id = made_up(seed, choice, number);
            }
            let signature = piece.extra_content.signature().or(signature).map(made);
            let id = Cow::Borrowed(call.id.as_str());
            sink.event(Event::ToolCall { choice, call: number, id, name: name.clone(), signature });
            let held = std::mem::take(&mut call.held);
            argue(choice, number, held.into(), sink);
        }
        let json = function.arguments();
        match call.number {
            Some(number) => argue(choice, number, json, sink),
            None if call.held.len() + json.len() <= HELD_BYTES_MAX => call.held.push_str(&json),
            None => {}
        }
    }

    /// The call that a piece continues. A new id with a name is a new call, whatever its index.
    fn find(&self, index: Option<u64>, id: &str, is_named: bool, place: Option<usize>) -> Option<usize> {
        let is_new = |call: &Call| is_named && call.number.is_some() && (id.is_empty() || call.id != id);
        let beside = || place.and_then(|place| self.listed.get(place).copied());
        let at = match index {
            Some(_) => self.open.iter().rposition(|call| call.index == index),
            // Several that say nothing of themselves go on with those that began side by side (Moonshot: github.com/vercel/ai/issues/19546).
            None if id.is_empty() => beside().or(self.open.len().checked_sub(1)),
            None => self.open.iter().rposition(|call| call.id == id),
        }?;
        // The same index without an id is the same call, even if the name is said again.
        let is_another = self.open.get(at).is_some_and(is_new) && (!id.is_empty() || index.is_none());
        (!is_another).then_some(at)
    }

    fn add(&mut self, index: Option<u64>, id: &str, place: Option<usize>) -> Option<usize> {
        if self.open.len() == CALLS_MAX {
            return None;
        }
        self.open.push(Call { index, id: id.to_owned(), ..Call::default() });
        let at = self.open.len() - 1;
        self.listed.truncate(place.unwrap_or(0));
        self.listed.extend(place.map(|_| at));
        Some(at)
    }
}

fn argue(choice: u32, call: u32, json: Cow<'_, str>, sink: &mut dyn Sink) {
    if !json.is_empty() {
        sink.event(Event::Arguments { choice, call, json });
    }
}

/// An id that no other turn has.
fn made_up(seed: &str, choice: u32, number: u32) -> String {
    let seed: String = seed.chars().filter(char::is_ascii_alphanumeric).take(SEED_CHARS_MAX).collect();
    if choice == 0 { format!("call_{seed}_{number}") } else { format!("call_{seed}_{choice}_{number}") }
}

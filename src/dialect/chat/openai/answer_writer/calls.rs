//! Calls of tools. OpenAI's SDKs parse a call's arguments when the next one begins: by then there must be some.

use super::super::answer_members::{function, signed};
use super::Writer;
use crate::dialect::chat::signature::Signature;
use std::collections::VecDeque;

/// The most calls of one choice that are remembered.
const CALLS_MAX: usize = 1024;
/// The arguments of a call that has none.
const NONE: &str = "{}";

/// The calls of a choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// For each one, what of its arguments went out.
    arguments: Vec<Arguments>,
    /// Those that have begun behind one without arguments, and do not go out before it is known to have none. The last ones.
    waiting: VecDeque<Begun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    Nothing,
    Some,
    /// It was said to have none: nothing can be added.
    None,
}

/// A call that has not gone out.
#[derive(Debug)]
struct Begun {
    id: String,
    name: String,
    signature: Option<Signature<'static>>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// How many have gone out.
    fn written(&self) -> usize {
        self.arguments.len() - self.waiting.len()
    }

    /// Whether the one that went out last has no arguments so far.
    fn last_is_empty(&self) -> bool {
        self.written().checked_sub(1).and_then(|last| self.arguments.get(last)) == Some(&Arguments::Nothing)
    }
}

impl Writer {
    pub(super) fn call(
        &mut self,
        out: &mut Vec<u8>,
        number: u32,
        call: u32,
        id: &str,
        name: &str,
        signature: Option<&Signature<'_>>,
    ) {
        let Some(choice) = self.choice(number) else { return };
        choice.thoughts.close();
        let calls = &mut choice.calls;
        if calls.arguments.len() != call as usize || calls.arguments.len() >= CALLS_MAX {
            return;
        }
        let waits = !calls.waiting.is_empty() || calls.last_is_empty();
        calls.arguments.push(Arguments::Nothing);
        if waits {
            let signature = signature.map(|made| Signature::new(made.maker, made.text.clone().into_owned()));
            calls.waiting.push_back(Begun { id: id.to_owned(), name: name.to_owned(), signature });
        } else {
            self.write_call(out, number, call, (id, name, signature));
        }
    }

    pub(super) fn argue(&mut self, out: &mut Vec<u8>, number: u32, call: u32, json: &str) {
        let Some(choice) = self.choice(number) else { return };
        if json.is_empty() || choice.calls.arguments.get(call as usize).is_none_or(|said| *said == Arguments::None) {
            return;
        }
        self.write_waiting(out, number, call as usize + 1);
        self.write_arguments(out, number, call, json, Arguments::Some);
    }

    /// No call has any more arguments. A client parses them: nothing is no JSON.
    pub(super) fn end_calls(&mut self, out: &mut Vec<u8>, number: u32) {
        let Some(choice) = self.choice(number) else { return };
        let count = choice.calls.arguments.len();
        self.write_waiting(out, number, count);
        (0..count).for_each(|call| self.write_none(out, number, call));
    }

    /// Calls before `end` go out that have waited.
    fn write_waiting(&mut self, out: &mut Vec<u8>, number: u32, end: usize) {
        while let Some(choice) = self.choice(number) {
            let at = choice.calls.written();
            let first = if at < end { choice.calls.waiting.pop_front() } else { None };
            let Some(begun) = first else { return };
            self.write_none(out, number, at.saturating_sub(1));
            let call = u32::try_from(at).unwrap_or(u32::MAX);
            self.write_call(out, number, call, (&begun.id, &begun.name, begun.signature.as_ref()));
        }
    }

    /// A call turns out to have no arguments, if it has none so far.
    fn write_none(&mut self, out: &mut Vec<u8>, number: u32, call: usize) {
        let Some(choice) = self.choice(number) else { return };
        if choice.calls.arguments.get(call) == Some(&Arguments::Nothing) {
            self.write_arguments(out, number, u32::try_from(call).unwrap_or(u32::MAX), NONE, Arguments::None);
        }
    }

    fn write_call(
        &mut self,
        out: &mut Vec<u8>,
        number: u32,
        call: u32,
        (id, name, signature): (&str, &str, Option<&Signature<'_>>),
    ) {
        if self.is_legacy {
            if call == 0 {
                self.say(out, number, None, |delta| delta.object("function_call", |f| function(f, Some(name), "")));
            }
            return;
        }
        self.say(out, number, None, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object_element(|entry| {
                    entry.member("index", &call);
                    entry.member("id", id);
                    entry.member("type", "function");
                    entry.object("function", |f| function(f, Some(name), ""));
                    if let Some(signature) = signature {
                        signed(entry, signature);
                    }
                });
            });
        });
    }

    fn write_arguments(&mut self, out: &mut Vec<u8>, number: u32, call: u32, json: &str, said: Arguments) {
        let Some(choice) = self.choice(number) else { return };
        let Some(before) = choice.calls.arguments.get_mut(call as usize) else { return };
        *before = said;
        if self.is_legacy {
            if call == 0 {
                self.say(out, number, None, |delta| delta.object("function_call", |f| function(f, None, json)));
            }
            return;
        }
        self.say(out, number, None, |delta| {
            delta.array("tool_calls", |calls| {
                calls.object_element(|entry| {
                    entry.member("index", &call);
                    entry.object("function", |f| function(f, None, json));
                });
            });
        });
    }
}

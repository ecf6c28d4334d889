//! A whole chat completion.

use super::answer_members::{annotation, audio, function, head, image, logprobs_member, served, signed};
use super::{BETWEEN_BLOCKS, finish_words, reasoning_details};
use crate::dialect::chat::answer::{Answer, Block, Choice};
use crate::dialect::chat::event::FinishReason;
use crate::dialect::chat::translation::Asked;
use crate::dialect::chat::write::{self, Members};

/// Writes it.
pub(super) fn write(asked: &Asked, is_legacy: bool, answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    let nothing = [Choice::default()];
    let choices = if answer.choices.is_empty() { &nothing[..] } else { &answer.choices };
    write::object(&mut out, |members| {
        let (id, model) = (answer.id.as_deref(), answer.model.as_deref());
        head(members, "chat.completion", asked, id, model, answer.created_s);
        members.array("choices", |list| {
            for (index, choice) in choices.iter().enumerate() {
                list.object_element(|entry| {
                    entry.member("index", &index);
                    entry.object("message", |members| message(members, asked, is_legacy, choice));
                    logprobs_member(entry, logprobs(choice).as_deref());
                    finish(entry, is_legacy, choice);
                });
            }
        });
        if let Some(metered) = &answer.metered {
            served(members, metered);
        }
    });
    out
}

fn message(members: &mut Members<'_>, asked: &Asked, is_legacy: bool, choice: &Choice) {
    let (mut text, mut refusal, mut thoughts) = (None::<String>, None::<String>, None::<String>);
    for block in &choice.blocks {
        let (into, separator, piece) = match block {
            Block::Text { text: piece, .. } => (&mut text, "", piece),
            Block::Refusal(piece) => (&mut refusal, "", piece),
            Block::Reasoning { text: piece, .. } if !piece.is_empty() => (&mut thoughts, BETWEEN_BLOCKS, piece),
            _ => continue,
        };
        match into {
            Some(all) => all.extend([separator, piece]),
            None => *into = Some(piece.clone()),
        }
    }
    let has_nothing = choice.blocks.is_empty();
    members.member("role", "assistant");
    members.member("content", &text.as_deref().or(has_nothing.then_some("")));
    members.some("reasoning_content", thoughts.as_deref());
    details(members, choice);
    members.member("refusal", &refusal);
    members.array("annotations", |list| {
        for block in &choice.blocks {
            let Block::Text { annotations, .. } = block else { continue };
            for written in annotations.iter().filter_map(annotation) {
                list.object_element(|entry| entry.spliced(&written));
            }
        }
    });
    media(members, asked, choice);
    calls(members, is_legacy, choice);
    let signed_text = choice.blocks.iter().rev().find_map(|block| match block {
        Block::Text { signature, .. } => signature.as_ref(),
        _ => None,
    });
    if let Some(signature) = signed_text {
        signed(members, signature);
    }
}

/// The blocks of thoughts that their provider wants back.
fn details(members: &mut Members<'_>, choice: &Choice) {
    let signed = |block: &&Block| matches!(block, Block::Reasoning { signature: Some(_), .. });
    if !choice.blocks.iter().any(|block| signed(&block)) {
        return;
    }
    members.array("reasoning_details", |entries| {
        let mut index = 0;
        for block in choice.blocks.iter().filter(signed) {
            if let Block::Reasoning { text, kind, signature } = block {
                reasoning_details::write(entries, &mut index, text, *kind, signature.as_ref());
            }
        }
    });
}

fn calls(members: &mut Members<'_>, is_legacy: bool, choice: &Choice) {
    let mut calls = choice.blocks.iter().filter(|block| matches!(block, Block::ToolCall { .. })).peekable();
    if calls.peek().is_none() {
        return;
    }
    let or_empty = |arguments: &str| if arguments.is_empty() { "{}".to_owned() } else { arguments.to_owned() };
    if is_legacy {
        if let Some(Block::ToolCall { name, arguments, .. }) = calls.next() {
            members.object("function_call", |members| function(members, Some(name), &or_empty(arguments)));
        }
        return;
    }
    members.array("tool_calls", |list| {
        for call in calls {
            let Block::ToolCall { id, name, arguments, signature } = call else { continue };
            list.object_element(|entry| {
                entry.member("id", id);
                entry.member("type", "function");
                entry.object("function", |members| function(members, Some(name), &or_empty(arguments)));
                if let Some(signature) = signature {
                    signed(entry, signature);
                }
            });
        }
    });
}

fn media(members: &mut Members<'_>, asked: &Asked, choice: &Choice) {
    let of = |is_sound: bool| {
        choice.blocks.iter().filter_map(move |block| match block {
            Block::Media { mime_type, base64 } if mime_type.starts_with("audio/") == is_sound => {
                Some((mime_type, base64))
            }
            _ => None,
        })
    };
    if let Some((_, base64)) = of(true).next() {
        members.object("audio", |members| audio(members, asked, base64));
    }
    if of(false).next().is_some() {
        members.array("images", |list| {
            of(false).for_each(|(mime_type, base64)| list.object_element(|entry| image(entry, mime_type, base64)));
        });
    }
}

/// All of the arrays in one.
fn logprobs(choice: &Choice) -> Option<String> {
    let mut all = String::new();
    for block in &choice.blocks {
        let Block::Text { logprobs, .. } = block else { continue };
        for list in logprobs {
            let inside = list.elements();
            if !inside.is_empty() {
                all.push_str(if all.is_empty() { "" } else { "," });
                all.push_str(inside);
            }
        }
    }
    (!all.is_empty()).then(|| format!("[{all}]"))
}

fn finish(entry: &mut Members<'_>, is_legacy: bool, choice: &Choice) {
    let has = |wanted: fn(&Block) -> bool| choice.blocks.iter().any(wanted);
    let has_calls = has(|block| matches!(block, Block::ToolCall { .. }));
    let unsaid = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
    let reason = choice.finish.as_ref().unwrap_or(&unsaid);
    let (word, native) = finish_words(reason, has(|block| matches!(block, Block::Refusal(_))));
    entry.member("finish_reason", if is_legacy && word == "tool_calls" { "function_call" } else { word });
    entry.some("native_finish_reason", native);
}

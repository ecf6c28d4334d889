//! Thoughts, and signatures of anything.

use super::super::super::Signature;
use super::super::Signed;
use super::super::output::{self, Open, Place};
use super::Writer;

impl Writer {
    pub(super) fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Reasoning(..)) {
            self.close("completed", out);
            let place = self.place("rs");
            let item = output::reasoning(&place, None, None);
            self.lines.say_item(out, "response.output_item.added", place.index, &item);
            let at = (&place, "summary_index", 0);
            self.lines.say_part(out, "response.reasoning_summary_part.added", at, |event| {
                event.object("part", |part| output::summary_part(part, ""));
            });
            self.open = Open::Reasoning(place, String::new());
        }
        let Open::Reasoning(place, whole) = &mut self.open else { return };
        self.kept += text.len();
        whole.push_str(text);
        let at = (&*place, "summary_index", 0);
        self.lines.say_part(out, "response.reasoning_summary_text.delta", at, |event| event.member("delta", text));
    }

    pub(super) fn end_thoughts(&mut self, signature: Option<&Signature<'_>>, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.open) {
            Open::Reasoning(place, text) => self.close_thoughts(&place, &text, signature, out),
            other => {
                self.open = other;
                if let Some(signature) = signature {
                    self.signature(signature, Signed::Itself, out);
                }
            }
        }
    }

    pub(super) fn close_thoughts(
        &mut self,
        place: &Place,
        text: &str,
        signature: Option<&Signature<'_>>,
        out: &mut Vec<u8>,
    ) {
        let at = (place, "summary_index", 0);
        self.lines.say_part(out, "response.reasoning_summary_text.done", at, |event| event.member("text", text));
        self.lines.say_part(out, "response.reasoning_summary_part.done", at, |event| {
            event.object("part", |part| output::summary_part(part, text));
        });
        self.kept += signature.map_or(0, |signature| signature.text.len());
        let item = output::reasoning(place, Some(text), signature.map(|made| (made, Signed::Itself)));
        self.done(place.index, item, out);
    }

    /// A signature that stands alone, as an item of its own: clients of this dialect give those back.
    pub(super) fn signature(&mut self, signature: &Signature<'_>, signed: Signed, out: &mut Vec<u8>) {
        self.close("completed", out);
        self.kept += signature.text.len();
        let place = self.place("rs");
        let added = output::reasoning(&place, None, None);
        self.lines.say_item(out, "response.output_item.added", place.index, &added);
        self.done(place.index, output::reasoning(&place, None, Some((signature, signed))), out);
    }
}

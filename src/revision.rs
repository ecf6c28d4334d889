//! What the audit keeps of a change of the pricing file: which version there was and is, and the lines that differ.

use serde::{Deserialize, Serialize};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What the audit says was changed.
pub(crate) const OBJECT: &str = "prices";
/// Lines that are kept of one side of a change.
const LINES_MAX: usize = 200;
/// Characters that are kept of one line.
const LINE_CHARS_MAX: usize = 300;
/// A difference that takes longer is found more coarsely.
const SEARCH_MAX: Duration = Duration::from_millis(200);

/// A change. Its sides are what the audit has as before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// `None`: nothing is known of what there was.
    pub(crate) before: Option<Side>,
    pub(crate) after: Side,
}

/// One side of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Side {
    pub(crate) version: String,
    /// The lines that the other side has not, each with its number; `None`: they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<(usize, String)>>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: usize,
}

impl Side {
    fn kept(&self, is_added: bool) -> Option<impl Iterator<Item = Line<'_>>> {
        let lines = self.lines.as_ref()?;
        Some(lines.iter().map(move |(number, text)| Line { is_added, number: *number, text }))
    }

    /// Keeps the lines in `range`, or says how many they are.
    fn keep(&mut self, text: &[&str], range: Range<usize>) {
        let lines = self.lines.get_or_insert_default();
        for at in range {
            if lines.len() < LINES_MAX {
                lines.push((at + 1, text[at].trim_end().chars().take(LINE_CHARS_MAX).collect()));
            } else {
                self.left_out += 1;
            }
        }
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A line that was removed or added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'r> {
    pub(crate) is_added: bool,
    /// In the text that has it.
    pub(crate) number: usize,
    pub(crate) text: &'r str,
}

/// A version of the file, and its text as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edition<'t> {
    pub(crate) version: &'t str,
    pub(crate) text: Option<&'t str>,
}

impl Revision {
    /// What became of `before`.
    pub(crate) fn between(before: Option<Edition<'_>>, after: Edition<'_>) -> Self {
        let side = |edition: Edition<'_>| Side { version: edition.version.to_owned(), ..Side::default() };
        let mut revision = Self { before: before.map(side), after: side(after) };
        if let (Some(Edition { text: Some(old), .. }), Some(new)) = (before, after.text)
            && let Some(before) = &mut revision.before
        {
            compare(old, new, before, &mut revision.after);
        }
        revision
    }

    /// As the audit has it.
    pub(crate) fn images(&self) -> (Option<String>, Option<String>) {
        // Texts and numbers in structures can always be written: there is no failure that this would hide.
        let image = |side: &Side| serde_json::to_string(side).unwrap_or_default();
        (self.before.as_ref().map(image), Some(image(&self.after)))
    }

    /// What the audit has; what cannot be read is not known.
    pub(crate) fn read(before: Option<&str>, after: Option<&str>) -> Self {
        let side = |image: &str| serde_json::from_str(image).ok();
        Self { before: before.and_then(side), after: after.and_then(side).unwrap_or_default() }
    }

    /// The lines of both sides in the order of the text; `None`: they are not known.
    pub(crate) fn lines(&self) -> Option<Vec<Line<'_>>> {
        let mut removed = self.before.as_ref()?.kept(false)?.peekable();
        let mut added = self.after.kept(true)?.peekable();
        let mut lines = Vec::new();
        // So many more lines the new text has up to here: a line of the old one has this number more in the new.
        let mut shift = 0_i64;
        loop {
            let place = |line: &Line<'_>| i64::try_from(line.number).unwrap_or(i64::MAX);
            let is_added = match (removed.peek(), added.peek()) {
                (None, None) => return Some(lines),
                (Some(old), Some(new)) => place(new) < place(old).saturating_add(shift),
                (old, _) => old.is_none(),
            };
            lines.extend(if is_added { added.next() } else { removed.next() });
            shift += if is_added { 1 } else { -1 };
        }
    }

    /// How many lines were not kept.
    pub(crate) fn left_out(&self) -> usize {
        self.after.left_out + self.before.as_ref().map_or(0, |before| before.left_out)
    }
}

fn compare(old: &str, new: &str, before: &mut Side, after: &mut Side) {
    // With their ends: how a line ends is a difference, too.
    let [old, new] = [old, new].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let until = Instant::now() + SEARCH_MAX;
    before.lines = Some(Vec::new());
    after.lines = Some(Vec::new());
    let changes = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(until));
    for change in changes.iter().filter(|change| change.tag() != DiffTag::Equal) {
        before.keep(&old, change.old_range());
        after.keep(&new, change.new_range());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(old: &str, new: &str) -> Revision {
        let edition = |version, text| Edition { version, text: Some(text) };
        Revision::between(Some(edition("1", old)), edition("2", new))
    }

    fn shown(revision: &Revision) -> String {
        let lines = revision.lines().expect("they are known").into_iter();
        let line = |line: Line<'_>| format!("{}{} {}", if line.is_added { '+' } else { '-' }, line.number, line.text);
        lines.map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lines_are_in_the_order_of_the_text() {
        for (old, new, expected) in [
            ("a\nb\nc\n", "a\nx\nc\n", "-2 b\n+2 x"),
            ("a\nb\n", "x\na\n", "+1 x\n-2 b"),
            ("a\nb\nc\nd\n", "x\ny\na\nd\nz\n", "+1 x\n+2 y\n-2 b\n-3 c\n+5 z"),
            ("a\nb\nc\nd\ne\n", "a\ne\nf\n", "-2 b\n-3 c\n-4 d\n+3 f"),
            ("", "a\nb", "+1 a\n+2 b"),
            ("a\n", "", "-1 a"),
            ("a", "a\n", "-1 a\n+1 a"),
            ("a\n", "a\n", ""),
        ] {
            let revision = between(old, new);
            assert_eq!(shown(&revision), expected, "{old:?} {new:?}");
            let (before, after) = revision.images();
            assert_eq!(Revision::read(before.as_deref(), after.as_deref()), revision);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_not_is_counted() {
        let text = |word: &str| (0..5_000).map(|at| format!("{word}{at}{}\n", "x".repeat(1_000))).collect::<String>();
        let revision = between(&text("a"), &text("b"));
        assert_eq!(revision.lines().map(|lines| lines.len()), Some(2 * LINES_MAX));
        assert_eq!(revision.left_out(), 10_000 - 2 * LINES_MAX);
        assert!(revision.images().1.is_some_and(|image| image.len() < 100_000));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let after = Edition { version: "2", text: Some("a") };
        let first = Revision::between(None, after);
        assert_eq!((first.images().0, first.lines()), (None, None));
        let unseen = Revision::between(Some(Edition { version: "1", text: None }), after);
        assert_eq!(unseen.images(), (Some(r#"{"version":"1"}"#.into()), Some(r#"{"version":"2"}"#.into())));
        assert_eq!(unseen.lines(), None);
        let odd = Revision::read(Some("{}"), Some("nothing"));
        assert_eq!((odd.before, odd.after), (None, Side::default()));
    }
}

//! Inputs made of the seeds: most are still JSON, with other values in other places; the rest is broken.

use crate::properties::input::{CHOICE_BYTES, next};

/// No input is larger: what many mutations blow up says nothing more.
const BYTES_MAX: usize = 60_000;
/// How deep the deepest nesting is.
const DEPTH_MAX: u64 = 300;

/// Values that are easily got wrong.
const VALUES: [&str; 39] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "0.5",
    "1e3",
    "1e999",
    "1e-9223372036854775808",
    "1.5e-9223372036854775808",
    "10e9223372036854775807",
    "-0",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "1000000001",
    "\"\"",
    "\" \"",
    "\"0\"",
    "\"x\"",
    "{}",
    "[]",
    "[{}]",
    "[null]",
    "{\"\":null}",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"a\\r\\nb\\n\\ndata: {}\"",
    "\"\u{2028}\"",
    "\"{\\\"a\\\":1}\"",
    "\"{\"",
    "\"data:image/png;base64,iVBORw0KGgo=\"",
    "\"https://example.com/a.pdf\"",
    "\"tool_calls\"",
    "\"text\"",
    "[{\"type\":\"text\",\"text\":\"x\"}]",
    "\"[DONE]\"",
];

/// Bytes that mean something between values.
const BYTES: [&[u8]; 14] = [
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b":",
    b"data:",
    b"data: [DONE]\n\n",
    b"event: error\n",
    b"\xEF\xBB\xBF",
    b"\xFF",
    b"\"",
    b"{",
    b"]",
    b",",
];

/// A source of choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        (next(&mut self.0) % limit.max(1) as u64) as usize
    }

    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len())]
    }
}

/// The input of that number.
pub(crate) fn input(target: &str, seed: u64, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    let name = target
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut dice = Dice(name ^ seed.wrapping_mul(0xD134_2543_DE82_EF95));
    let body = |dice: &mut Dice| seeds[dice.below(seeds.len())].1[CHOICE_BYTES..].to_vec();
    let mut bytes = body(&mut dice);
    let donor = body(&mut dice);
    for _ in 0..=dice.below(6) {
        mutate(&mut bytes, &donor, &mut dice);
        bytes.truncate(BYTES_MAX);
    }
    let choices = next(&mut dice.0).to_le_bytes();
    [&choices[..CHOICE_BYTES], &bytes].concat()
}

fn mutate(bytes: &mut Vec<u8>, donor: &[u8], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(16) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 => bytes.truncate(at),
        2 => {
            let more = dice.one(&BYTES);
            bytes.splice(at..at, more.iter().copied());
        }
        3 => {
            let from = dice.below(donor.len() + 1);
            bytes.splice(at.., donor[from..].iter().copied());
        }
        4 => part_of_lines(bytes, dice),
        5 => {
            let end = (at + dice.below(200)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => value(bytes, donor, dice),
    }
}

/// A line, or an event, goes or comes twice.
fn part_of_lines(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let ends: Vec<usize> = memchr::memmem::find_iter(bytes, b"\n").map(|at| at + 1).collect();
    if ends.len() < 2 {
        return;
    }
    let first = dice.below(ends.len() - 1);
    let last = (first + 1 + dice.below(3)).min(ends.len() - 1);
    let part: Vec<u8> = bytes[ends[first]..ends[last]].to_vec();
    if dice.below(2) == 0 {
        bytes.drain(ends[first]..ends[last]);
    } else {
        let to = ends[dice.below(ends.len())];
        bytes.splice(to..to, part);
    }
}

/// A JSON value gets another one's place, is nested deeply, goes, or comes twice.
fn value(bytes: &mut Vec<u8>, donor: &[u8], dice: &mut Dice) {
    let here = values(bytes);
    if here.is_empty() {
        return;
    }
    let (start, end) = here[dice.below(here.len())];
    let other = |from: &[u8], found: &[(usize, usize)], dice: &mut Dice| {
        found.get(dice.below(found.len())).map(|(start, end)| from[*start..*end].to_vec()).unwrap_or_default()
    };
    let new = match dice.below(7) {
        0 | 1 => dice.one(&VALUES).as_bytes().to_vec(),
        2 => other(donor, &values(donor), dice),
        3 | 4 => other(bytes, &here, dice),
        5 => {
            let depth = (next(&mut dice.0) % DEPTH_MAX) as usize;
            let (open, close) = if dice.below(2) == 0 { ("[", "]") } else { ("{\"a\":", "}") };
            [open.repeat(depth).as_bytes(), &bytes[start..end], close.repeat(depth).as_bytes()].concat()
        }
        _ => {
            let twice = [&bytes[start..end], b",", &bytes[start..end]].concat();
            if dice.below(2) == 0 { twice } else { Vec::new() }
        }
    };
    bytes.splice(start..end, new);
}

/// Where values stand, as far as brackets and quotes tell: members with their names, too.
fn values(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut open, mut at) = (Vec::new(), Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        at += 1;
        match bytes[start] {
            b'{' | b'[' => open.push(start),
            b'}' | b']' => found.extend(open.pop().map(|start| (start, at))),
            b'"' => {
                while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\n' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                found.push((start, at));
            }
            b'0'..=b'9' | b'-' | b't' | b'f' | b'n' => {
                while at < bytes.len() && matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'.' | b'+' | b'-' | b'E') {
                    at += 1;
                }
                found.push((start, at));
            }
            _ => {}
        }
    }
    // A name with its value.
    let members: Vec<(usize, usize)> = found
        .iter()
        .filter_map(|(start, end)| {
            let colon =
                bytes[..*start].iter().rposition(|byte| !byte.is_ascii_whitespace()).filter(|at| bytes[*at] == b':')?;
            let name = found.iter().find(|(_, end)| *end == colon)?;
            Some((name.0, *end))
        })
        .collect();
    found.extend(members);
    found
}

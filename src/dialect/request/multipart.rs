//! Bodies in `multipart/form-data` (RFC 7578, RFC 2046 section 5.1), read strictly: what two servers could read differently
//! is refused, since a second reading could name a second model.

use super::pieces::AskedPieces;
use super::splice::{Edits, ModelEdit};
use super::text_sink::{PromptText, push_line};
use super::{CHOICES_MAX, RequestFacts, check_model, invalid, is_named_elsewhere, refusal};
use crate::dialect::Answer;
use crate::dialect::Passed;
use crate::dialect::endpoint::{Endpoint, Target};
use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem::{self, Finder};
use std::ops::Range;
use tollgate_plugin_api::Reject;

/// The most parts of a form; OpenAI takes 16 images and a dozen fields.
const PARTS_MAX: usize = 256;
/// The most bytes of one part's header lines.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The longest boundary, by RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;
/// The fields that are acted on, and those that hold a prompt.
const FIELDS: [&str; 10] =
    ["model", "stream", "n", "prompt", "quality", "size", "url", IMAGE_COUNTS[0], IMAGE_COUNTS[1], IMAGE_COUNTS[2]];
/// Vendors' own fields for how many images are made: see [`AskedPieces`].
const IMAGE_COUNTS: [&str; 3] = ["batch_size", "num_images", "max_images"];
/// The fields of transcriptions and translations that are no sound (platform.openai.com/docs/api-reference/audio, and
/// console.groq.com's, docs.mistral.ai's, docs.fireworks.ai's), without what stands in brackets behind some.
const PLAIN_FIELDS: [&str; 22] = [
    "model",
    "stream",
    "n",
    "prompt",
    "quality",
    "size",
    "language",
    "response_format",
    "temperature",
    "timestamp_granularities",
    "include",
    "chunking_strategy",
    "known_speaker_names",
    "known_speaker_references",
    "diarize",
    "context_bias",
    "vad_model",
    "alignment_model",
    "preprocessing",
    "user",
    "task",
    "metadata",
];
/// In the names of fields that say where a sound is, in small letters.
const ELSEWHERE_NAMES: [&str; 3] = ["url", "uri", "file_id"];
/// The longest scheme of an address that is looked for: `https` and its like.
const SCHEME_BYTES_MAX: usize = 15;
/// A field of HTML's forms that says in which character set some servers (aiohttp) are to read all others.
const CHARSET_FIELD: &str = "_charset_";

/// A part of the form.
struct Part<'a> {
    name: &'a str,
    is_file: bool,
    /// Its header lines leave no doubt about how its value is to be read.
    is_plain: bool,
    value: Range<usize>,
    /// The value, with its header lines.
    whole: Range<usize>,
}

/// Reads a form.
pub(super) fn read(
    endpoint: &Endpoint,
    target: &Target,
    content_type: Option<&str>,
    body: &Bytes,
) -> Result<RequestFacts, Reject> {
    let boundary = boundary(content_type)
        .ok_or_else(|| invalid("The content type must be multipart/form-data with a boundary"))?;
    let delimiter = format!("--{boundary}");
    let mut facts = RequestFacts { choices: 1, ..RequestFacts::default() };
    let mut edits = Edits::default();
    let mut seen: Vec<&str> = Vec::new();
    let mut sound = Sound::default();
    let start = for_each_part(body, delimiter.as_bytes(), |part| {
        if endpoint.answer == Answer::Transcription {
            sound.note(&part, &body[part.value.clone()], &mut facts.pieces);
        }
        if part.is_file {
            facts.media_parts += 1;
            match endpoint.answer {
                Answer::Image => facts.images += 1,
                // How long a sound is does not show in its bytes; only how long it is at most.
                _ => facts.refers_elsewhere = true,
            }
        } else {
            facts.prompt_text_bytes += part.value.len() as u64;
        }
        if part.name.eq_ignore_ascii_case(CHARSET_FIELD) {
            return Err(refusal(CHARSET_FIELD, "A form's texts are UTF-8: none may name another character set"));
        }
        let mut fields = FIELDS.into_iter().filter(|field| is_acted_on(field, endpoint.answer));
        let Some(field) = fields.find(|field| part.name.eq_ignore_ascii_case(field)) else { return Ok(()) };
        if field != part.name {
            return Err(refusal(field, &format!("The field `{field}` is written in another case")));
        }
        if seen.contains(&field) {
            return Err(refusal(field, &format!("The field `{field}` is there twice")));
        }
        seen.push(field);
        if part.is_file || !part.is_plain {
            return Err(refusal(field, &format!("The field `{field}` must be plain text, not a file")));
        }
        let value = std::str::from_utf8(&body[part.value.clone()])
            .map_err(|_| refusal(field, &format!("The field `{field}` is not UTF-8")))?;
        match field {
            "model" => {
                check_model(value)?;
                facts.model = Some(value.to_owned());
                edits.model = ModelEdit::Part(part.value);
            }
            "stream" => facts.stream = truth(value).ok_or_else(|| refusal(field, "`stream` must be true or false"))?,
            "n" => facts.choices = choices(value).ok_or_else(|| no_choices(field))?,
            field if IMAGE_COUNTS.contains(&field) => {
                facts.pieces.asks_for(choices(value).ok_or_else(|| no_choices(field))?);
            }
            "quality" | "size" => facts.pieces.note(field, value),
            _ => {}
        }
        Ok(())
    })?;
    if endpoint.answer == Answer::Transcription && (sound.is_elsewhere || !sound.is_here) {
        facts.pieces.hears_elsewhere();
    }
    if edits.model == ModelEdit::Never && is_named_elsewhere(endpoint, target) {
        edits.model = ModelEdit::InsertPart(start..start + delimiter.len());
    }
    facts.edits = edits;
    facts.form_boundary = Some(boundary.to_owned());
    Ok(facts)
}

/// Where a form has the sounds that are to be heard.
#[derive(Default)]
struct Sound {
    is_here: bool,
    is_elsewhere: bool,
}

impl Sound {
    /// A part of the form. What is no field that is known to be plain is a sound, or says where one is (Groq's `url`,
    /// console.groq.com/docs/speech-to-text, takes the place of a file; Mistral's are `file_url` and `file_id`).
    fn note(&mut self, part: &Part<'_>, value: &[u8], pieces: &mut AskedPieces) {
        let name = part.name.to_ascii_lowercase();
        let stem = name.split('[').next().unwrap_or_default();
        if ELSEWHERE_NAMES.iter().any(|word| name.contains(word)) {
            self.is_elsewhere = true;
        } else if part.is_file || !PLAIN_FIELDS.contains(&stem) {
            self.is_elsewhere |= is_address(value);
            self.is_here = true;
            pieces.hears(value.len());
        }
    }
}

/// Whether it begins with the scheme of an address.
fn is_address(value: &[u8]) -> bool {
    let start = value.trim_ascii_start();
    let scheme = memmem::find(&start[..start.len().min(SCHEME_BYTES_MAX + 3)], b"://").map(|end| &start[..end]);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.iter().all(|byte| byte.is_ascii_alphanumeric()))
}

/// A number of answers.
fn choices(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|choices| (1..=CHOICES_MAX).contains(choices))
}

fn no_choices(field: &str) -> Reject {
    refusal(field, &format!("`{field}` must be a whole number from 1 to {CHOICES_MAX}"))
}

/// Whether a field means something in a form of this kind.
fn is_acted_on(field: &str, answer: Answer) -> bool {
    match field {
        "quality" | "size" => answer == Answer::Image,
        field if IMAGE_COUNTS.contains(&field) => answer == Answer::Image,
        "url" => answer == Answer::Transcription,
        _ => true,
    }
}

/// The content type of a form with this boundary, in quotes where the boundary's characters want them (RFC 2045, section 5.1).
pub(super) fn content_type(boundary: &str) -> Option<HeaderValue> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte);
    let quote = if boundary.bytes().all(is_token) { "" } else { "\"" };
    HeaderValue::try_from(format!("multipart/form-data; boundary={quote}{boundary}{quote}")).ok()
}

/// Where the parts of a form stand, each with its header lines: what it says, however it is delimited. `None`: it is no form, or not
/// one that is taken.
pub fn form_parts(content_type: Option<&str>, body: &[u8]) -> Option<Vec<Range<usize>>> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let mut parts = Vec::new();
    let read = for_each_part(body, delimiter.as_bytes(), |part| {
        parts.push(part.whole);
        Ok(())
    });
    read.is_ok().then_some(parts)
}

/// The prompt of a form that was read before.
pub(super) fn prompt_text(body: &[u8], mut sink: Passed) -> PromptText {
    let start = leading_line_break(body);
    if let Some(end) = memmem::find(&body[start..], b"\r\n") {
        let delimiter = &body[start..start + end];
        // A form that was taken before is taken again.
        let _ = for_each_part(body, delimiter, |part| {
            if part.name == "prompt" && !part.is_file {
                push_line(&mut sink, &String::from_utf8_lossy(&body[part.value]));
            }
            Ok(())
        });
    }
    PromptText { once: sink, repeated: None }
}

/// Python's and JavaScript's spellings of a truth value.
fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "1" => Some(true),
        "false" | "False" | "0" | "" => Some(false),
        _ => None,
    }
}

/// The boundary of a content type, unquoted.
fn boundary(content_type: Option<&str>) -> Option<&str> {
    let (media_type, parameters) = content_type?.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut found = None;
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // RFC 2231 writes it as `boundary*` and in sections, `boundary*0`: some servers read those instead.
        let (name, section) =
            name.trim().split_once('*').map_or((name.trim(), None), |(name, more)| (name, Some(more)));
        if !name.eq_ignore_ascii_case("boundary") {
            continue;
        }
        if section.is_some() {
            return None;
        }
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
        let fits =
            (1..=BOUNDARY_BYTES_MAX).contains(&value.len()) && value.bytes().all(allowed) && !value.ends_with(' ');
        if !fits || found.replace(value).is_some() {
            return None;
        }
    }
    found
}

fn malformed(what: &str) -> Reject {
    invalid(&format!("The multipart body is malformed: {what}"))
}

fn leading_line_break(body: &[u8]) -> usize {
    if body.starts_with(b"\r\n") { 2 } else { 0 }
}

/// Goes through the parts and returns where the first delimiter stands. The delimiter may stand nowhere but between parts:
/// a lenient parser would split there too.
fn for_each_part<'a>(
    body: &'a [u8],
    delimiter: &[u8],
    mut visit: impl FnMut(Part<'a>) -> Result<(), Reject>,
) -> Result<usize, Reject> {
    let start = leading_line_break(body);
    if !body[start..].starts_with(delimiter) {
        return Err(malformed("it does not start with the boundary"));
    }
    let finder = Finder::new(delimiter);
    let mut at = start + delimiter.len();
    for _ in 0..=PARTS_MAX {
        let after = &body[at..];
        if let Some(rest) = after.strip_prefix(b"--") {
            return if rest.is_empty() || rest == b"\r\n" {
                Ok(start)
            } else {
                Err(malformed("it goes on after its end"))
            };
        }
        if !after.starts_with(b"\r\n") {
            return Err(malformed("a boundary line has something else on it"));
        }
        let part_start = at + 2;
        let next = finder
            .find(&body[part_start..])
            .map(|found| part_start + found)
            .ok_or_else(|| malformed("its closing boundary is missing"))?;
        let whole = body[part_start..next]
            .strip_suffix(b"\r\n")
            .ok_or_else(|| malformed("a boundary does not stand on a line of its own"))?;
        visit(part(whole, part_start)?)?;
        at = next + delimiter.len();
    }
    Err(malformed("it has too many parts"))
}

/// One part: header lines, an empty line, the value.
fn part(whole: &[u8], offset: usize) -> Result<Part<'_>, Reject> {
    let head_end = memmem::find(&whole[..whole.len().min(HEADER_BYTES_MAX)], b"\r\n\r\n")
        .ok_or_else(|| malformed("a part's header lines have no end"))?;
    let head = std::str::from_utf8(&whole[..head_end]).map_err(|_| malformed("a part's header line is not UTF-8"))?;
    let mut disposition = None;
    let mut is_plain = true;
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) || line.contains(['\r', '\n', '\0']) {
            return Err(malformed("a part's header line is folded or broken"));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a part's header line has no colon"))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.replace(value).is_some() => {
                return Err(malformed("a part has two Content-Disposition lines"));
            }
            "content-disposition" | "content-length" => {}
            "content-type" => is_plain &= is_plain_text(value),
            "content-transfer-encoding" => {
                is_plain &= ["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
            }
            _ => is_plain = false,
        }
    }
    let (name, is_file) =
        form_data(disposition.unwrap_or_default()).ok_or_else(|| malformed("a part has no readable name"))?;
    let value_start = offset + head_end + 4;
    let end = offset + whole.len();
    Ok(Part { name, is_file, is_plain, value: value_start..end, whole: offset..end })
}

fn is_plain_text(content_type: &str) -> bool {
    let mut pieces = content_type.split(';').map(|piece| piece.trim().to_ascii_lowercase());
    pieces.next().is_some_and(|media_type| media_type == "text/plain")
        && pieces.all(|piece| matches!(piece.trim_start_matches("charset=").trim_matches('"'), "utf-8" | "us-ascii"))
}

/// The name of a part, and whether it is a file. `None`: not `form-data`, no name, two names, or one in an extended or
/// escaped notation, which servers read differently.
fn form_data(disposition: &str) -> Option<(&str, bool)> {
    let (kind, mut rest) = disposition.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let mut name = None;
    let mut is_file = false;
    loop {
        let (parameter, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted_end(quoted)?;
                (&quoted[..end], quoted[end + 1..].trim_start())
            }
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim_end(), &value[end..])
            }
        };
        match parameter.trim().to_ascii_lowercase().as_str() {
            "name" if value.contains('\\') || name.replace(value).is_some() => return None,
            "name*" => return None,
            "filename" | "filename*" => is_file = true,
            _ => {}
        }
        match after.strip_prefix(';') {
            Some(more) if !more.trim().is_empty() => rest = more,
            Some(_) => break,
            None if after.is_empty() => break,
            None => return None,
        }
    }
    name.filter(|name| !name.is_empty()).map(|name| (name, is_file))
}

/// Where a quoted text ends, backslash escapes skipped.
fn quoted_end(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

//! What requests ask for that may be billed by the piece.

use super::forms::{TYPE, field, file, form, read as read_form};
use super::{facts, refused};
use crate::dialect::chat::OutputLimits;

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

#[test]
fn vendors_own_fields_for_a_number_of_images_count_for_each_answer() {
    let options = |max: u64| format!(r#","sequential_image_generation_options":{{"max_images":{max}}}"#);
    let auto = r#","sequential_image_generation":"auto""#;
    for (rest, images) in [
        (r#","batch_size":4"#.to_owned(), 4),
        (r#","num_images":3,"n":2"#.to_owned(), 6),
        (r#","batch_size":2,"num_images":3"#.to_owned(), 3),
        (r#","max_images":0"#.to_owned(), 1),
        (options(7), 7),
        // How many the model may choose, Ark says; and what the client allows is less.
        (auto.to_owned(), 15),
        (format!("{auto}{}", options(3)), 3),
        (r#","sequential_image_generation":"disabled""#.to_owned(), 1),
        (r#","sequential_image_generation":null,"sequential_image_generation_options":null"#.to_owned(), 1),
    ] {
        let facts = facts(GENERATIONS, &format!(r#"{{"model":"m","prompt":"a"{rest}}}"#));
        assert_eq!(facts.answers_max(), images, "{rest}");
        assert_eq!(facts.output_tokens_bound(&OutputLimits::default(), Some(100), 7), 100 * images, "{rest}");
    }
    let body = form(&[field("model", "m"), field("n", "2"), field("num_images", "3"), file("image", "x")]);
    assert_eq!(read_form(EDITS, TYPE, &body).unwrap().answers_max(), 6);
    for (rest, param) in [
        (r#","batch_size":"4""#.to_owned(), "batch_size"),
        (r#","num_images":1000"#.to_owned(), "num_images"),
        (options(1000), "sequential_image_generation_options.max_images"),
    ] {
        let (_, named) = refused(GENERATIONS, &format!(r#"{{"model":"m","prompt":"a"{rest}}}"#));
        assert_eq!(named.as_deref(), Some(param));
    }
    let many = form(&[field("model", "m"), field("batch_size", "1000"), file("image", "x")]);
    assert!(read_form(EDITS, TYPE, &many).is_err());
}

#[test]
fn quality_size_and_number_of_images_are_read() {
    for (rest, quality, size, images) in [
        ("", None, None, 1),
        (r#","n":3,"quality":"hd","size":"1024x1792""#, Some("hd"), Some("1024x1792"), 3),
        (r#","quality":null,"size":null"#, None, None, 1),
        // What is no word is the upstream's to take or to refuse, but something was asked for.
        (r#","quality":80,"size":{"width":1}"#, Some("?"), Some("?"), 1),
        (r#","quality":["hd"],"size":["1x1",["2x2"]]"#, Some("?"), Some("?"), 1),
        (r#","size":"a word that is much too long to be one of a size""#, None, Some("?"), 1),
    ] {
        let facts = facts(GENERATIONS, &format!(r#"{{"model":"m","prompt":"size"{rest}}}"#));
        assert_eq!(
            (facts.pieces.quality.as_deref(), facts.pieces.size.as_deref(), facts.choices),
            (quality, size, images)
        );
    }
    let (message, param) = refused(GENERATIONS, r#"{"model":"m","Size":"1024x1792"}"#);
    assert!(message.contains("write `size`"), "{message}");
    assert_eq!(param.as_deref(), Some("Size"));
    refused(GENERATIONS, r#"{"model":"m","size":"256x256","size":"1024x1792"}"#);
    let body = form(&[
        field("model", "m"),
        field("quality", "hd"),
        field("size", "512x512"),
        field("n", "2"),
        file("image", "x"),
    ]);
    let facts = read_form(EDITS, TYPE, &body).unwrap();
    assert_eq!(
        (facts.pieces.quality.as_deref(), facts.pieces.size.as_deref(), facts.choices),
        (Some("hd"), Some("512x512"), 2)
    );
    let twice = form(&[field("model", "m"), field("size", "256x256"), field("size", "1024x1024")]);
    assert!(read_form(EDITS, TYPE, &twice).is_err());
    // Elsewhere they mean nothing.
    let twice = form(&[field("model", "m"), field("size", "a"), field("size", "b"), file("file", "x")]);
    assert!(read_form(TRANSCRIPTIONS, TYPE, &twice).is_ok());
}

#[test]
fn the_characters_to_be_spoken_are_counted() {
    for (input, characters) in [
        (r#""Hi.""#, 3),
        (r#""Gr\u00fc\u00dfe \ud83d\udc4b""#, 7),
        ("\"\u{4f60}\u{597d}\"", 2),
        (r#""""#, 0),
        (r#"["ab","c"]"#, 3),
        // All of the body, where it is no text.
        ("null", 72),
        ("12", 70),
        (r#"["a",{"text":"b"}]"#, 86),
    ] {
        let facts =
            facts(SPEECH, &format!(r#"{{"model":"m","input":{input},"voice":"a long name","instructions":"slowly"}}"#));
        assert_eq!(facts.pieces.characters, characters, "{input}");
    }
    assert_eq!(facts("/v1/embeddings", r#"{"model":"m","input":"Hi."}"#).pieces.characters, 0);
    refused(SPEECH, r#"{"model":"m","input":"a","input":"b"}"#);
    refused(SPEECH, r#"{"model":"m","Input":"a"}"#);
}

#[test]
fn the_length_of_a_sound_is_bounded_by_its_bytes() {
    let ms = |parts: &[String]| read_form(TRANSCRIPTIONS, TYPE, &form(parts)).unwrap().pieces.audio_ms_max();
    let sound = file("file", &"x".repeat(4_750));
    assert_eq!(ms(&[field("model", "m"), sound.clone()]), 8_000);
    assert_eq!(ms(&[field("model", "m"), sound.clone(), sound.clone()]), 16_000);
    assert_eq!(ms(&[field("model", "m"), field("file", &"x".repeat(4_750)), sound.clone()]), 16_000, "no file's name");
    // What is fetched from elsewhere is as large as any can be.
    let elsewhere = 176_602_274;
    for name in ["file_url", "file_id", "audioURI"] {
        assert_eq!(ms(&[field("model", "m"), field(name, "x"), sound.clone()]), elsewhere, "{name}");
    }
    assert_eq!(ms(&[field("model", "m"), field("source", "s3://a/b"), sound.clone()]), elsewhere);
    assert_eq!(ms(&[field("model", "m"), field("prompt", "https://a"), sound.clone()]), 8_000);
    assert_eq!(ms(&[field("model", "m"), field("url", "https://example/a.mp3")]), elsewhere);
    assert_eq!(ms(&[field("model", "m"), field("url", "https://example/a.mp3"), sound]), elsewhere);
    assert_eq!(ms(&[field("model", "m")]), elsewhere);
    assert_eq!(
        facts(TRANSCRIPTIONS, r#"{"model":"m","file_url":"https://example/a.mp3"}"#).pieces.audio_ms_max(),
        elsewhere
    );
    assert_eq!(facts("/v1/chat/completions", r#"{"model":"m"}"#).pieces.audio_ms_max(), 0);
}

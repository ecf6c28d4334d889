//! What answers say was made or heard.

use super::{Case, case, cut_up, said};
use crate::dialect::shape::{Answer, DialectId, Framing};
use crate::dialect::usage::Made;
use bytes::Bytes;

const IMAGES: Case = case(Answer::Image, DialectId::OpenAi, Framing::JsonDocument);
const IMAGE_EVENTS: Case = case(Answer::Image, DialectId::OpenAi, Framing::Sse);
const HEARD: Case = case(Answer::Transcription, DialectId::OpenAi, Framing::JsonDocument);
const HEARD_EVENTS: Case = case(Answer::Transcription, DialectId::OpenAi, Framing::Sse);
const HEARD_TEXT: Case = case(Answer::Transcription, DialectId::OpenAi, Framing::Opaque);

/// However the text is cut.
fn made(case: Case, text: &str) -> Made {
    let whole = case.whole(text);
    for lengths in [&[1][..], &[2, 3], &[7], &[64, 1]] {
        let (cut, _) = case.scan(cut_up(text, lengths));
        assert_eq!(said(&cut), said(&whole), "{text}: {lengths:?}");
    }
    whole.made()
}

#[test]
fn images_are_counted_where_the_protocol_has_them() {
    let large = "QUJD".repeat(30_000);
    for (text, images) in [
        (r#"{"created":1,"data":[{"url":"a"},{"url":"b","revised_prompt":"data"}]}"#.to_owned(), Some(2)),
        (
            format!(r#"{{"data":[{{"b64_json":"{large}"}},{{"b64_json":"{large}"}},{{"b64_json":"{large}"}}]}}"#),
            Some(3),
        ),
        (r#"{"data":["a","b"]}"#.to_owned(), Some(2)),
        (r#"{"data":[]}"#.to_owned(), Some(0)),
        (r#"{"data":[null,{},"",false]}"#.to_owned(), Some(0)),
        (r#"{"images":[{"url":"a"}],"other":{"data":[{"url":"a"}]}}"#.to_owned(), None),
        (r#"{"data":{"data":[{"url":"a"}]}}"#.to_owned(), None),
        (r#"{"data":[{"url":"a"},{"error":{"code":"x"}},{"error":null,"url":"b"}]}"#.to_owned(), Some(2)),
        (r#"{"data":[{"error":{"code":"x"}}]}"#.to_owned(), Some(0)),
        (r#"{"data":[{"url":"a"},{"url":"b"}],"usage":{"generated_images":1}}"#.to_owned(), Some(1)),
        (r#"{"data":null}"#.to_owned(), Some(0)),
        // Whatever is said within an image is content.
        (r#"{"data":[{"url":"a","revised_prompt":"\",{\"data\":[{},{}]}","data":[1,2,3]}]}"#.to_owned(), Some(1)),
        // Cut off: what has begun.
        (r#"{"data":[{"url":"a"},{"url":"b"#.to_owned(), Some(2)),
        (r#"{"created":1,"da"#.to_owned(), Some(0)),
    ] {
        assert_eq!(made(IMAGES, &text).images, images, "{}", &text[..text.len().min(200)]);
    }
    let many = |count: usize| format!(r#"{{"data":[{}]}}"#, vec![r#"{"url":"a"}"#; count].join(","));
    assert_eq!((made(IMAGES, &many(128)).images, made(IMAGES, &many(128)).disbelieved), (Some(128), false));
    assert_eq!((made(IMAGES, &many(129)).images, made(IMAGES, &many(129)).disbelieved), (None, true));
}

#[test]
fn images_of_a_stream_are_those_that_are_complete() {
    let event = |kind: &str, more: &str| {
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"b64_json\":\"QUJD\"{more}}}\n\n")
    };
    let partial = event("image_generation.partial_image", ",\"size\":\"1x1\"");
    let complete = event("image_generation.completed", ",\"size\":\"1024x1536\",\"quality\":\"high\"");
    let told = made(IMAGE_EVENTS, &format!("{partial}{partial}{complete}"));
    assert_eq!(
        (told.images, told.size.as_deref(), told.quality.as_deref()),
        (Some(1), Some("1024x1536"), Some("high"))
    );
    assert_eq!(made(IMAGE_EVENTS, &partial).images, Some(0), "it broke off");
    assert_eq!(made(IMAGE_EVENTS, &format!("{partial}data: [DONE]\n\n")).images, None, "it is whole, and says of none");
    assert_eq!(made(IMAGE_EVENTS, &event("image_edit.completed", "")).images, Some(1));
    // None is the end: nobody knows how many there will be.
    let mut several = IMAGE_EVENTS.scanner().of_choices(2);
    let _ = several.push(Bytes::from(complete.clone()));
    assert!(several.is_whole() && !several.has_terminal());
    let _ = several.push(Bytes::from(complete.clone()));
    assert_eq!(several.made().images, Some(2));
    let mut one = IMAGE_EVENTS.scanner();
    let _ = one.push(Bytes::from(complete));
    assert!(one.is_whole() && !one.has_terminal());
    let _ = one.push(Bytes::from(event("image_generation.completed", ",\"quality\":\"low\"")));
    let kinds: Vec<_> =
        one.made().kinds.into_iter().map(|kind| (kind.quality.unwrap_or_default(), kind.images)).collect();
    assert_eq!(kinds, [("high".to_owned(), 1), ("low".to_owned(), 1)]);
    // No more kinds than are kept, and every image is in one of them.
    let many: String = (0..12).map(|n| event("image_generation.completed", &format!(",\"quality\":\"{n}\""))).collect();
    let kinds = made(IMAGE_EVENTS, &many).kinds;
    assert_eq!((kinds.len(), kinds.iter().map(|kind| kind.images).sum::<u64>()), (8, 12));
}

#[test]
fn a_failure_in_words_of_its_own_is_told_from_an_answer() {
    for (text, has_failed) in [
        (r#"{"code":1113,"msg":"Insufficient balance"}"#, true),
        (r#"{"code":"InvalidParameter","message":"no"}"#, true),
        (r#"{"code":0,"images":[{"url":"a"}]}"#, false),
        (r#"{"code":200,"message":"success","images":[]}"#, false),
        (r#"{"code":"ok","message":"","images":[]}"#, false),
        (r#"{"images":[{"url":"a"}]}"#, false),
    ] {
        assert_eq!(made(IMAGES, text).has_failed_in_words, has_failed, "{text}");
    }
}

#[test]
fn words_are_those_of_the_answer_itself() {
    let told = made(IMAGES, r#"{"quality":"hd","size":"1024x1792","data":[{"url":"a","size":"other"}]}"#);
    assert_eq!((told.quality.as_deref(), told.size.as_deref()), (Some("hd"), Some("1024x1792")));
    let long = "x".repeat(33);
    let told = made(IMAGES, &format!(r#"{{"quality":1,"size":"{long}","data":[]}}"#));
    assert_eq!((told.quality, told.size), (None, None));
}

#[test]
fn the_length_of_audio_is_read_where_it_stands() {
    for (text, ms) in [
        (r#"{"duration":8.470000267028809,"text":"a"}"#, Some(8_471)),
        (r#"{"text":"a","duration":"8.47"}"#, Some(8_470)),
        (r#"{"text":"a","usage":{"type":"duration","seconds":9}}"#, Some(9_000)),
        (r#"{"text":"a","usage":{"seconds":8.5,"prompt_audio_seconds":7}}"#, Some(8_500)),
        (r#"{"text":"a","usage":{"prompt_audio_seconds":7,"prompt_tokens":3,"total_tokens":3}}"#, Some(7_000)),
        (r#"{"text":"a","usage":{"type":"tokens","input_tokens":3,"output_tokens":1,"total_tokens":4}}"#, None),
        (r#"{"text":"\"duration\":9","segments":[{"duration":9}]}"#, None),
        (r#"{"text":"a","duration":0.0}"#, None),
        (r#"{"text":"a","duration":null}"#, None),
    ] {
        let told = made(HEARD, text);
        assert_eq!((told.audio_ms, told.disbelieved, told.images), (ms, false, None), "{text}");
    }
    let segments = r#"{"text":"a","segments":[{"end":30.5},{"end":3}]}"#;
    assert_eq!((made(HEARD, segments).audio_ms, made(HEARD, segments).last_cue_ms), (None, Some(30_500)));
    for text in [r#"{"duration":-1}"#, r#"{"duration":1e9}"#, r#"{"usage":{"seconds":true}}"#] {
        assert_eq!((made(HEARD, text).audio_ms, made(HEARD, text).disbelieved), (None, true), "{text}");
    }
    let done =
        "data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"type\":\"duration\",\"seconds\":9}}\n\n";
    assert_eq!(made(HEARD_EVENTS, done).audio_ms, Some(9_000));
}

#[test]
fn subtitles_tell_when_the_last_one_ends() {
    let vtt = "WEBVTT\n\n00:00.000 --> 00:01.500\nHi.\n\n00:01.500 --> 00:09.250 align:start\nYou.";
    let told = made(HEARD_TEXT, vtt);
    assert_eq!((told.last_cue_ms, told.audio_ms), (Some(9_250), None));
    let srt = "1\r\n00:00:00,000 --> 00:00:02,000\r\nHi.\r\n\r\n2\r\n00:00:02,000 --> 00:01:00,001";
    assert_eq!(made(HEARD_TEXT, srt).last_cue_ms, Some(60_001));
    assert_eq!(made(HEARD_TEXT, "Hi. You.").last_cue_ms, None);
}

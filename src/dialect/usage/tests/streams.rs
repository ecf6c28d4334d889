//! The bytes of a stream: cut anywhere, framed in every way, of any size.

use proptest::prelude::*;

use super::{CHAT, CHAT_JSON, COMPLETION, Case, GEMINI, GEMINI_ARRAY, MESSAGES, RESPONSES, case, cut_up, said};
use crate::dialect::shape::{Answer, DialectId, Framing};

const CHAT_STREAM: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df} \\u4e2d\\\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"\u{1f600}\"},\"finish_reason\":null}],\"obfuscation\":\"x{[\"}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":75,\"total_tokens\":94,",
    "\"completion_tokens_details\":{\"reasoning_tokens\":64}}}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES_STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\u{e9}\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"usage\\\":\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES_STREAM: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\",\"logprobs\":[]}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\"}],\"usage\":",
    "{\"input_tokens\":75,\"output_tokens\":46,\"output_tokens_details\":{\"reasoning_tokens\":20},\"total_tokens\":121}}}\n\n",
);

const GEMINI_STREAM: &str = concat!(
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}}],\"usageMetadata\": {\"promptTokenCount\": 7}}\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"!\"}]},\"finishReason\": \"STOP\"}],\"usageMetadata\": ",
    "{\"promptTokenCount\": 7,\"candidatesTokenCount\": 10,\"thoughtsTokenCount\": 5,\"totalTokenCount\": 22}}\n\n",
);

const ARRAY_STREAM: &str = concat!(
    "[{\n  \"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Hi\"}]}}],\n \"usageMetadata\": {\"promptTokenCount\": 7}\n}\n,\r\n",
    "{\"candidates\": [{\"finishReason\": \"STOP\"}], \"usageMetadata\": {\"promptTokenCount\": 7,\"candidatesTokenCount\": 3}}\n]\n",
);

const LINES_STREAM: &str = "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n{\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n";

const DOCUMENT: &str = "{\"choices\":[{\"message\":{\"content\":\"a\\n\u{e9}\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}";

const ERROR_STREAM: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
    "id:2\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"InvalidParameter\",\"message\":\"bad\"}\n\n",
);

const NDJSON: Case = case(Answer::Chat, DialectId::OpenAi, Framing::NdJson);

const STREAMS: [(Case, &str, Option<[u64; 5]>); 9] = [
    (CHAT, CHAT_STREAM, Some([19, 0, 0, 75, 64])),
    (COMPLETION, CHAT_STREAM, Some([19, 0, 0, 75, 64])),
    (MESSAGES, MESSAGES_STREAM, Some([25, 0, 0, 15, 0])),
    (RESPONSES, RESPONSES_STREAM, Some([75, 0, 0, 46, 20])),
    (GEMINI, GEMINI_STREAM, Some([7, 0, 0, 15, 5])),
    (GEMINI_ARRAY, ARRAY_STREAM, Some([7, 0, 0, 3, 0])),
    (NDJSON, LINES_STREAM, Some([4, 0, 0, 2, 0])),
    (CHAT_JSON, DOCUMENT, Some([4, 0, 0, 2, 0])),
    (CHAT, ERROR_STREAM, None),
];

fn ends_of_lines(case: Case, text: &str) -> Vec<String> {
    match case.framing {
        Framing::Sse => ["\n", "\r\n", "\r"].iter().map(|end| text.replace('\n', end)).collect(),
        _ => vec![text.to_owned()],
    }
}

#[test]
fn every_stream_at_every_cut_comes_to_the_same() {
    for (case, text, counts) in STREAMS {
        assert_eq!(case.counts(text), counts);
        for text in ends_of_lines(case, text) {
            let whole = case.scan([text.as_bytes()]);
            for cut in 0..=text.len() {
                let (left, right) = text.as_bytes().split_at(cut);
                let (scanner, out) = case.scan([left, b"", right]);
                assert_eq!(said(&scanner), said(&whole.0), "cut at {cut} of {text:?}");
                assert_eq!(out, text.as_bytes());
            }
            let (scanner, _) = case.scan(text.as_bytes().chunks(1));
            assert_eq!(said(&scanner), said(&whole.0));
        }
    }
}

#[test]
fn pairs_of_cuts() {
    for (case, text, _) in STREAMS {
        let whole = case.whole(text);
        for first in (0..text.len()).step_by(7) {
            for second in (first..text.len()).step_by(11) {
                let bytes = text.as_bytes();
                let (scanner, _) = case.scan([&bytes[..first], &bytes[first..second], &bytes[second..]]);
                assert_eq!(said(&scanner), said(&whole), "cuts at {first} and {second}");
            }
        }
    }
}

#[test]
fn what_a_stream_says_when_it_is_cut_off() {
    for (case, text, counts) in STREAMS {
        for end in 0..text.len() {
            let (scanner, out) = case.scan([&text.as_bytes()[..end]]);
            assert_eq!(out, &text.as_bytes()[..end]);
            assert!(!scanner.disbelieved(), "half a report is none: {:?}", &text.as_bytes()[..end]);
            if scanner.is_final() {
                assert_eq!(scanner.metered().map(|metered| super::five(&metered.usage)), counts);
            }
        }
    }
}

#[test]
fn the_framing_does_not_matter() {
    for (case, text, counts) in STREAMS.into_iter().filter(|(case, ..)| case.framing == Framing::Sse) {
        let variants = [
            format!("\u{feff}{text}"),
            text.replace("data: ", "data:"),
            text.replace("data: ", "id: 5\nretry: 10\n: \u{e9}\ndata: "),
            text.replace("\n\n", "\n\n\n\n: ping\n\n"),
            text.trim_end().to_owned(),
            text.replace("}\n\n", "}\nid: 7\n\n"),
            text.replace("data: ", "event: message\nfoo\nfoo: bar\ndata: "),
        ];
        for variant in variants {
            assert_eq!(case.counts(&variant), counts, "{variant:?}");
        }
    }
}

#[test]
fn events_of_several_data_lines() {
    // Cut wherever JSON has room for a blank: the lines of an event are put together with a line feed.
    for (case, text, counts) in STREAMS.into_iter().filter(|(case, ..)| case.framing == Framing::Sse) {
        for between in [",\"", "{\"", ":{", "\":", "}"] {
            let glued = text.replace(between, &format!("{}\ndata: {}", &between[..1], &between[1..]));
            let lines = glued.replace("\":\ndata: {", "\":{");
            // The needle may stand inside a string, where a line feed breaks the JSON: only unbroken ones are compared.
            let sound = lines.split("\n\n").filter(|event| event.contains("data: {")).all(|event| {
                let data: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                serde_json::from_str::<serde_json::Value>(&data.join("\n")).is_ok()
            });
            if sound {
                assert_eq!(case.counts(&lines), counts, "{lines}");
            }
        }
    }
    let stream = "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":5}\ndata: ,\"x\":[]\ndata:}\n\n";
    assert_eq!(CHAT.counts(stream), Some([5, 0, 0, 0, 0]));
    let parted = "data: {\ndata: \"usage\":{\"prompt_tokens\":1\ndata: 2}}\n\n";
    let scanner = CHAT.whole(parted);
    assert!(scanner.metered().is_none() && scanner.disbelieved(), "a number does not go on behind a line feed");
}

#[test]
fn events_without_blank_lines_between_them() {
    let text = CHAT_STREAM.replace("\n\n", "\n");
    let whole = CHAT.whole(&text);
    assert_eq!(said(&whole), said(&CHAT.whole(CHAT_STREAM)).replace("boundary=true", "boundary=false"));
    for cut in 0..=text.len() {
        let (left, right) = text.as_bytes().split_at(cut);
        assert_eq!(said(&CHAT.scan([left, right]).0), said(&whole), "cut at {cut}");
    }
}

#[test]
fn events_of_any_size() {
    for size in [100, 16_000, 16_384, 17_000, 100_000, 1_500_000] {
        let filler = "lorem \\\"usage\\\":{\\\"input_tokens\\\":1} ".repeat(size / 38 + 1);
        let delta = |text: &str| {
            format!(
                "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n"
            )
        };
        let completed = format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{{\"content\":[{{\"text\":\"{filler}\"}}]}}],\
             \"usage\":{{\"input_tokens\":75,\"output_tokens\":46}},\"instructions\":\"{filler}\"}}}}\n\n"
        );
        let text = delta("a") + &delta(&filler) + &completed + &delta("b");
        let whole = RESPONSES.whole(&text);
        assert_eq!(whole.metered().map(|metered| super::five(&metered.usage)), Some([75, 0, 0, 46, 0]), "{size}");
        let plain = filler.replace('\\', "").len() as u64;
        assert_eq!(whole.delivered().total_bytes(), 2 + plain, "{size}");
        for piece in [700, 16_384, 70_000] {
            assert_eq!(said(&RESPONSES.scan(text.as_bytes().chunks(piece)).0), said(&whole));
        }
    }
}

#[test]
fn a_usage_object_beyond_reason_is_not_believed() {
    let text =
        format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"x\":\"{}\"}}}}\n\n", "x".repeat(70_000));
    let scanner = CHAT.whole(&text);
    assert!(scanner.metered().is_none() && scanner.disbelieved());
    let after = text + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2}}\n\n";
    assert_eq!(CHAT.counts(&after), Some([2, 0, 0, 0, 0]), "what follows is read");
}

#[test]
fn broken_events_do_not_stop_the_scan() {
    for broken in [
        "data: {\"usage\":{\"prompt_tokens\":1}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":1}}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":1}} {}\n\n",
        "data: not json {\"usage\":{\"prompt_tokens\":1}}\n\n",
        "data: {]\n\n",
        "data: \u{0}\u{1}\n\n",
        "data\n\n",
        "data: \"usage\"\n\n",
        "data: 7\n\n",
    ] {
        let alone = CHAT.whole(broken);
        assert!(alone.metered().is_none() && !alone.disbelieved(), "{broken:?}");
        assert_eq!(CHAT.counts(&(broken.to_owned() + CHAT_STREAM)), Some([19, 0, 0, 75, 64]), "{broken:?}");
    }
}

proptest! {
    #[test]
    fn any_cuts_of_any_stream(which in 0..STREAMS.len(), ends in 0usize..3, cuts in prop::collection::vec(1usize..90, 1..80)) {
        let (case, text, _) = STREAMS[which];
        let texts = ends_of_lines(case, text);
        let text = &texts[ends % texts.len()];
        let whole = case.whole(text);
        let (scanner, out) = case.scan(cut_up(text, &cuts));
        prop_assert_eq!(said(&scanner), said(&whole));
        prop_assert_eq!(out, text.as_bytes());
    }

    /// Events that are written alike, in every frame that lines can give them: what is passed over as a whole says what its lines say.
    #[test]
    fn events_alike_in_any_frame(
        is_messages in any::<bool>(),
        drawn in prop::collection::vec((0usize..8, 0usize..7, 0usize..5), 1..30),
        cuts in prop::collection::vec(1usize..400, 1..20),
    ) {
        const TEXTS: [&str; 8] = ["", "a", "more text", "\\n", "\\\"", "\u{4e2d}", "a\nb", "a\rdata: b"];
        const NAMES: [&str; 7] =
            ["", "", "event: content_block_delta\n", "event:x\n", "event: error\n", "id: 1\n", ": HTTP_STATUS/400\n"];
        const ENDS: [&str; 5] = ["\n\n", "\n\n", "\r\n\r\n", "\n", "\n\r"];
        let case = if is_messages { MESSAGES } else { CHAT };
        let mut text = String::new();
        for (inside, name, end) in drawn {
            let inside = TEXTS[inside];
            let event = match is_messages {
                true => format!(
                    "{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{inside}\"}}}}"
                ),
                false => format!("{{\"choices\":[{{\"delta\":{{\"content\":\"{inside}\"}}}}],\"usage\":null,\"p\":\"{inside}\"}}"),
            };
            text += &format!("{}data: {event}{}", NAMES[name], ENDS[end]);
        }
        let whole = case.whole(&text);
        let (single, _) = case.scan(text.as_bytes().chunks(1));
        prop_assert_eq!(said(&whole), said(&single));
        prop_assert_eq!(said(&case.scan(cut_up(&text, &cuts)).0), said(&single));
    }

    #[test]
    fn no_bytes_make_it_panic(
        which in 0..STREAMS.len(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
        take_out in any::<bool>(),
    ) {
        let (case, text, _) = STREAMS[which];
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (left, right) = bytes.split_at(cut.index(bytes.len()));
        let case = Case { take_out, ..case };
        let (scanner, out) = case.scan([left, right]);
        let (whole, whole_out) = case.scan([bytes.as_slice()]);
        prop_assert_eq!(said(&scanner), said(&whole));
        prop_assert_eq!(&out, &whole_out);
        prop_assert!(take_out || out == bytes);
    }
}

//! What scanning costs a stream: bytes/s of the usage scanner where there is no usage to see, which is nearly all of every
//! stream. Fails if it allocates on the way. `cargo bench --bench scan`.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tollgate::dialect::usage::{Scanner, UsageRules};
use tollgate::dialect::{Answer, DialectId, Framing};

/// Events of a benched stream.
const EVENTS: usize = 1000;
/// Text that has passed before anything is counted: the sample that is kept for an estimate is full by then.
const WARM_UP_PASSES: usize = 20;

/// One kind of stream: its name, its dialect, and an event that stands for all of them.
type Row = (&'static str, Answer, DialectId, bool, &'static str);

const STREAMS: [Row; 6] = [
    ("openai", Answer::Chat, DialectId::OpenAi, false, OPENAI),
    // Asked for the usage chunk, OpenAI puts an empty field into every other one.
    ("openai, usage null", Answer::Chat, DialectId::OpenAi, false, OPENAI_NULL),
    ("openai, usage taken out", Answer::Chat, DialectId::OpenAi, true, OPENAI_NULL),
    ("openai-responses", Answer::Responses, DialectId::OpenAiResponses, false, RESPONSES),
    ("anthropic", Answer::Messages, DialectId::Anthropic, false, ANTHROPIC),
    ("gemini", Answer::GenerateContent, DialectId::Gemini, false, GEMINI),
];

const OPENAI: &str = concat!(
    r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"#,
    r#""model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"#,
    r#""delta":{"content":" colours"},"logprobs":null,"finish_reason":null}],"obfuscation":"9Tq2aZ"}"#,
    "\n\n"
);
const OPENAI_NULL: &str = concat!(
    r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"#,
    r#""model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_fc9f1d7035","choices":[{"index":0,"#,
    r#""delta":{"content":" colours"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"9Tq2aZ"}"#,
    "\n\n"
);
const RESPONSES: &str = concat!(
    "event: response.output_text.delta\n",
    r#"data: {"type":"response.output_text.delta","sequence_number":17,"item_id":"msg_68b8a0f9c1c8819e9d2f","#,
    r#""output_index":0,"content_index":0,"delta":" colours","logprobs":[],"obfuscation":"9Tq2aZ"}"#,
    "\n\n"
);
const ANTHROPIC: &str = concat!(
    "event: content_block_delta\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" colours, and then some more"}}"#,
    "\n\n"
);
const GEMINI: &str = concat!(
    r#"data: {"candidates": [{"content": {"parts": [{"text": " colours, and then some more"}],"role": "model"},"index": 0}],"#,
    r#""modelVersion": "gemini-2.5-flash","responseId": "q8m4aJ7kBYmXnvgP3q_FoAQ"}"#,
    "\r\n\r\n"
);

/// How a stream reaches the scanner: each event on its own, or pieces of some size that are cut anywhere.
fn pieces(event: &'static str, bytes: Option<usize>) -> Vec<Bytes> {
    let whole = Bytes::from(event.repeat(EVENTS));
    let size = bytes.unwrap_or(event.len());
    (0..whole.len()).step_by(size).map(|at| whole.slice(at..whole.len().min(at + size))).collect()
}

fn pass(scanner: &mut Scanner, pieces: &[Bytes]) {
    for piece in pieces {
        black_box(scanner.push(piece.clone()));
    }
}

fn scan(criterion: &mut Criterion) {
    for (name, answer, dialect, takes_out, event) in STREAMS {
        let mut group = criterion.benchmark_group(format!("scan {name}"));
        for (cut, bytes) in
            [("an event a piece", None), ("4 KiB a piece", Some(4096)), ("16 KiB a piece", Some(16_384))]
        {
            let pieces = pieces(event, bytes);
            let mut scanner = Scanner::new(answer, dialect, Framing::Sse, UsageRules::default(), takes_out);
            (0..WARM_UP_PASSES).for_each(|_| pass(&mut scanner, &pieces));
            let counted = allocation_counter::measure(|| pass(&mut scanner, &pieces));
            // Bytes that are taken out leave a stream in parts: joining those may cost an allocation.
            assert!(takes_out || counted.count_total == 0, "{name}, {cut}: {counted:?}");
            assert_eq!(counted.bytes_current, 0, "{name}, {cut}: it keeps something of every pass");
            group.throughput(Throughput::Bytes(pieces.iter().map(|piece| piece.len() as u64).sum()));
            group.bench_function(cut, |bencher| bencher.iter(|| pass(&mut scanner, &pieces)));
        }
        group.finish();
    }
}

criterion_group!(benches, scan);
criterion_main!(benches);

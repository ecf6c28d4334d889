//! What one request is about, drawn from a seed. It travels in the prompt, so that the stand-in provider needs to know
//! nothing beforehand.

use crate::support::client::Request;
use crate::wire::Wire;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Prices in nano-USD a token, and the same as a price book.
pub(crate) const INPUT_NANOS: u64 = 150;
pub(crate) const OUTPUT_NANOS: u64 = 600;
pub(crate) const PRICES: &str =
    "[[model]]\nname = \"m\"\ncontext_tokens = 100000\nmax_output_tokens = 1000\ninput = 0.15\noutput = 0.6\n";

/// The most tokens of output where a request sets no limit, as the price book says.
const OUTPUT_TOKENS_MAX: u64 = 1_000;

/// What goes wrong at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It finds fault with the request: 400, which is nobody's failure but the client's.
    Refuses,
    /// 500, on every attempt.
    Fails,
    /// 503, at the first attempt.
    FailsOnce,
    /// The connection is reset before the head, at the first attempt.
    ResetsOnce,
    /// It ends after some of the text, as if all were well.
    EndsInside,
    /// It is reset there.
    ResetsInside,
    /// Nothing comes any more.
    StallsInside,
    /// A page instead of an answer.
    Page,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::None,
        Self::Refuses,
        Self::Fails,
        Self::FailsOnce,
        Self::ResetsOnce,
        Self::EndsInside,
        Self::ResetsInside,
        Self::StallsInside,
        Self::Page,
    ];
}

/// How a client leaves before it has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// So long after it asked, answer or not.
    After(Duration),
    /// When it has got so many tokens.
    AtToken(u64),
}

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// No other request of the gateway's life has it.
    pub(crate) number: u64,
    pub(crate) wire: Wire,
    pub(crate) stream: bool,
    /// What the provider reports.
    pub(crate) input: u64,
    pub(crate) tokens: u64,
    /// Length of a token's text.
    pub(crate) token_bytes: u64,
    /// Tokens in one piece of the stream, and the pause after each piece.
    pub(crate) piece_tokens: u64,
    pub(crate) pause_us: u64,
    pub(crate) head_ms: u64,
    pub(crate) fault: Fault,
    // What only the client knows.
    pub(crate) prompt_bytes: usize,
    pub(crate) limit: Option<u64>,
    pub(crate) leave: Option<Leave>,
    /// It leaves with a reset.
    pub(crate) resets: bool,
    /// Which of the test's keys it has.
    pub(crate) key: usize,
}

impl Plan {
    /// The request of that number, out of `keys` keys. `faults`: the provider has all of its faults.
    pub(crate) fn draw(seed: u64, number: u64, keys: usize, faults: bool) -> Self {
        let mut draw = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        let stream = draw.random_bool(0.7);
        let wire = if stream { Wire::STREAMS[draw.random_range(0..5)] } else { Wire::ALL[draw.random_range(0..6)] };
        // A third each: as fast as it goes, for a while, and for longer than two checkpoints.
        let (tokens, piece_tokens, pause_us) = match draw.random_range(0..10) {
            0..4 => (draw.random_range(1..=60), draw.random_range(1..=4), draw.random_range(0..=3_000)),
            4..7 => (draw.random_range(60..=300), draw.random_range(2..=6), draw.random_range(2_000..=8_000)),
            _ => (draw.random_range(300..=900), draw.random_range(3..=8), draw.random_range(8_000..=25_000)),
        };
        let prompt_bytes = if draw.random_bool(0.05) { 20_000 } else { draw.random_range(0..2_000) };
        let limit = match draw.random_range(0..10) {
            0..5 => Some(tokens),
            5..8 => Some(tokens + draw.random_range(1..300)),
            _ => (wire == Wire::Messages).then_some(OUTPUT_TOKENS_MAX),
        };
        let leave = match draw.random_range(0..100) {
            0..4 => Some(Leave::After(Duration::from_millis(draw.random_range(0..40)))),
            4..17 if stream => Some(Leave::AtToken(draw.random_range(1..=tokens))),
            _ => None,
        };
        let fault = match (faults, draw.random_range(0..100)) {
            (_, 0..3) => Fault::Refuses,
            (true, 3..60) => Fault::ALL[draw.random_range(0..Fault::ALL.len())],
            _ => Fault::None,
        };
        Self {
            number,
            wire,
            stream,
            input: draw.random_range(1..=10 + prompt_bytes as u64 / 3),
            tokens: if wire == Wire::Embeddings { 0 } else { tokens },
            token_bytes: draw.random_range(2..=10),
            piece_tokens,
            pause_us,
            head_ms: if draw.random_bool(0.3) { draw.random_range(0..200) } else { 0 },
            fault,
            prompt_bytes,
            limit,
            leave,
            resets: draw.random_bool(0.5),
            key: draw.random_range(0..keys),
        }
    }

    /// A chat that is answered at once, by as many tokens as it allows.
    pub(crate) fn chat(number: u64, tokens: u64) -> Self {
        Self {
            number,
            wire: Wire::Chat,
            stream: false,
            input: 20,
            tokens,
            token_bytes: 5,
            piece_tokens: 4,
            pause_us: 0,
            head_ms: 0,
            fault: Fault::None,
            prompt_bytes: 100,
            limit: Some(tokens),
            leave: None,
            resets: false,
            key: 0,
        }
    }

    /// The text of so many tokens: each a word of the letter Z, which is nowhere else in an answer.
    pub(crate) fn text(&self, tokens: u64) -> String {
        let word = "Z".repeat(self.token_bytes as usize - 1) + " ";
        word.repeat(tokens as usize)
    }

    /// Tokens in a piece of an answer.
    pub(crate) fn tokens_in(&self, piece: &[u8]) -> u64 {
        memchr::memchr_iter(b'Z', piece).count() as u64 / (self.token_bytes - 1)
    }

    /// Bytes of text in a piece of its stream.
    pub(crate) fn piece_bytes(&self) -> u64 {
        self.piece_tokens * self.token_bytes
    }

    /// The most tokens that the provider may generate.
    pub(crate) fn tokens_max(&self) -> u64 {
        self.limit.unwrap_or(OUTPUT_TOKENS_MAX)
    }

    /// What the whole answer costs.
    pub(crate) fn cost_nanos(&self) -> u64 {
        self.input * INPUT_NANOS + self.tokens * OUTPUT_NANOS
    }

    fn numbers(&self) -> [u64; 10] {
        let place = |found: Option<usize>| found.unwrap_or_default() as u64;
        [
            self.number,
            place(Wire::ALL.iter().position(|wire| *wire == self.wire)),
            u64::from(self.stream),
            self.input,
            self.tokens,
            self.token_bytes,
            self.piece_tokens,
            self.pause_us,
            self.head_ms,
            place(Fault::ALL.iter().position(|fault| *fault == self.fault)),
        ]
    }

    fn prompt(&self) -> String {
        let numbers = self.numbers().map(|number| number.to_string()).join(" ");
        format!("plan {numbers};{}", "word ".repeat(self.prompt_bytes / 5))
    }

    /// Bytes of the prompt's text.
    pub(crate) fn prompt_text_bytes(&self) -> u64 {
        self.prompt().len() as u64
    }

    pub(crate) fn request(&self, key: &str) -> Request {
        let body = self.wire.body(&self.prompt(), self.stream, self.limit);
        Request::post(self.wire.target(self.stream), &body).key(key)
    }

    /// What the provider finds in a request's body.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let (numbers, _) = text.split_once("plan ")?.1.split_once(';')?;
        let numbers: Vec<u64> = numbers.split(' ').map_while(|number| number.parse().ok()).collect();
        let [number, wire, stream, input, tokens, token_bytes, piece_tokens, pause_us, head_ms, fault] =
            numbers.try_into().ok()?;
        Some(Self {
            number,
            wire: *Wire::ALL.get(wire as usize)?,
            stream: stream == 1,
            input,
            tokens,
            token_bytes,
            piece_tokens,
            pause_us,
            head_ms,
            fault: *Fault::ALL.get(fault as usize)?,
            ..Self::chat(number, tokens)
        })
    }
}

#[test]
fn a_plan_travels_in_its_prompt() {
    for number in 0..500 {
        let plan = Plan::draw(7, number, 3, true);
        let body = plan.wire.body(&plan.prompt(), plan.stream, plan.limit).to_string();
        let read = Plan::read(body.as_bytes()).expect("a plan");
        assert_eq!(read.numbers(), plan.numbers());
        assert_eq!(plan.tokens_in(plan.text(7).as_bytes()), 7);
        let again = Plan::draw(7, number, 3, true);
        assert_eq!((again.numbers(), again.leave, again.limit), (plan.numbers(), plan.leave, plan.limit));
    }
}

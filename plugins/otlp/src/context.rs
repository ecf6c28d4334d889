//! W3C trace context (www.w3.org/TR/trace-context): which trace a request belongs to. Nothing is kept of a request for it:
//! what it does not bring is made of its id.

use http::{HeaderMap, HeaderName};

/// The field that says where in its trace a request stands …
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// … and the one with what the vendors on the way have to say of that trace.
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: u128,
    /// Our own span.
    pub(crate) span_id: u64,
    /// The caller's span, if it told one.
    pub(crate) parent_id: Option<u64>,
    /// The trace is recorded.
    pub(crate) sampled: bool,
}

impl Context {
    /// The context of the request with this id. `share`: of traces that begin here, so many of 2^32 are recorded.
    pub(crate) fn of(request_id: u128, headers: &HeaderMap, share: u64) -> Self {
        // The second half of a UUIDv7 is random, but for two bits.
        let (span_id, draw) = ((request_id as u64).max(1), request_id as u32);
        match headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parsed) {
            Some((trace_id, parent_id, sampled)) => Self { trace_id, span_id, parent_id: Some(parent_id), sampled },
            None => Self { trace_id: request_id, span_id, parent_id: None, sampled: u64::from(draw) < share },
        }
    }

    /// The field's value towards the upstream: it is told our span as its parent.
    pub(crate) fn traceparent(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(hex(self.trace_id).as_flattened());
        text[36..52].copy_from_slice(hex(self.span_id.into())[2..].as_flattened());
        text[54] = if self.sampled { b'1' } else { b'0' };
        text
    }
}

/// A number in hexadecimal digits, as trace context writes ids, eight digits at a time.
fn hex(number: u128) -> [[u8; 8]; 4] {
    [96, 64, 32, 0].map(|shift| eight_digits((number >> shift) as u32))
}

/// Each half byte becomes a byte of its own, the first one the lowest, and that a digit.
fn eight_digits(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 255;
    let mut digits = u64::from(number.swap_bytes());
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits >> 4 | digits << 8) & 0x0f0f_0f0f_0f0f_0f0f;
    // Those from ten on are letters: sixteen is reached where six is added.
    let letters = (digits + 6 * ONES) >> 4 & ONES;
    (digits + u64::from(b'0') * ONES + letters * u64::from(b'a' - b'0' - 10)).to_le_bytes()
}

/// Trace, parent, sampled.
fn parsed(text: &str) -> Option<(u128, u64, bool)> {
    let mut parts = text.trim().split('-');
    let mut hex = |digits: usize| {
        let part = parts.next()?;
        let fits = part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(part, 16).ok().filter(|_| fits)
    };
    let (version, trace_id, parent_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    // A later version may have more parts; this one has not.
    let whole = version != 0xff && (version != 0 || parts.next().is_none());
    (whole && trace_id != 0 && parent_id != 0).then_some((trace_id, parent_id as u64, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn context(traceparent: &'static str, share: u64) -> Context {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(traceparent));
        Context::of(0x0192_0000_0000_7000_8000_0000_0000_0001, &headers, share)
    }

    #[test]
    fn whatever_a_caller_sends_what_goes_upstream_is_well_formed() {
        let (mut taken, mut state) = (0, 7u64);
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        for round in 0..20_000u128 {
            let mut bytes = GIVEN.as_bytes().to_vec();
            for _ in 0..below(3) {
                let at = below(bytes.len());
                match below(4) {
                    0 => bytes[at] = *b"0f-g F\t\xff".get(below(8)).unwrap_or(&b'0'),
                    1 => bytes.truncate(at + 1),
                    2 => bytes.insert(at, b"0-9a "[below(5)]),
                    _ => drop(bytes.remove(at)),
                }
                if bytes.is_empty() {
                    bytes.push(b'-');
                }
            }
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, value);
            let context = Context::of(round + 1, &headers, 1 << 32);
            let told = context.traceparent();
            let (trace_id, parent_id, _) =
                parsed(std::str::from_utf8(&told).unwrap()).expect("what we send can be read");
            assert_eq!((trace_id, parent_id), (context.trace_id, context.span_id));
            taken += u32::from(context.parent_id.is_some());
        }
        assert!(taken > 1_000, "{taken}");
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 1, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, u128::MAX, 0x9a00_0000_0000_000f << 17] {
            assert_eq!(str::from_utf8(hex(number).as_flattened()).unwrap(), format!("{number:032x}"));
        }
    }

    #[test]
    fn a_trace_goes_on_with_our_span_as_the_parent() {
        let context = context(GIVEN, 0);
        assert_eq!(context.parent_id, Some(0xb7ad_6b71_6920_3331));
        assert!(context.sampled, "the caller has decided");
        assert_eq!(&context.traceparent(), b"00-0af7651916cd43dd8448eb211c80319c-8000000000000001-01");
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let made = context(wrong, 1 << 32);
            assert_eq!((made.parent_id, made.sampled), (None, true), "{wrong}");
            assert_eq!(made.trace_id, 0x0192_0000_0000_7000_8000_0000_0000_0001);
            assert!(!context(wrong, 0).sampled);
        }
    }
}

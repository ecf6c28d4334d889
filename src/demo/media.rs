//! Small images and sounds, and base64, made without any library.

/// Edge of a generated image, in pixels.
const IMAGE_PIXELS: u32 = 32;
/// Samples a second of generated speech.
const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples for one token of text: 0.05 s.
const SAMPLES_PER_TOKEN: u64 = 400;
/// Longest generated sound, in tokens of its text: 10 s.
const SOUND_TOKENS_MAX: u64 = 200;

/// Alphabet of RFC 4648, section 4.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, &byte| (word << 8) | u32::from(byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let sextet = (word >> (18 - 6 * at)) & 63;
            out.push(if at <= group.len() { char::from(BASE64[sextet as usize]) } else { '=' });
        }
    }
    out
}

/// A PNG file (RGB, stored without compression) with a gradient whose colours follow from `seed`.
pub(super) fn png(seed: u64) -> Vec<u8> {
    let [red, green, blue, ..] = seed.to_le_bytes();
    let mut rows = Vec::new();
    for y in 0..IMAGE_PIXELS as u8 {
        rows.push(0); // filter type: none
        for x in 0..IMAGE_PIXELS as u8 {
            rows.extend([red.wrapping_add(x * 4), green.wrapping_add(y * 4), blue.wrapping_add(x + y)]);
        }
    }
    let mut header = Vec::new();
    header.extend(IMAGE_PIXELS.to_be_bytes());
    header.extend(IMAGE_PIXELS.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, deflate, adaptive filters, not interlaced
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", stored(&rows)), (b"IEND", Vec::new())] {
        out.extend((body.len() as u32).to_be_bytes());
        let start = out.len();
        out.extend(kind);
        out.extend(body);
        let sum = crc32(&out[start..]);
        out.extend(sum.to_be_bytes());
    }
    out
}

/// A zlib stream of one stored block. `body` is shorter than 64 KiB: 32 rows of 97 bytes.
fn stored(body: &[u8]) -> Vec<u8> {
    let length = body.len() as u16;
    let mut out = vec![0x78, 0x01, 0x01];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(body);
    let (low, high) = body.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend(((high << 16) | low).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |s, _| if s & 1 == 1 { (s >> 1) ^ 0xedb8_8320 } else { s >> 1 })
    })
}

/// A WAV file (mono, 8 bits): one soft square tone for each token, its pitch taken from the token.
pub(super) fn wav(tokens: &[&str]) -> Vec<u8> {
    let spoken = &tokens[..tokens.len().min(SOUND_TOKENS_MAX as usize)];
    let samples = spoken.len() as u32 * SAMPLES_PER_TOKEN as u32;
    let mut out = b"RIFF".to_vec();
    out.extend((36 + samples).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend([1, 0, 1, 0]); // PCM, one channel
    out.extend(SAMPLE_RATE_HZ.to_le_bytes());
    out.extend(SAMPLE_RATE_HZ.to_le_bytes());
    out.extend([1, 0, 8, 0]); // one byte a sample
    out.extend(b"data");
    out.extend(samples.to_le_bytes());
    for token in spoken {
        let period = 16 + super::text::hash(token) % 48;
        out.extend((0..SAMPLES_PER_TOKEN).map(|i| if i % period < period / 2 { 0x90 } else { 0x70 }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_examples_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn checksums_match_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert!(stored(b"Wikipedia").ends_with(&0x11e6_0398u32.to_be_bytes()));
    }

    #[test]
    fn sizes_in_the_files_are_right() {
        let wav = wav(&["a", " b"]);
        assert_eq!(wav.len(), 44 + 800);
        assert_eq!(wav[4..8], (wav.len() as u32 - 8).to_le_bytes());
        let png = png(7);
        assert_eq!(png.len(), 8 + 3 * 12 + 13 + (11 + 32 * 97));
    }
}

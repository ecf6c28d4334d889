//! Text that grows before it is cut into tokens: Qwen's tokenizer takes text in Unicode's normal form C, in which some characters are
//! several, though the form mostly joins what it can (Alibaba Cloud's Python SDK, dashscope/tokenizers/qwen_tokenizer.py:
//! `unicodedata.normalize("NFC", text)`).

/// Characters that are longer in that form, by how many bytes of UTF-8: those that it takes apart and does not put together again.
/// Unicode never changes what it is of a character that there is (unicode.org/policies/stability_policy.html).
const GROWING: [(u32, u32, u64); 43] = [
    (0x344, 0x344, 2),
    (0x958, 0x95f, 3),
    (0x9dc, 0x9dd, 3),
    (0x9df, 0x9df, 3),
    (0xa33, 0xa33, 3),
    (0xa36, 0xa36, 3),
    (0xa59, 0xa5b, 3),
    (0xa5e, 0xa5e, 3),
    (0xb5c, 0xb5d, 3),
    (0xf43, 0xf43, 3),
    (0xf4d, 0xf4d, 3),
    (0xf52, 0xf52, 3),
    (0xf57, 0xf57, 3),
    (0xf5c, 0xf5c, 3),
    (0xf69, 0xf69, 3),
    (0xf73, 0xf73, 3),
    (0xf75, 0xf76, 3),
    (0xf78, 0xf78, 3),
    (0xf81, 0xf81, 3),
    (0xf93, 0xf93, 3),
    (0xf9d, 0xf9d, 3),
    (0xfa2, 0xfa2, 3),
    (0xfa7, 0xfa7, 3),
    (0xfac, 0xfac, 3),
    (0xfb9, 0xfb9, 3),
    (0x2adc, 0x2adc, 2),
    (0xfa6c, 0xfa6c, 1),
    (0xfacf, 0xfad1, 1),
    (0xfad5, 0xfad7, 1),
    (0xfb1d, 0xfb1d, 1),
    (0xfb1f, 0xfb1f, 1),
    (0xfb2a, 0xfb2b, 1),
    (0xfb2c, 0xfb2d, 3),
    (0xfb2e, 0xfb36, 1),
    (0xfb38, 0xfb3c, 1),
    (0xfb3e, 0xfb3e, 1),
    (0xfb40, 0xfb41, 1),
    (0xfb43, 0xfb44, 1),
    (0xfb46, 0xfb4e, 1),
    (0x1d15e, 0x1d15f, 4),
    (0x1d160, 0x1d164, 8),
    (0x1d1bb, 0x1d1bc, 4),
    (0x1d1bd, 0x1d1c0, 8),
];

/// A letter that has marks already grows by no more when another one comes behind it, which may take their place (8 bytes of an alpha
/// with three marks, which was 3).
const DISPLACED_BYTES_MAX: u64 = 5;

/// How many bytes the normal form of a text has at most beyond the text's own.
pub(super) fn growth_bytes(text: &str) -> u64 {
    if text.is_ascii() {
        return 0;
    }
    let (mut grown, mut may_have_marks) = (0, false);
    for character in text.chars() {
        let code = u32::from(character);
        match code {
            0..0xc0 => may_have_marks = false,
            0x300..=0x345 => {
                grown += if may_have_marks { DISPLACED_BYTES_MAX } else { growth(code) };
                may_have_marks = false;
            }
            _ => {
                // Latin, Greek and Cyrillic letters, and their extensions.
                may_have_marks = matches!(code, 0xc0..=0x4ff | 0x1e00..=0x1fff);
                grown += growth(code);
            }
        }
    }
    grown
}

fn growth(code: u32) -> u64 {
    let before = GROWING.partition_point(|(_, last, _)| *last < code);
    GROWING.get(before).filter(|(first, ..)| *first <= code).map_or(0, |(.., bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_normal_form_makes_longer_is_counted_and_all_else_is_not() {
        for (text, more) in [
            ("plain", 0),
            ("déjà vu, 你好, 한국어, ไทย", 0),
            ("\u{fb9}", 3),
            ("\u{fb2c}\u{fb2c}", 6),
            ("\u{958}\u{95f}\u{960}", 6),
            ("\u{1d160}", 8),
            ("\u{344}", 2),
            // A mark behind a plain letter is joined with it, or stays.
            ("e\u{301}e\u{323}\u{301}", 0),
            // U+01D8 and a dot below: the dot goes with the letter, and what that had comes after it, 7 bytes of 4.
            ("\u{1d8}\u{323}", 5),
            ("\u{1d8} \u{323}", 0),
        ] {
            assert_eq!(growth_bytes(text), more, "{text:?}");
        }
        assert!(GROWING.is_sorted_by_key(|(first, ..)| *first));
    }
}

//! Tokens of a text by how it looks: as many as its words, numbers and signs come to on the average. Takes no vocabulary and keeps
//! nothing of the text but where it stands in it, so it is done where bytes pass.
//! Its weights are those with which texts of many kinds come to about what OpenAI's `o200k_base` makes of them.

/// A run of such characters is split off before tokens are made of it (the patterns of OpenAI's vocabularies do so, and the others'
/// are alike).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Space,
    Letter,
    Digit,
    Sign,
}

/// What a token weighs.
const TOKEN: u64 = 64;

/// What characters of a run weigh: those at its beginning, how many these are, and those behind. A word of up to sixteen plain letters
/// is one token, three digits are, and four signs. What is no word any more has two letters to a token.
struct Weight {
    first: u32,
    firsts: u32,
    further: u32,
}

const fn weight(first: u32, firsts: u32, further: u32) -> Weight {
    Weight { first, firsts, further }
}

const LETTER: Weight = weight(4, 16, 32);
const DIGIT: Weight = weight(20, 0, 20);
const SIGN: Weight = weight(16, 4, 42);
/// Latin with accents, Greek, Cyrillic, Arabic …: four letters to a token.
const FURTHER_LETTER: Weight = weight(16, 0, 16);
/// The scripts of India and South-East Asia.
const INDIC_LETTER: Weight = weight(18, 0, 18);
/// Chinese, Japanese: three characters are two tokens.
const EASTERN_LETTER: Weight = weight(44, 0, 44);
const HANGUL: Weight = weight(32, 0, 32);
/// Whatever takes four bytes, and is rare: each byte is half a token.
const RARE: Weight = weight(128, 0, 128);
/// The same again and again, letters and signs: eight and sixty-four to a token.
const LETTER_AGAIN: u32 = 8;
const SIGN_AGAIN: u32 = 1;
/// So many of the same in a row are that.
const AGAIN_FROM: u32 = 4;

/// So many spaces in a row are a token.
const SPACES: u64 = 96;
/// So many line breaks, or tabs.
const BREAKS: u64 = 16;

/// The kind of each ASCII character.
static ASCII: [Kind; 128] = {
    let mut kinds = [Kind::Sign; 128];
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Kind::Letter,
            b'0'..=b'9' => Kind::Digit,
            b' ' | b'\t'..=b'\r' => Kind::Space,
            _ => Kind::Sign,
        };
        byte += 1;
    }
    kinds
};

/// The tokens of a text that comes in pieces, cut anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    tokens: u64,
    /// The run that has not ended: its kind, what it weighs, how long it is.
    kind: Kind,
    weight: u64,
    length: u32,
    /// The character before, and how often it has come in a row.
    last: char,
    same: u32,
    /// White space that has not ended: spaces, others, and how often lines end behind spaces.
    spaces: u64,
    breaks: u64,
    bare_lines: u64,
    /// The beginning of a character that was cut.
    cut: [u8; 4],
    cut_bytes: usize,
}

impl Look {
    /// Looks at a further piece, which may be cut anywhere. What is no UTF-8 is looked at as something rare.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while self.cut_bytes > 0 {
            let Some((first, rest)) = bytes.split_first() else { return };
            let mut joined = self.cut;
            joined[self.cut_bytes] = *first;
            let joined = &joined[..=self.cut_bytes];
            match std::str::from_utf8(joined) {
                Ok(character) => {
                    self.cut_bytes = 0;
                    self.push_str(character);
                }
                Err(error) if error.error_len().is_none() => {
                    self.cut[self.cut_bytes] = *first;
                    self.cut_bytes += 1;
                }
                // It does not go on as it began: this byte begins something.
                Err(_) => {
                    self.cut_bytes = 0;
                    self.character(char::REPLACEMENT_CHARACTER);
                    continue;
                }
            }
            bytes = rest;
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.push_str(text);
        }
        for chunk in bytes.utf8_chunks() {
            self.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let is_last = std::ptr::eq(invalid.as_ptr_range().end, bytes.as_ptr_range().end);
            match std::str::from_utf8(invalid) {
                Err(error) if is_last && error.error_len().is_none() => {
                    self.cut[..invalid.len()].copy_from_slice(invalid);
                    self.cut_bytes = invalid.len();
                }
                Err(_) => self.character(char::REPLACEMENT_CHARACTER),
                Ok(_) => {}
            }
        }
    }

    /// Looks at a further piece of whole characters.
    pub(super) fn push_str(&mut self, mut text: &str) {
        while let Some(first) = text.chars().next() {
            let is_word = self.kind == Kind::Letter;
            let room = if is_word { LETTER.firsts.saturating_sub(self.length) } else { LETTER.firsts };
            let letters = text.bytes().take(room as usize).take_while(u8::is_ascii_lowercase).count();
            if letters == 0 {
                self.character(first);
                text = &text[first.len_utf8()..];
                continue;
            }
            // Most of most texts, at once.
            if !is_word {
                self.end_run(Kind::Letter);
            }
            self.weight += (LETTER.first as usize * letters) as u64;
            self.length += letters as u32;
            self.last = char::from(text.as_bytes()[letters - 1]);
            text = &text[letters..];
        }
    }

    /// What came so far comes to: what stands at the end may belong to what is still to come.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens + self.weight.div_ceil(TOKEN) + self.white_space(false)
    }

    #[inline]
    fn character(&mut self, character: char) {
        let code = character as usize;
        let kind = if code < 128 { ASCII[code] } else { further_kind(character) };
        let kind = match character {
            // In the middle of a word.
            '\'' | '\u{2019}' if self.kind == Kind::Letter => Kind::Letter,
            _ => kind,
        };
        // `camelCase` is two words.
        let begins_word = kind == Kind::Letter && character.is_ascii_uppercase() && self.last.is_ascii_lowercase();
        if kind != self.kind || begins_word {
            self.end_run(kind);
        }
        if kind == Kind::Space {
            self.space(character);
        } else {
            let Weight { first, firsts, further } = *weight_of(kind, character);
            let is_first = self.length < firsts;
            self.same = if character == self.last && !is_first { self.same.saturating_add(1) } else { 0 };
            self.weight += u64::from(match kind {
                _ if is_first => first,
                Kind::Letter if self.same >= AGAIN_FROM => LETTER_AGAIN,
                Kind::Sign if self.same >= AGAIN_FROM => SIGN_AGAIN,
                _ => further,
            });
            self.length = self.length.saturating_add(1);
        }
        self.last = character;
    }

    fn space(&mut self, character: char) {
        if character == ' ' {
            self.spaces += 1;
        } else {
            self.breaks += 1;
            self.bare_lines += u64::from(self.last == ' ');
        }
    }

    fn end_run(&mut self, next: Kind) {
        if self.kind == Kind::Space {
            // One space belongs to the word or the signs behind it.
            self.tokens += self.white_space(next == Kind::Digit);
            (self.spaces, self.breaks, self.bare_lines) = (0, 0, 0);
        } else {
            self.tokens += self.weight.div_ceil(TOKEN);
        }
        (self.kind, self.weight, self.length, self.same) = (next, 0, 0, 0);
    }

    fn white_space(&self, is_apart: bool) -> u64 {
        match self.spaces + self.breaks {
            0 => 0,
            1 if self.spaces == 1 => u64::from(is_apart),
            _ => (self.spaces / SPACES + self.breaks / BREAKS).max(1) + self.bare_lines.saturating_sub(1),
        }
    }
}

fn further_kind(character: char) -> Kind {
    match character {
        // Vowel signs and the like, too.
        '\u{300}'..='\u{1fff}' if !character.is_numeric() && !character.is_whitespace() => Kind::Letter,
        _ if character.is_alphabetic() => Kind::Letter,
        _ if character.is_numeric() => Kind::Digit,
        _ if character.is_whitespace() => Kind::Space,
        _ => Kind::Sign,
    }
}

fn weight_of(kind: Kind, character: char) -> &'static Weight {
    match (kind, character) {
        (Kind::Letter, '\0'..='\u{7f}' | '\u{2019}') => &LETTER,
        (Kind::Letter, '\u{80}'..='\u{7ff}') => &FURTHER_LETTER,
        (Kind::Letter, '\u{800}'..='\u{1fff}') => &INDIC_LETTER,
        (Kind::Letter, '\u{ac00}'..='\u{d7ff}') => &HANGUL,
        (Kind::Letter, '\u{2000}'..='\u{ffff}') => &EASTERN_LETTER,
        (Kind::Sign, '\0'..='\u{7f}') => &SIGN,
        (Kind::Sign, '\u{80}'..='\u{ffff}') => &EASTERN_LETTER,
        (Kind::Letter | Kind::Sign, _) => &RARE,
        (Kind::Digit | Kind::Space, _) => &DIGIT,
    }
}

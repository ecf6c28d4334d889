//! Tokens of a text by how it looks: as many as its words, numbers and signs come to on the average. Takes no vocabulary and a
//! millisecond for a megabyte or two, so it may be done where bytes pass.

use super::in_proportion;

/// A run of such characters is split off before tokens are made of it (the patterns of OpenAI's vocabularies do so, and the others'
/// are alike).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Sign,
}

/// What a token weighs.
const TOKEN: u64 = 16;

/// What a character weighs, by its kind and its bytes: a word of up to sixteen plain letters is one token, three digits are, and four
/// ASCII signs; other alphabets have four letters to a token, and scripts of three bytes three characters to two.
const WEIGHTS: [(Kind, [u64; 4]); 3] =
    [(Kind::Letter, [1, 4, 11, 16]), (Kind::Digit, [5, 5, 5, 5]), (Kind::Sign, [4, 16, 16, 32])];

/// Tokens of a text of so many bytes, of which this is the beginning.
pub fn by_look(sample: &str, bytes: u64) -> u64 {
    in_proportion(looked_at(sample), sample.len() as u64, bytes)
}

/// Tokens of a text that grows.
#[derive(Debug, Default)]
pub struct Growing {
    /// Bytes of it that have been looked at.
    seen: usize,
    counted: u64,
}

impl Growing {
    /// Tokens so far. `sample`: the beginning of the text, as far as it is kept; `bytes`: the whole length. What was looked at before
    /// is not again.
    pub fn tokens(&mut self, sample: &str, bytes: u64) -> u64 {
        if let Some(further) = sample.get(self.seen..) {
            self.counted = self.counted.saturating_add(looked_at(further));
            self.seen = sample.len();
        }
        in_proportion(self.counted, self.seen as u64, bytes)
    }
}

fn looked_at(text: &str) -> u64 {
    let (mut tokens, mut weight, mut spaces) = (0, 0_u64, 0_u64);
    let mut last = None;
    for character in text.chars() {
        let kind = kind(character, last.map(|(kind, _)| kind));
        if last.is_some_and(|(before, cased)| before != kind || (kind == Kind::Letter && begins_word(character, cased)))
        {
            tokens += weight.div_ceil(TOKEN);
            weight = 0;
        }
        if kind == Kind::Space {
            spaces += 1;
        } else if spaces > 0 {
            // One space belongs to the word or the signs behind it.
            tokens += u64::from(spaces > 1 || kind == Kind::Digit);
            spaces = 0;
        }
        weight += weight_of(kind, character);
        last = Some((kind, character));
    }
    // What stands at the end may belong to what is still to come.
    tokens + weight.div_ceil(TOKEN) + u64::from(spaces > 1)
}

fn kind(character: char, before: Option<Kind>) -> Kind {
    match character {
        // In the middle of a word.
        '\'' | '\u{2019}' if before == Some(Kind::Letter) => Kind::Letter,
        _ if character.is_alphabetic() => Kind::Letter,
        _ if character.is_numeric() => Kind::Digit,
        _ if character.is_whitespace() => Kind::Space,
        _ => Kind::Sign,
    }
}

/// `camelCase` is two words.
fn begins_word(character: char, before: char) -> bool {
    character.is_ascii_uppercase() && before.is_ascii_lowercase()
}

fn weight_of(kind: Kind, character: char) -> u64 {
    let weights = WEIGHTS.iter().find(|(of, _)| *of == kind).map_or([0; 4], |row| row.1);
    weights[character.len_utf8() - 1]
}

#[cfg(test)]
mod tests {
    use super::super::tokens;
    use super::{Growing, by_look};

    const TEXTS: [(&str, &str); 7] = [
        (
            "prose",
            "The gateway holds what a request can cost at worst, and what it did cost is settled before the last byte \
            goes out. Nobody's balance is overdrawn, however many requests there are at once; that's the promise.",
        ),
        (
            "code",
            "fn main() {\n    let total: u64 = parts.iter().map(|part| part.count).sum();\n    println!(\"{total}\");\n}\n",
        ),
        ("json", r#"{"city": "Vienna", "days": 3, "metric": true, "hours": [9, 12, 18], "note": null}"#),
        ("digits", " 7 3 x , 7 3 x , 7 3 x , 7 3 x ,"),
        (
            "chinese",
            "\u{7f51}\u{5173}\u{5728}\u{8bf7}\u{6c42}\u{53d1}\u{51fa}\u{4e4b}\u{524d}\u{9884}\u{7559}\u{6700}\u{9ad8}\u{8d39}\u{7528}\u{ff0c}\u{7ed3}\u{675f}\u{540e}\u{6309}\u{5b9e}\u{9645}\u{7528}\u{91cf}\u{7ed3}\u{7b97}\u{3002}",
        ),
        (
            "russian",
            "\u{428}\u{43b}\u{44e}\u{437} \u{434}\u{435}\u{440}\u{436}\u{438}\u{442} \u{441}\u{447}\u{451}\u{442} \u{438} \u{43d}\u{435} \u{442}\u{435}\u{440}\u{44f}\u{435}\u{442} \u{434}\u{435}\u{43d}\u{44c}\u{433}\u{438} \u{43f}\u{440}\u{438} \u{441}\u{431}\u{43e}\u{435}.",
        ),
        ("long words", "internationalization characterization misunderstandings responsibilities"),
    ];

    #[test]
    fn the_look_of_a_text_tells_its_tokens_within_a_third() {
        for (what, text) in TEXTS {
            let exact = tokens("gpt-4o", text, text.len() as u64);
            let looked = by_look(text, text.len() as u64);
            assert!(looked.abs_diff(exact) * 3 <= exact, "{what}: {looked} for {exact}");
        }
    }

    #[test]
    fn what_has_been_looked_at_is_not_looked_at_again() {
        let text = "four words of text ".repeat(10);
        let mut growing = Growing::default();
        for words in 1..=40 {
            let end = text.match_indices(' ').nth(words - 1).map_or(text.len(), |(at, _)| at + 1);
            assert_eq!(growing.tokens(&text[..end], end as u64), words as u64, "{}", &text[..end]);
        }
        assert_eq!(growing.tokens(&text, 2 * text.len() as u64), 80, "what is not kept is like what is");
        assert_eq!((by_look("", 0), by_look("", 9)), (0, 3));
    }
}

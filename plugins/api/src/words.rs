//! Enums whose values have a word each: in files, records, command lines and the console's API.

/// An enum of which each value has a word; made by [`words!`](crate::words).
pub trait Worded: Copy + 'static {
    /// The words, in the order in which they are offered.
    const NAMES: &'static [&'static str];

    /// The value with this word.
    fn of_word(word: &str) -> Option<Self>;
}

/// Gives an enum its words, once for all who read and write them: `words!(Side { Left = "left", Right = "right" });`. A value without a
/// word is an error where that is compiled.
#[macro_export]
macro_rules! words {
    ($type:ident { $($value:ident = $word:literal),+ $(,)? }) => {
        #[allow(unreachable_pub, reason = "of an enum that others see, they are seen, too")]
        impl $type {
            /// Each value with its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }

            /// The value with this word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
        }

        impl $crate::Worded for $type {
            const NAMES: &'static [&'static str] = &[$($word),+];

            fn of_word(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::Worded;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Side {
        Left,
        Right,
    }

    words!(Side { Left = "left", Right = "on_the_right" });

    #[test]
    fn each_value_is_read_by_the_word_that_is_written() {
        assert_eq!(Side::NAMES, ["left", "on_the_right"]);
        for (word, side) in Side::WORDS {
            assert_eq!((side.as_str(), Side::of_word(word)), (*word, Some(*side)));
        }
        assert_eq!(Side::parse("right"), None);
    }
}

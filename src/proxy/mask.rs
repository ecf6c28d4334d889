//! Masks our own provider key where an upstream echoes it, or a part of it, in an error answer.

/// Shorter parts are not masked: they tell nothing, and occur by chance.
const FRAGMENT_BYTES: usize = 8;

/// Every part of a secret of that length, sorted. No `Debug`: it is the secret.
#[derive(Clone, Default)]
pub struct Fragments(Vec<[u8; FRAGMENT_BYTES]>);

impl Fragments {
    /// The parts of a secret.
    pub fn of(secret: &str) -> Self {
        let mut parts: Vec<_> =
            secret.as_bytes().windows(FRAGMENT_BYTES).filter_map(|window| window.try_into().ok()).collect();
        parts.sort_unstable();
        parts.dedup();
        Self(parts)
    }
}

/// Replaces every part of the secret by asterisks; the length stays.
pub(super) fn mask(text: &mut [u8], fragments: &Fragments) {
    if fragments.0.is_empty() {
        return;
    }
    let mut masked_to = 0;
    let mut found = Vec::new();
    for (at, window) in text.windows(FRAGMENT_BYTES).enumerate() {
        if fragments.0.binary_search_by(|part| part.as_slice().cmp(window)).is_ok() {
            found.push(at.max(masked_to)..at + FRAGMENT_BYTES);
            masked_to = at + FRAGMENT_BYTES;
        }
    }
    for range in found {
        text[range].fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    use super::{Fragments, mask};

    fn masked(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        mask(&mut bytes, &Fragments::of("sk-live-0123456789"));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_key_and_its_parts_are_masked_and_nothing_else_is() {
        assert_eq!(masked("bad key sk-live-0123456789!"), "bad key ******************!");
        assert_eq!(masked("sk-live-****6789 56789 01234567x"), "********".to_owned() + "****6789 56789 ********x");
        assert_eq!(masked("nothing here"), "nothing here");
        assert_eq!(masked("short"), "short");
    }

    #[test]
    fn without_a_key_nothing_is_masked() {
        let mut bytes = b"some text".to_vec();
        mask(&mut bytes, &Fragments::of(""));
        assert_eq!(bytes, b"some text");
    }
}

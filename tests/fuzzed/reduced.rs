//! Makes a failing input smaller.

use crate::properties::input::CHOICE_BYTES;

/// Tries no more often than this.
const TRIES_MAX: usize = 3000;

/// What is left of an input when no part of it can go without the failure going, too.
pub(crate) fn reduced(bytes: &[u8], fails: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut left = bytes.to_vec();
    let (mut size, mut tries) = (left.len() / 2, 0);
    while size > 0 && tries < TRIES_MAX {
        let mut at = CHOICE_BYTES;
        while at < left.len() && tries < TRIES_MAX {
            tries += 1;
            let mut shorter = left.clone();
            shorter.drain(at..(at + size).min(left.len()));
            if fails(&shorter) { left = shorter } else { at += size }
        }
        size /= 2;
    }
    left
}

#[test]
fn what_does_not_matter_goes() {
    let contains = |bytes: &[u8]| bytes.windows(2).any(|two| two == b"ab");
    assert_eq!(reduced(b"....long before ab and after", &contains), b"....ab");
}

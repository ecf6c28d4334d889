use super::{by_length, tokens, vocabulary};
use crate::dialect::{Passed, by_look};
use proptest::prelude::*;

fn passed(text: &str) -> Passed {
    let mut passed = Passed::default();
    passed.push(text.as_bytes());
    passed
}

fn estimate(model: &str, text: &str) -> u64 {
    tokens(model, &passed(text))
}

fn exact(text: &str) -> u64 {
    vocabulary("gpt-4o").encode_ordinary(text).len() as u64
}

/// What stands in a text, by its kind, a kibibyte or so of each; `seed` makes what is random.
const KINDS: usize = 9;
fn block(kind: usize, mut seed: u64) -> String {
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let base64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    match kind {
        0 => " ".repeat(1024),
        1 => "The gateway holds what a request can cost at worst, and settles what it did cost before the end. ".repeat(10),
        2 => "    let total: u64 = parts.iter().map(|part| part.count).sum();\n    println!(\"{total}\");\n".repeat(11),
        3 => "\u{7f51}\u{5173}\u{5728}\u{8bf7}\u{6c42}\u{53d1}\u{51fa}\u{4e4b}\u{524d}\u{9884}\u{7559}\u{6700}\u{9ad8}\u{8d39}\u{7528}\u{ff0c}".repeat(21),
        4 => (0..1024).map(|_| char::from(base64[(next() % 64) as usize])).collect(),
        5 => (0..200).map(|_| format!("{:x} ", next() % 65_521)).collect(),
        6 => "\n".repeat(1024),
        7 => (0..60).map(|_| format!("{{\"id\": {}, \"ok\": true}}, ", next() % 10_000)).collect(),
        _ => "-".repeat(1024),
    }
}

#[test]
fn short_texts_are_counted() {
    assert_eq!(estimate("gpt-4o", "hello world"), 2);
    assert_eq!(estimate("gpt-4", "hello world"), 2);
    assert_eq!(estimate("gpt-4o", ""), 0);
    assert_eq!(tokens("gpt-4o", &Passed::default()), 0);
    assert_eq!(by_length(9), 3);
}

#[test]
fn who_begins_with_filler_pays_for_what_comes_behind_it() {
    let text: String = (1..60).map(|seed| block(5, seed)).collect();
    let (filled, dense) = (estimate("gpt-4o", &(" ".repeat(16 * 1024) + &text)), estimate("gpt-4o", &text));
    assert!(filled.abs_diff(dense) * 10 < dense, "{filled} with filler, {dense} without");
    // And the other way round.
    let (cheap, exact) = (text[..16 * 1024].to_owned() + &" ".repeat(200_000), exact(&text[..16 * 1024]));
    assert!(estimate("gpt-4o", &cheap) < 2 * exact, "{}", estimate("gpt-4o", &cheap));
}

#[test]
fn the_windows_correct_the_look_within_bounds() {
    assert_eq!(super::corrected(1000, 50, 100), 500);
    assert_eq!(super::corrected(1000, 1, 100), 500);
    assert_eq!(super::corrected(1000, 300, 100), 3000);
    assert_eq!(super::corrected(1000, 900, 100), 4000);
    assert_eq!(super::corrected(1000, 0, 0), 1000);
}

#[test]
fn the_look_of_a_text_tells_its_tokens_within_a_half() {
    for kind in 0..KINDS {
        let text = block(kind, 77);
        let (exact, looked) = (exact(&text), by_look(&text));
        assert!(looked.abs_diff(exact) * 2 <= exact + 2, "{kind}: {looked} for {exact}");
    }
}

#[test]
fn a_sample_looks_like_the_whole_and_a_short_one_is_the_whole() {
    let mixed: String = (0..400).map(|time| block(time % KINDS, 77 + time as u64)).collect();
    for text in [mixed.as_str(), &mixed[..mixed.floor_char_boundary(9_000)], "a few words"] {
        let (looked, sampled) = (by_look(text), super::by_sample(text.as_bytes(), text.len() as u64).unwrap());
        assert!(looked.abs_diff(sampled) * 3 <= looked, "{looked}, {sampled} of {}", text.len());
    }
    assert_eq!(super::by_sample(b"", 0), Some(0));
    assert_eq!(super::by_sample(br#"{"content":"\u4f60\u597d"}"#, 26), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn in_whatever_order_things_stand_the_estimate_is_near_the_count(
        blocks in prop::collection::vec((0..KINDS, 1_usize..40, 1..u64::MAX), 1..14),
    ) {
        let text: String = blocks
            .iter()
            .flat_map(|(kind, times, seed)| (0..*times as u64).map(|time| block(*kind, seed.wrapping_add(time).max(1))))
            .collect();
        let (exact, estimated) = (exact(&text), estimate("gpt-4o", &text));
        prop_assert!(estimated * 10 >= exact * 6 && estimated * 10 <= exact * 16 + 100, "{estimated} for {exact}: {blocks:?}");
    }
}

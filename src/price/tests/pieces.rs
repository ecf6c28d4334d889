//! What is billed by the piece: images, audio, characters.

use super::{book, errors, only, with};
use crate::price::{Charged, Piece, PieceCounts, PriceBook, further};
use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage};

const NONE: PieceCounts<'static> = PieceCounts { images: 0, quality: None, size: None, audio_ms: 0, characters: 0 };

fn images<'a>(images: u64, quality: &'a str, size: &'a str) -> PieceCounts<'a> {
    let said = |word: &'a str| (!word.is_empty()).then_some(word);
    PieceCounts { images, quality: said(quality), size: said(size), ..NONE }
}

fn fees(fees: &str) -> PriceBook {
    with(&format!("input = 0\noutput = 0\nfees = {{ {fees} }}\n"))
}

/// Nano-USD, and whether something has no price.
fn cost(book: &PriceBook, pieces: &PieceCounts<'_>) -> (i64, bool) {
    let metered = Metered { extras: pieces.extras(), ..Metered::default() };
    let cost = book.cost(Some(only(book)), &metered, 0);
    let lines = book.explain(Some(only(book)), &metered, 0);
    let sum: i128 = lines.iter().map(|line| line.amount).sum();
    assert_eq!(sum, i128::from(cost.nanos) * 1_000_000_000_000_000_000, "{lines:?}");
    (cost.nanos, cost.missing)
}

const DALL_E_3: &str = "image = 0.04, image_1024x1792 = 0.08, image_hd = 0.081, image_hd_1024x1792 = 0.12";

#[test]
fn the_most_particular_fee_of_an_image_applies() {
    let book = fees(DALL_E_3);
    for (quality, size, nanos) in [
        ("", "", 40_000_000),
        ("standard", "", 40_000_000),
        ("", "1024x1024", 40_000_000),
        ("standard", "1024x1024", 40_000_000),
        ("auto", "auto", 40_000_000),
        ("hd", "", 81_000_000),
        ("HD", " 1024X1792 ", 120_000_000),
        ("hd", "1024*1792", 120_000_000),
        ("hd", "1024x1024", 81_000_000),
        ("standard", "1024x1792", 80_000_000),
        ("hd", "1024\u{d7}1792", 120_000_000),
        // Words that no fee can have.
        ("h\u{e9}d", "a word that is far too long for a size", 40_000_000),
        // A size is no quality, nor a quality a size.
        ("1024x1792", "1024x1024", 40_000_000),
        ("standard", "hd", 40_000_000),
    ] {
        assert_eq!(cost(&book, &images(1, quality, size)), (nanos, false), "{quality} {size}");
        assert_eq!(cost(&book, &images(7, quality, size)), (7 * nanos, false), "{quality} {size}");
    }
    // Of two that are as particular, the dearer.
    let both = fees("image = 0.01, image_hd = 0.02, image_1024x1792 = 0.03");
    assert_eq!(cost(&both, &images(1, "hd", "1024x1792")), (30_000_000, false));
    assert_eq!(cost(&fees("image_hd = 1"), &images(1, "", "")), (0, true), "nothing is guessed");
    assert_eq!(cost(&fees("image_h = 1"), &images(1, "hd", "")), (0, true), "half a word is none");
    assert_eq!(cost(&fees("image = 0"), &images(1, "", "")), (0, false), "what is free has a fee of 0");
}

#[test]
fn an_hour_of_audio_is_charged_by_the_millisecond_exactly() {
    let heard = |audio_ms| PieceCounts { audio_ms, ..NONE };
    let book = fees("audio_hour = 0.36");
    // 360,000,000 nano-USD for 3,600,000 ms.
    for (ms, nanos) in [(1, 100), (8_471, 847_100), (3_600_000, 360_000_000)] {
        assert_eq!(cost(&book, &heard(ms)), (nanos, false), "{ms}");
    }
    // A number without an end in decimals is rounded up, once.
    let odd = fees("audio_hour = 0.111");
    for ms in [1_u64, 7, 999, 10_000, 3_599_999, 1_000_000_000] {
        let exact = (u128::from(ms) * 111_000_000).div_ceil(3_600_000);
        assert_eq!(cost(&odd, &heard(ms)), (i64::try_from(exact).unwrap(), false), "{ms}");
    }
    // A nano-USD an hour, an hour long, in pieces: the parts of all of it are a nano-USD.
    let metered = Metered { extras: vec![heard(1_200_000).extras().remove(0); 3], ..Metered::default() };
    assert_eq!(
        fees("audio_hour = 0.000000001").cost(Some(only(&fees("audio_hour = 0.000000001"))), &metered, 0).nanos,
        1
    );
}

#[test]
fn a_request_is_charged_for_so_much_audio_at_least() {
    let heard = |audio_ms| PieceCounts { audio_ms, ..NONE };
    let book = with("input = 0\noutput = 0\nfees = { audio_hour = 0.36 }\naudio_seconds_min = 10\n");
    for (ms, nanos) in [(0, 0), (1, 1_000_000), (10_000, 1_000_000), (10_001, 1_000_100)] {
        assert_eq!(cost(&book, &heard(ms)), (nanos, false), "{ms}");
        assert_eq!(only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &heard(ms)), nanos, "{ms}");
    }
    assert_eq!(only(&book).versions(0)[0].audio_seconds_min, Some(10));
}

#[test]
fn characters_are_charged_one_by_one() {
    let book = fees("character = 0.000015");
    let spoken = PieceCounts { characters: 4_095, ..NONE };
    assert_eq!(cost(&book, &spoken), (61_425_000, false));
    let metered = Metered { extras: spoken.extras(), ..Metered::default() };
    let lines: Vec<String> = book.explain(Some(only(&book)), &metered, 0).iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["price: m", "character: 4095 characters x 0.000015 USD = 0.061425 USD"]);
}

#[test]
fn the_arithmetic_names_the_pieces() {
    let book = fees("image_hd = 0.08, audio_hour = 0.1");
    let metered = |pieces: &PieceCounts<'_>| Metered { extras: pieces.extras(), ..Metered::default() };
    let lines = |pieces: &PieceCounts<'_>| {
        let lines = book.explain(Some(only(&book)), &metered(pieces), 0);
        lines.iter().skip(1).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(lines(&images(2, "hd", "1024x1024")), ["image_hd_1024x1024: 2 images x 0.08 USD = 0.16 USD"]);
    // A third of a nano-USD has no end: what is not shown of it is in the rounding.
    let audio = lines(&PieceCounts { audio_ms: 12, ..NONE });
    assert_eq!(audio[0], "audio_ms: 12 ms x 0.1 USD/hour = 0.000000333333333333333333333 USD");
    assert_eq!(audio[1], "rounding: up to a nano-USD = 0.000000000666666666666666667 USD");
}

#[test]
fn the_dearest_that_can_be_is_held() {
    let book = fees(DALL_E_3);
    let held = |quality, size| only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(1, quality, size));
    for (quality, size, nanos) in [
        ("", "", 120_000_000),
        ("auto", "", 120_000_000),
        ("standard", "", 80_000_000),
        ("hd", "", 120_000_000),
        ("", "1024x1024", 81_000_000),
        ("", "1024x1792", 120_000_000),
        ("standard", "1024x1024", 40_000_000),
        ("hd", "1024x1024", 81_000_000),
        ("hd", "1024x1792", 120_000_000),
        // Words that the vendor may not know: the answer can name others.
        ("default", "1024x1024", 81_000_000),
        ("null", "square", 120_000_000),
        ("hd", "square", 120_000_000),
        ("standard", "landscape", 80_000_000),
        ("1024x1792", "1024x1024", 81_000_000),
    ] {
        assert_eq!(held(quality, size), nanos, "{quality} {size}");
    }
    assert_eq!(only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(10, "", "")), 1_200_000_000);
    let later = self::book(
        "[[model]]\nname = \"m\"\ninput = 0\noutput = 0\nfees = { image = 0.01 }\n\
         [[model]]\nname = \"m\"\nvalid_from = 2030-01-01\ninput = 0\noutput = 0\nfees = { image = 0.02 }\n",
    );
    assert_eq!(
        only(&later).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(1, "", "")),
        20_000_000,
        "at any time"
    );
    let dear = only(&book).times(crate::price::Multiplier::parse("1.5").unwrap());
    assert_eq!(dear.worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(1, "", "")), 180_000_000);
}

#[test]
fn sizes_of_several_words_are_held_as_they_are_billed() {
    let book = fees("image = 0.01, image_landscape_16_9 = 0.05, image_16_9 = 0.03, image_hd_square = 0.04");
    let held = |quality, size| only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(1, quality, size));
    for (quality, size, nanos) in [
        ("", "landscape_16_9", 50_000_000),
        ("hd", "landscape_16_9", 50_000_000),
        ("standard", "", 50_000_000),
        ("standard", "16:9", 30_000_000),
        ("standard", "1024x1024", 10_000_000),
        ("", "16:9", 50_000_000),
    ] {
        assert_eq!(held(quality, size), nanos, "{quality} {size}");
        for size in [size, "16:9", "landscape_16_9", "square"].into_iter().take(if size.is_empty() { 4 } else { 1 }) {
            assert!(cost(&book, &images(1, quality, size)).0 <= nanos, "{quality} {size}");
        }
    }
}

#[test]
fn a_row_of_particular_images_only_is_no_free_one() {
    let book = fees("image_low = 0.02, image_high = 0.19, other = 0.001");
    let held = |quality, size| only(&book).worst_case_nanos(ServiceTier::Ultrafast, 1, 0, 0, &images(1, quality, size));
    assert_eq!(held("standard", "1024x1024"), 20_000_000);
    assert_eq!(held("", ""), 190_000_000);
}

#[test]
fn what_was_asked_for_in_no_words_is_the_dearest_that_can_be() {
    let book = fees(DALL_E_3);
    for (quality, size, kind) in [
        ("h\u{e9}d", "1024x1792", Some("image_hd_1024x1792")),
        ("256x256", "1024x1024", Some("image_hd")),
        ("256x256", "", Some("image_hd_1024x1792")),
        ("standard", "a word that is far too long", Some("image_1024x1792")),
        ("standard", "hd", Some("image_1024x1792")),
        ("hd", "1024x1792", None),
        ("default", "square", None),
        ("auto", "", None),
        ("", " ", None),
    ] {
        let dearest = only(&book).dearest_image(&images(1, quality, size), 0);
        assert_eq!(dearest.as_deref(), kind, "{quality} {size}");
    }
    assert_eq!(only(&fees("audio_hour = 1")).dearest_image(&images(1, "h\u{e9}d", ""), 0), None);
}

#[test]
fn what_is_left_open_is_the_dearest_that_can_be_where_no_fee_holds_without_it() {
    let sizes = fees("image_1024x1024 = 0.04, image_2048x2048 = 0.16");
    let both = fees("image_low = 0.02, image_high = 0.19, image_high_2x2 = 0.3");
    for (book, quality, size, kind) in [
        (&sizes, "", "", Some("image_2048x2048")),
        (&sizes, "auto", "auto", Some("image_2048x2048")),
        (&sizes, "hd", "", Some("image_2048x2048")),
        (&sizes, "", "1024x1024", None),
        // A size that is said and has no fee stays without one.
        (&sizes, "", "512x512", None),
        (&both, "", "", Some("image_high_2x2")),
        (&both, "low", "", None),
        (&both, "", "2x2", Some("image_high_2x2")),
    ] {
        let asked = images(1, quality, size);
        let dearest = only(book).dearest_image(&asked, 0);
        assert_eq!(dearest.as_deref(), kind, "{quality} {size}");
        if let Some(kind) = dearest {
            let metered = Metered { extras: vec![ExtraUsage::of_times(kind, 1)], ..Metered::default() };
            let billed = book.cost(Some(only(book)), &metered, 0);
            let held = only(book).worst_case_nanos(ServiceTier::Standard, 1, 0, 0, &asked);
            assert_eq!((billed.nanos, billed.missing), (held, false), "{quality} {size}");
        }
    }
}

#[test]
fn what_a_row_charges_by_is_known() {
    let charged = |row: &str, piece: Piece| only(&with(row)).charged(piece, &piece.kind(None, None), 0);
    for (row, piece, expected) in [
        ("input = 0\noutput = 0\nfees = { image = 0 }", Piece::Image, Charged::ByPiece),
        ("input = 0\noutput = 0\nfees = { image = 1 }", Piece::AudioMs, Charged::Not),
        ("input = 1\noutput = 0\nfees = { audio_hour = 1 }", Piece::AudioMs, Charged::ByPieceAndToken),
        ("input = 0\noutput = 1", Piece::Character, Charged::ByToken),
        ("input = 0\noutput = 0\nper_request = 1", Piece::Image, Charged::ByRequest),
        ("input = 0\noutput = 0", Piece::Image, Charged::Not),
    ] {
        assert_eq!(charged(row, piece), expected, "{row}");
    }
}

#[test]
fn pieces_beside_tokens_are_charged_beside_them() {
    let book = with("input = 1\noutput = 1\nper_request = 0.001\nfees = { image = 0.01 }\n");
    let usage = Usage { input_tokens: 1_000, output_tokens: 1_000, ..Usage::default() };
    let metered = Metered { usage, extras: images(3, "", "").extras(), ..Metered::default() };
    let cost = book.cost(Some(only(&book)), &metered, 0);
    assert_eq!((cost.nanos, cost.missing), (2_000_000 + 1_000_000 + 30_000_000, false));
}

#[test]
fn names_that_are_no_fees_are_told_apart() {
    let wrong = errors(
        "[[model]]\nname = \"m\"\ninput = 0\noutput = 0\naudio_seconds_min = 0.5\n\
         fees = { audio_minute = 0.006, characters = 1, images = 1, Image = 1, image = -1,\n\
         images_hd = 1, character_1k = 1, second = 1, audio_hours_hd = 1, pictures = 1, image_1024x1792_hd = 1,\n\
         image_auto = 1, image_hd_auto = 1, image_ = 1, image__hd = 1, image_hd_ = 1 }\n",
    );
    for expected in [
        "`audio_minute` is the name of no fee, expected `audio_hour`",
        "`characters` is the name of no fee, expected `character`",
        "`images` is the name of no fee, expected `image`",
        "m.fees.image: `-1` is negative",
        "`images_hd` is the name of no fee, expected `image`",
        "`character_1k` is the name of no fee, expected `character`",
        "`second` is the name of no fee, expected `audio_hour`",
        "`audio_hours_hd` is the name of no fee, expected `audio_hour`",
        "`pictures` is the name of no fee, expected `image`",
        "`image_1024x1792_hd` is the name of no fee, expected `image_hd_1024x1792`",
        "`image_auto` is the name of no fee, expected `image`",
        "`image_hd_auto` is the name of no fee, expected `image_hd`",
        "`image_` is the name of no fee, expected `image`",
        "`image__hd` is the name of no fee, expected `image_hd`",
        "`image_hd_` is the name of no fee, expected `image_hd`",
        "m.audio_seconds_min: `0.5` is more than 0 decimals, expected whole seconds as 10, at most 3600",
    ] {
        assert!(wrong.contains(expected), "{expected}: {wrong}");
    }
    let wrong =
        errors("[[model]]\nname = \"m\"\ninput = 0\noutput = 0\naudio_seconds_min = 10\nfees = { image = 1 }\n");
    assert!(
        wrong.contains("m.audio_seconds_min: a least of audio, and no fee for it, expected `audio_hour` in `fees`")
    );
    // Names of tools, of vendors' own qualities, and of sizes in words.
    fees(
        "image_generation = 1, image_search = 1, image_ultra = 1, image_landscape_16_9 = 1, image_square_hd = 1, hourly = 1",
    );
}

#[test]
fn what_a_price_has_fees_for_is_told() {
    let book = fees("image = 0.04, file_search = 0.0025");
    let versions = only(&book).versions(0);
    assert_eq!(further(&versions), ["what tools do", "pieces"]);
    assert_eq!(versions[0].usd_per_time["image"], "0.04");
}

//! Logins and sessions that nobody should get: none is accepted.

use super::wallet::{Wallet, other_s};
use super::{NOW_MS, Stage, token};
use crate::message::Message;
use crate::session::{Session, Sessions};
use crate::{VERIFY_PATH, rfc3339};
use proptest::prelude::*;
use serde_json::json;
use tollgate_plugin_api::RejectCode::{self, AuthInvalidToken, Forbidden, InvalidRequest, TokenExpired};

/// A change of a message that is signed afterwards, by its own wallet: nothing else is wrong with it.
type Change = Box<dyn Fn(&mut Vec<String>)>;

fn line(at: usize, text: impl Into<String>) -> Change {
    let text = text.into();
    Box::new(move |lines| lines[at] = text.clone())
}

fn replace(from: &'static str, to: &'static str) -> Change {
    Box::new(move |lines| *lines = lines.join("\n").replacen(from, to, 1).split('\n').map(str::to_owned).collect())
}

fn push(text: impl Into<String>) -> Change {
    let text = text.into();
    Box::new(move |lines| lines.extend(text.split('\n').map(str::to_owned)))
}

fn insert(at: usize, text: &'static str) -> Change {
    Box::new(move |lines| lines.insert(at, text.to_owned()))
}

fn without(at: usize) -> Change {
    Box::new(move |lines| drop(lines.remove(at)))
}

/// What was signed for another place, time or purpose.
fn misplaced() -> Vec<(RejectCode, Change)> {
    let at = |ms: i64| rfc3339(NOW_MS + ms);
    let ending = " wants you to sign in with your Ethereum account:";
    let mut cases: Vec<(RejectCode, Change)> = Vec::new();
    for domain in [
        "evil.example",
        "app.example.evil.example",
        "xapp.example",
        "app.example:443",
        "APP.example",
        "app.example.",
        "app.example@evil.example",
        "evil.example@app.example",
        "http://app.example",
        "HTTPS://app.example",
        "ftp://app.example",
        "app%2eexample",
    ] {
        cases.push((AuthInvalidToken, line(0, format!("{domain}{ending}"))));
    }
    for uri in [
        "https://evil.example/login",
        "http://app.example/login",
        "https://app.example",
        "https://app.example/",
        "https://app.example/loginx",
        "https://app.example/login@evil.example",
        "https://app.example/Login",
        "https://app.example:443/login",
        "https://evil.example/?https://app.example/login",
        "did:key:z6Mk",
    ] {
        cases.push((AuthInvalidToken, line(5, format!("URI: {uri}"))));
    }
    for chain in ["2", "0", "11155111", "18446744073709551615"] {
        cases.push((AuthInvalidToken, line(7, format!("Chain ID: {chain}"))));
    }
    for nonce in ["32891756", &"0".repeat(80), &"f".repeat(80), &"A".repeat(128)] {
        cases.push((AuthInvalidToken, line(8, format!("Nonce: {nonce}"))));
    }
    cases.push((AuthInvalidToken, Box::new(|lines| lines[8] = lines[8].to_uppercase().replace("NONCE", "Nonce"))));
    cases.push((AuthInvalidToken, Box::new(|lines| lines[8].replace_range(..=7, "Nonce: "))));
    cases.push((AuthInvalidToken, Box::new(|lines| lines[8].push('0'))));
    cases.extend([
        (AuthInvalidToken, line(9, format!("Issued At: {}", at(61_000)))),
        (TokenExpired, line(9, format!("Issued At: {}", at(-361_000)))),
        (TokenExpired, line(9, "Issued At: 1970-01-01T00:00:00Z")),
        (TokenExpired, push(format!("Expiration Time: {}", at(0)))),
        (TokenExpired, push(format!("Expiration Time: {}", at(-1000)))),
        (AuthInvalidToken, push(format!("Not Before: {}", at(61_000)))),
        (AuthInvalidToken, push(format!("Expiration Time: {}\nNot Before: {}", at(900_000), at(600_000)))),
    ]);
    cases
}

/// What is not of the form.
fn malformed() -> Vec<(RejectCode, Change)> {
    let own = Wallet::new(1).address();
    let at = |ms: i64| rfc3339(NOW_MS + ms);
    let mut changes: Vec<Change> = vec![
        line(1, own.to_lowercase()),
        line(1, own.to_uppercase()),
        line(1, own.replacen("0x", "0X", 1)),
        line(1, own.replacen("0x", "", 1)),
        line(1, own[..41].to_owned()),
        line(1, format!("{own}0")),
        line(1, format!("{own} ")),
        line(
            1,
            own.chars()
                .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect::<String>(),
        ),
        line(1, "ann.eth"),
        line(6, "Version: 2"),
        line(6, "Version: 01"),
        line(6, "Version: 1 "),
        line(6, "Version: "),
        line(6, "version: 1"),
        line(7, "Chain ID: 01"),
        line(7, "Chain ID: 0x1"),
        line(7, "Chain ID: -1"),
        line(7, "Chain ID: +1"),
        line(7, "Chain ID: 1.0"),
        line(7, "Chain ID: "),
        line(7, "Chain ID: 18446744073709551617"),
        line(7, "Chain ID: ١"),
        line(8, "Nonce: 1234567"),
        line(8, "Nonce: 12345678-"),
        line(8, format!("Nonce: {}", "a".repeat(129))),
        line(8, "Nonce: "),
        line(5, "URI: "),
        line(5, "URI: app.example/login"),
        line(5, "URI: https://app.example/login x"),
        line(5, "URI: https://app.example/login%2"),
        line(5, "URI: https://app.example/löwe"),
        line(3, "A statement of \u{202e}two directions"),
        line(3, "A statement with \"quotes\""),
        line(3, "A statement\u{0}"),
        line(3, "\t"),
        replace("\n", "\r\n"),
        replace("Version", "\nVersion"),
        replace(":\n0x", ": \n0x"),
        Box::new(|lines| lines.iter_mut().for_each(|line| line.push('\r'))),
        Box::new(|lines| lines[9].push('\r')),
        Box::new(|lines| *lines = vec![lines.join("\r")]),
        Box::new(|lines| *lines = vec![lines.join("\u{2028}")]),
        Box::new(|lines| *lines = vec![lines.join(" ")]),
        Box::new(|lines| lines.swap(6, 7)),
        Box::new(|lines| lines.swap(8, 9)),
        Box::new(|lines| lines.reverse()),
        Box::new(|lines| lines.clear()),
        Box::new(|lines| lines[0] = lines[0].replace(":", "")),
        Box::new(|lines| lines[0] = lines[0].replace("Ethereum", "Solana")),
        Box::new(|lines| lines[0] = format!("://{}", lines[0])),
        Box::new(|lines| lines[0] = format!("1://{}", lines[0])),
        Box::new(|lines| lines[0] = lines[0].replace("app.example", "")),
        Box::new(|lines| lines[0] = format!(" {}", lines[0])),
        Box::new(|lines| lines[0] = format!("\u{feff}{}", lines[0])),
        insert(0, ""),
        insert(2, ""),
        insert(3, "Another statement"),
        insert(5, ""),
        insert(6, "URI: https://app.example/login"),
        insert(8, "Chain ID: 137"),
        insert(9, "Nonce: 32891756"),
        push(""),
        push("\n"),
        push("x"),
        push("Issued At: 2027-01-15T08:00:00Z"),
        push("Request ID: a b"),
        push("Request ID: a/b"),
        push("Request ID: a\nRequest ID: b"),
        push("Resources: "),
        push("Resources:\n-https://a/"),
        push("Resources:\n- a"),
        push("Resources:\n- https://a/\n"),
        push("Resources:\n- https://a/\nx"),
        push("Resources:\nRequest ID: a"),
        push("- https://a/"),
        push(format!("Expiration Time: {}\nExpiration Time: {}", at(1000), at(1000))),
        push(format!("Not Before: {}\nExpiration Time: {}", at(0), at(1000))),
        push("Expiration Time: "),
        push("Expiration Time: never"),
        push("Not Before: 0"),
    ];
    changes.extend((0..10).filter(|at| *at != 3 && *at != 4).map(without));
    for time in [
        "2027-01-15",
        "2027-01-15 08:00:00Z",
        "2027-01-15T08:00:00",
        "2027-01-15t08:00:00z",
        "2027-01-15T08:00Z",
        "2027-13-15T08:00:00Z",
        "2027-02-30T08:00:00Z",
        "2027-01-15T25:00:00Z",
        "2027-01-15T08:00:00.Z",
        "2027-01-15T08:00:00.1234567890Z",
        "2027-01-15T08:00:00+0100",
        "2027-01-15T08:00:00+99:99",
        "1800000000",
        "+02027-01-15T08:00:00Z",
        "2027-01-15T08:00:00Z[UTC]",
        "2027-01-15T08:00:00+01:00[Europe/Paris]",
        "",
        "Fri, 15 Jan 2027 08:00:00 GMT",
    ] {
        changes.push(line(9, format!("Issued At: {time}")));
    }
    changes.into_iter().map(|change| (InvalidRequest, change)).collect()
}

#[test]
fn no_message_that_is_not_ours_is_accepted_however_well_it_is_signed() {
    let cases: Vec<_> = misplaced().into_iter().chain(malformed()).collect();
    assert!(cases.len() >= 60);
    for (nth, (code, change)) in cases.iter().enumerate() {
        let (stage, wallet) = (Stage::new(), Wallet::new(1));
        let mut lines = stage.lines(&wallet);
        change(&mut lines);
        let message = lines.join("\n");
        let verdict = stage.verify(&message, &wallet.sign(&message));
        assert_eq!(verdict.map_err(|reject| reject.code), Err(*code), "{nth}: {message:?}");
    }
    println!("{} messages, none accepted", cases.len());
}

#[test]
fn no_signature_but_the_wallets_own_is_accepted() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    let message = stage.lines(&wallet).join("\n");
    let sound = wallet.sign(&message);
    let (point, v) = (sound[2..130].to_owned(), sound[130..].to_owned());
    let other_v = if v == "1b" { "1c" } else { "1b" };
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let zeros = "0".repeat(64);
    let (r, s) = point.split_at(64);
    let mut forged = vec![
        other_s(&sound),
        Wallet::new(2).sign(&message),
        Wallet::new(5).sign(&message),
        wallet.sign(&format!("{message}\n")),
        wallet.sign(&message.replace("Chain ID: 1", "Chain ID: 137")),
        wallet.sign_bytes(message.as_bytes()),
        wallet.sign_bytes(format!("\x19Ethereum Signed Message:\n{message}").as_bytes()),
        wallet.sign_bytes(format!("\x18Bitcoin Signed Message:\n{}{message}", message.len()).as_bytes()),
        format!("0x{point}{other_v}"),
        format!("0x{s}{r}{v}"),
        format!("0x{zeros}{s}{v}"),
        format!("0x{r}{zeros}{v}"),
        format!("0x{zeros}{zeros}{v}"),
        format!("0x{order}{s}{v}"),
        format!("0x{r}{order}{v}"),
        format!("0x{}{v}", "f".repeat(128)),
        format!("0x{point}"),
        format!("0x{point}{v}00"),
        format!("0x00{point}{v}"),
        format!("{point}{v}"),
        format!("0X{point}{v}"),
        format!("0x{point}{v} "),
        format!(" 0x{point}{v}"),
        format!("0x{}g{v}", &point[..127]),
        sound[..sound.len() - 1].to_owned(),
        sound[..66].to_owned(),
        "0x".to_owned(),
        String::new(),
        "é".repeat(66),
    ];
    let low_v = if v == "1b" { "01" } else { "00" };
    let wrong = [low_v, "02", "1a", "1d", "1e", "25", "26", "ff", "9b"];
    forged.extend(wrong.map(|v| format!("0x{point}{v}")));
    for (at, digit) in sound.char_indices().skip(2) {
        let other = if digit == '0' { '1' } else { '0' };
        forged.push(format!("{}{other}{}", &sound[..at], &sound[at + 1..]));
    }
    for signature in &forged {
        let reject = stage.verify(&message, signature).expect_err(signature);
        assert_eq!(reject.code, AuthInvalidToken, "{signature}");
    }
    println!("{} signatures, none accepted", forged.len());
    // None of them has used the nonce up.
    assert!(stage.verify(&message, &sound).is_ok());
}

#[test]
fn wallets_without_a_good_key_are_refused_and_only_they_are_told() {
    let stage = Stage::new();
    for (number, code) in [(2, Forbidden), (3, AuthInvalidToken), (4, AuthInvalidToken)] {
        assert_eq!(stage.log_in(&Wallet::new(number)).unwrap_err().code, code, "{number}");
    }
    // Who has not the wallet does not learn whether it is known.
    let said = [1, 2].map(|number| {
        let message = stage.lines(&Wallet::new(number)).join("\n");
        stage.verify(&message, &Wallet::new(9).sign(&message)).unwrap_err()
    });
    assert_eq!(said[0], said[1]);
}

#[test]
fn a_nonce_is_good_for_five_minutes_in_the_process_that_gave_it() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    for (passed_ms, is_good) in [(299_999, true), (300_000, false)] {
        let message = stage.lines(&wallet).join("\n");
        stage.pass_ms(passed_ms);
        assert_eq!(stage.verify(&message, &wallet.sign(&message)).is_ok(), is_good, "{passed_ms}");
    }
    let elsewhere = Stage::new().lines(&wallet).join("\n");
    let here = Stage::new();
    assert!(here.verify(&elsewhere, &wallet.sign(&elsewhere)).is_err());
    let nonces: std::collections::HashSet<String> = (0..1000).map(|_| stage.nonce()).collect();
    assert_eq!(nonces.len(), 1000);
}

#[test]
fn what_is_no_login_is_refused() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    let message = stage.lines(&wallet).join("\n");
    let (text, sound) = (json!(message).to_string(), wallet.sign(&message));
    for body in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        format!("{{\"message\":{text}}}"),
        format!("{{\"signature\":\"{sound}\"}}"),
        format!("{{\"message\":7,\"signature\":\"{sound}\"}}"),
        format!("{{\"message\":{text},\"signature\":\"{sound}\",\"admin\":true}}"),
        format!("{{\"message\":{text},\"message\":{text},\"signature\":\"{sound}\"}}"),
        format!("{{\"message\":{text},\"signature\":\"{sound}\"}}{{}}"),
        format!("[{text},\"{sound}\"]x"),
    ] {
        assert_eq!(stage.post(VERIFY_PATH, &body).unwrap_err().code, InvalidRequest, "{body}");
    }
}

#[test]
fn no_letter_of_a_session_can_be_changed() {
    let stage = Stage::new();
    let session = token(&stage.log_in(&Wallet::new(1)).unwrap());
    let prefix = "sk-tgw-".len();
    for at in prefix..session.len() {
        for letter in ["A", "_", "8", "=", "."] {
            let changed = format!("{}{letter}{}", &session[..at], &session[at + 1..]);
            assert!(changed == session || stage.caller(&changed) == Err(AuthInvalidToken), "{changed}");
        }
        assert_eq!(stage.caller(&session[..at]), Err(AuthInvalidToken), "{at}");
    }
    for longer in [format!("{session}A"), format!("{session}=="), format!("{session}{session}")] {
        assert_eq!(stage.caller(&longer), Err(AuthInvalidToken), "{longer}");
    }
    let address = crate::address::Address::read(&Wallet::new(1).address()).unwrap();
    let forged = Session { address, expires_at_s: i64::MAX };
    for secret in ["", "another secret of 32 bytes or mora", "tollgate auth-siwe session 1"] {
        let token = Sessions::new(secret.as_bytes()).issue(&forged).unwrap();
        assert_eq!(stage.caller(&token), Err(AuthInvalidToken));
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic_or_is_accepted(
        message in "(?s).{0,300}", signature in "(0x)?[0-9a-fA-F]{0,140}", session in "[A-Za-z0-9_-]{0,140}", raw in "(?s).{0,60}",
    ) {
        let stage = Stage::new();
        let _ = Message::read(&message);
        prop_assert!(stage.verify(&message, &signature).is_err());
        prop_assert!(stage.post(VERIFY_PATH, &raw).is_err());
        let credential = format!("sk-tgw-{session}");
        prop_assert_eq!(stage.caller(&credential), Err(AuthInvalidToken));
        let _ = crate::signature::signer(&message, &raw);
        let _ = crate::grammar::time_ms(&raw);
    }

    #[test]
    fn what_is_put_into_a_message_is_accepted_nowhere(at in 0usize..400, what in "(?s).{1,3}") {
        let (stage, wallet) = (Stage::new(), Wallet::new(1));
        let message = stage.lines(&wallet).join("\n");
        let at = at.min(message.len());
        let changed = format!("{}{what}{}", &message[..at], &message[at..]);
        // Signed as it was.
        prop_assert!(stage.verify(&changed, &wallet.sign(&message)).is_err());
        let _ = stage.verify(&changed, &wallet.sign(&changed));
    }

    #[test]
    fn times_are_read_as_they_are_written(ms in 0i64..4_000_000_000_000) {
        prop_assert_eq!(crate::grammar::time_ms(&rfc3339(ms)), Some(ms));
    }
}

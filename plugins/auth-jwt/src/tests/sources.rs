//! Where keys come from over HTTP, which fails in all ways; off the requests' path.

use super::issuer::{Issuer, claims};
use super::{ISSUER, accepted, ports, verdict, verdict_of};
use crate::build;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tollgate_plugin_api::{Plugin, Ports, RejectCode};

/// Longer than anything takes, if it comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that gives these answers, one after the other and the last one again and again; and how many it gave.
fn server(answers: Vec<String>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let nth = counted.load(Ordering::SeqCst).min(answers.len() - 1);
            let _ = stream.write_all(answers[nth].as_bytes());
            // When it is counted it is out.
            drop(stream);
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, count)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn set_of(issuer: &Issuer) -> String {
    answer("200 OK", &issuer.key_set().to_string())
}

fn plugin(address: SocketAddr, refresh_s: u32, ports: &Ports) -> Arc<dyn Plugin> {
    let table = format!(
        "issuer = {ISSUER:?}\naudience = \"tollgate\"\nalgorithms = [\"ES256\"]\njwks_url = \"http://{address}/jwks\"\n\
         jwks_refresh_s = {refresh_s}"
    );
    build(table.parse().unwrap(), ports).unwrap()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn before_the_keys_are_there_a_token_may_come_again_and_then_it_passes() {
    let (issuer, stranger) = (Issuer::new(), Issuer::stranger());
    let (address, _) = server(vec![set_of(&issuer)]);
    let plugin = plugin(address, 3600, &ports());
    let token = issuer.token("ES256", &claims());
    // Its thread waits for longer than this takes, or has them already.
    let first = verdict_of(&*plugin, &[("x-api-key", &token)], None);
    let is_later =
        first.is_err_and(|reject| (reject.code, reject.retry_after_s) == (RejectCode::UpstreamUnavailable, Some(1)));
    assert!(is_later || verdict(&*plugin, &token) == accepted("ann"));
    until("the keys are there", || verdict(&*plugin, &token) == accepted("ann"));
    assert_eq!(verdict(&*plugin, &stranger.token("ES256", &claims())), Err(RejectCode::AuthInvalidToken));
}

#[test]
fn a_set_that_cannot_be_read_leaves_the_last_one() {
    let issuer = Issuer::new();
    let wrong = [
        answer("500 Internal Server Error", ""),
        answer("200 OK", "<html>"),
        answer("200 OK", r#"{"keys":[]}"#),
        // Somebody else's keys, where we are told to look for them.
        format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            server(vec![set_of(&Issuer::stranger())]).0
        ),
        answer("200 OK", &format!("{}{}", " ".repeat(300_000), Issuer::stranger().key_set())),
        "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\nconnection: close\r\n\r\n{\"keys\":".to_owned(),
        String::new(),
    ];
    // Each takes its second: all at once.
    std::thread::scope(|scope| {
        for wrong in &wrong {
            let issuer = &issuer;
            scope.spawn(move || assert_last_one_stays(issuer, wrong));
        }
    });
}

fn assert_last_one_stays(issuer: &Issuer, wrong: &str) {
    let (address, count) = server(vec![set_of(issuer), wrong.to_owned()]);
    let plugin = plugin(address, 1, &ports());
    // What comes of the second answer is known when it is asked for the third time.
    until("it was asked again", || count.load(Ordering::SeqCst) >= 3);
    assert_eq!(verdict(&*plugin, &issuer.token("ES256", &claims())), accepted("ann"), "{wrong:.60}");
    let stranger = Issuer::stranger().token("ES256", &claims());
    assert_eq!(verdict(&*plugin, &stranger), Err(RejectCode::AuthInvalidToken), "{wrong:.60}");
}

#[test]
fn an_unknown_key_is_asked_for_and_those_who_invent_them_make_no_load() {
    let (before, after) = (Issuer::new(), Issuer::stranger());
    let mut rotated = after.key_set();
    rotated["keys"][1]["kid"] = json!("new");
    let (address, count) = server(vec![set_of(&before), answer("200 OK", &rotated.to_string())]);
    let plugin = plugin(address, 3600, &ports());
    until("the keys are there", || verdict(&*plugin, &before.token("ES256", &claims())) == accepted("ann"));
    let header = json!({"alg": "ES256", "kid": "new"}).to_string();
    let token = after.signed("ES256", &header, &claims().to_string());
    until("the new key is there", || verdict(&*plugin, &token) == accepted("ann"));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let started = Instant::now();
    for nth in 0..2000 {
        let header = json!({"alg": "ES256", "kid": format!("invented-{nth}")}).to_string();
        let invented = after.signed("ES256", &header, &claims().to_string());
        assert_eq!(verdict(&*plugin, &invented), Err(RejectCode::AuthInvalidToken));
    }
    let allowed = 2 + usize::try_from(started.elapsed().as_secs() / 10).unwrap() + 1;
    assert!(count.load(Ordering::SeqCst) <= allowed, "{} of {allowed}", count.load(Ordering::SeqCst));
}

#[test]
fn a_reload_keeps_the_keys() {
    let issuer = Issuer::new();
    let (address, count) = server(vec![set_of(&issuer), answer("503 Service Unavailable", "")]);
    let ports = ports();
    let first = plugin(address, 3600, &ports);
    let token = issuer.token("ES256", &claims());
    until("the keys are there", || verdict(&*first, &token) == accepted("ann"));
    let second = plugin(address, 3600, &ports);
    assert_eq!(verdict(&*second, &token), accepted("ann"), "at once");
    until("it has asked itself", || count.load(Ordering::SeqCst) >= 2);
    assert_eq!(verdict(&*second, &token), accepted("ann"), "and had no answer");
    // Elsewhere are other keys.
    let (elsewhere, _) = server(vec![answer("503 Service Unavailable", "")]);
    let third = plugin(elsewhere, 3600, &ports);
    assert_eq!(verdict(&*third, &token), Err(RejectCode::UpstreamUnavailable));
}

#[test]
fn a_file_is_read_again() {
    let (issuer, stranger) = (Issuer::new(), Issuer::stranger());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, issuer.key_set().to_string()).unwrap();
    let table = format!(
        "issuer = {ISSUER:?}\naudience = \"tollgate\"\nalgorithms = [\"ES256\"]\njwks_file = {path:?}\njwks_refresh_s = 1"
    );
    let plugin = build(table.parse().unwrap(), &ports()).unwrap();
    let (own, other) = (issuer.token("ES256", &claims()), stranger.token("ES256", &claims()));
    assert_eq!(verdict(&*plugin, &own), accepted("ann"));
    std::fs::write(folder.path().join("next"), stranger.key_set().to_string()).unwrap();
    std::fs::rename(folder.path().join("next"), &path).unwrap();
    until("the new keys are there", || verdict(&*plugin, &other) == accepted("ann"));
    assert_eq!(verdict(&*plugin, &own), Err(RejectCode::AuthInvalidToken));
}

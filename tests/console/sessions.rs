//! Signing in and out.

use crate::stage::{PASSWORD, Stage, person, setup};
use crate::support::console::{Visitor, first_admin};
use crate::support::gateway::Gateway;
use crate::support::until;
use rusqlite::Connection;
use serde_json::json;

#[tokio::test]
async fn the_first_start_makes_an_admin_whose_password_is_shown_once() {
    let (_provider, setup) = setup().await;
    let mut gateway = Gateway::start(&setup).await;
    let (name, password) = first_admin(&gateway);
    assert_eq!((&*name, password.len()), ("admin", 32));
    let admin = Visitor::sign_in(gateway.address, &name, &password).await;
    let shown = admin.get("/session").await.ok();
    assert_eq!(shown["person"]["role"], "admin");
    gateway.stop().await;
    gateway.serve().await;
    let said = gateway.said();
    assert_eq!((said.matches("shown this once").count(), said.matches(&password).count()), (1, 1), "{said}");
    // The session is in the store.
    assert_eq!(admin.get("/users").await.ok()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(admin.get("/session").await.status, 200);
}

#[tokio::test]
async fn a_session_is_new_with_each_sign_in_and_ends_with_the_sign_out() {
    let stage = Stage::start().await;
    let mut visitor = stage.user.clone();
    let first = visitor.clone();
    let told = visitor.begin("user", PASSWORD).await;
    let cookie = told.answer.field("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.ends_with("; Path=/console; HttpOnly; SameSite=Strict"), "{cookie}");
    assert_ne!(visitor.session, first.session);
    assert_eq!(first.get("/session").await.status, 401, "the one before has ended");
    // Whoever plants a session in a browser does not know the one that is used.
    let mut planted = Visitor { address: visitor.address, session: Some("0".repeat(64)) };
    planted.begin("user", PASSWORD).await.ok();
    assert_ne!(planted.session, Some("0".repeat(64)));
    let left = visitor.clone();
    let told = visitor.delete("/session").await;
    assert_eq!(told.status, 204);
    visitor.take(&told);
    assert_eq!(visitor.session, None, "the browser forgets it");
    assert_eq!(left.get("/session").await.status, 401, "and so does the gateway");
    assert_eq!(planted.get("/session").await.status, 200, "another of the same person goes on");
}

#[tokio::test]
async fn a_page_that_was_made_for_somebody_else_is_told_and_does_nothing() {
    let stage = Stage::start().await;
    let id_of = async |visitor: &Visitor| visitor.get("/session").await.ok()["person"]["id"].clone().to_string();
    let (admin, user) = (id_of(&stage.admin).await, id_of(&stage.user).await);
    // The browser has the admin's session by now; the page was the user's.
    let new = json!({"name": "made-elsewhere"});
    let of_page = |method, path, body, ids: &[&str]| {
        let request = stage.admin.request(method, path, body);
        ids.iter().fold(request, |request, id| request.field("x-tollgate-person", id))
    };
    for ids in [&[&*user][..], &["somebody"], &[""], &[&admin, &user]] {
        for (method, path, body) in [
            ("POST", "/keys", Some(&new)),
            ("GET", "/users", None),
            ("GET", "/session", None),
            ("DELETE", "/session", None),
        ] {
            let told = stage.admin.send(&of_page(method, path, body, ids)).await;
            assert_eq!((told.status, told.code()), (401, "UNAUTHENTICATED"), "{method} {path} {ids:?}");
        }
    }
    assert_eq!(stage.admin.get("/keys").await.ok()["items"], json!([]), "nothing was made");
    assert_eq!(stage.admin.send(&of_page("POST", "/keys", Some(&new), &[&admin])).await.status, 201);
}

#[tokio::test]
async fn the_cookie_is_for_https_alone_where_the_browser_came_by_it() {
    let (provider, setup) = setup().await;
    for (trusted, proto, is_secure) in
        [("[\"127.0.0.0/8\"]", "https", true), ("[\"127.0.0.0/8\"]", "http", false), ("[]", "https", false)]
    {
        let gateway = Gateway::start(&setup.clone().set("server.trusted_proxies", trusted)).await;
        let (name, password) = first_admin(&gateway);
        let stranger = Visitor::stranger(gateway.address);
        let body = json!({"name": name, "password": password});
        let request = stranger.request("POST", "/session", Some(&body)).field("x-forwarded-proto", proto);
        let told = stranger.send(&request).await;
        let cookie = told.answer.field("set-cookie").expect("a cookie");
        assert_eq!(cookie.contains("; Secure"), is_secure, "{trusted} {proto}: {cookie}");
        // Browsers take one with this prefix from here alone, and for this host alone.
        assert_eq!(cookie.starts_with("__Host-"), is_secure, "{cookie}");
        assert!(!is_secure || cookie.contains("; Path=/;"), "{cookie}");
    }
    drop(provider);
}

#[tokio::test]
async fn another_password_ends_all_sessions_but_the_one_that_changed_it() {
    let stage = Stage::start().await;
    let elsewhere = Visitor::sign_in(stage.gateway.address, "user", PASSWORD).await;
    let mut here = stage.user.clone();
    for (current, new, field) in [("wrong", "another password", "current"), (PASSWORD, "short", "new")] {
        let told = here.put("/session/password", &json!({"current": current, "new": new})).await;
        assert_eq!((told.code(), &told.body["error"]["field"]), ("INVALID", &json!(field)));
    }
    assert_eq!(elsewhere.get("/session").await.status, 200, "nothing has changed so far");
    let told = here.put("/session/password", &json!({"current": PASSWORD, "new": "another password"})).await;
    assert_eq!(told.status, 204);
    here.take(&told);
    assert_eq!(here.get("/session").await.status, 200);
    assert_eq!(stage.user.get("/session").await.status, 401, "it is another session");
    assert_eq!(elsewhere.get("/session").await.status, 401);
    assert_eq!(Visitor::stranger(stage.gateway.address).begin("user", PASSWORD).await.status, 401);
    Visitor::sign_in(stage.gateway.address, "user", "another password").await;
}

#[tokio::test]
async fn whoever_is_disabled_demoted_or_deleted_is_so_at_once() {
    let stage = Stage::start().await;
    let id = person(&stage.admin, "boss", "admin", None).await;
    let boss = Visitor::sign_in(stage.gateway.address, "boss", PASSWORD).await;
    let path = format!("/users/{id}");
    assert_eq!(boss.get("/users").await.status, 200);
    stage.admin.patch(&path, &json!({"role": "operator"})).await.ok();
    assert_eq!(boss.get("/users").await.code(), "FORBIDDEN");
    assert_eq!(boss.get("/groups").await.status, 200);
    stage.admin.patch(&path, &json!({"enabled": false})).await.ok();
    assert_eq!(boss.get("/groups").await.code(), "UNAUTHENTICATED");
    assert_eq!(Visitor::stranger(stage.gateway.address).begin("boss", PASSWORD).await.status, 401);
    stage.admin.patch(&path, &json!({"enabled": true})).await.ok();
    assert_eq!(boss.get("/groups").await.status, 401, "the session has ended for good");
    let boss = Visitor::sign_in(stage.gateway.address, "boss", PASSWORD).await;
    stage.admin.patch(&path, &json!({"password": "set by an admin"})).await.ok();
    assert_eq!(boss.get("/groups").await.status, 401);
    let boss = Visitor::sign_in(stage.gateway.address, "boss", "set by an admin").await;
    assert_eq!(stage.admin.delete(&path).await.status, 204);
    assert_eq!(boss.get("/groups").await.status, 401);
    assert_eq!(Visitor::stranger(stage.gateway.address).begin("boss", "set by an admin").await.status, 401);
}

const HOUR_MS: i64 = 3_600_000;

/// Sets the clock of every session: what was used now was used so long ago, and begun.
fn sessions_are_older(stage: &Stage, used_ms: i64, begun_ms: i64) {
    let store = Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
    let sql = "UPDATE session SET used_at_ms = used_at_ms - ?, created_at_ms = created_at_ms - ?";
    store.execute(sql, [used_ms, begun_ms]).expect("sessions");
}

#[tokio::test]
async fn a_session_that_was_used_while_the_clock_was_ahead_ends_as_any_other() {
    let stage = Stage::start().await;
    // Put right by an hour: whoever is there goes on, from now.
    sessions_are_older(&stage, -HOUR_MS, -HOUR_MS);
    assert_eq!(stage.user.get("/session").await.status, 200);
    until("the use is noted as of now", || {
        let store = Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
        let sql = "SELECT count(*) FROM session WHERE used_at_ms > created_at_ms - 60000";
        let ahead: i64 = store.query_row(sql, [], |row| row.get(0)).expect("sessions");
        (ahead == 2).then_some(())
    })
    .await;
    // As far ahead as it may be unused: nobody knows how long ago it was.
    sessions_are_older(&stage, -300 * 24 * HOUR_MS, 0);
    assert_eq!(stage.user.get("/session").await.code(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_session_ends_30_days_after_the_sign_in_however_it_is_used() {
    let stage = Stage::start().await;
    sessions_are_older(&stage, 0, 30 * 24 * HOUR_MS - HOUR_MS);
    assert_eq!(stage.user.get("/session").await.status, 200);
    sessions_are_older(&stage, 0, 2 * HOUR_MS);
    assert_eq!(stage.user.get("/session").await.code(), "UNAUTHENTICATED");
    let begun = Visitor::sign_in(stage.gateway.address, "user", PASSWORD).await;
    assert_eq!(begun.get("/session").await.status, 200);
}

#[tokio::test]
async fn a_cookie_that_a_neighbour_planted_is_not_taken_for_the_session() {
    let (provider, setup) = setup().await;
    let stage = Stage::with(provider, &setup.set("server.trusted_proxies", "[\"127.0.0.0/8\"]")).await;
    let stranger = Visitor::stranger(stage.gateway.address);
    let real = stage.user.session.clone().expect("signed in");
    let other = stage.operator.session.clone().expect("signed in");
    let whose = async |cookie: &str, proto: &str| {
        let request = stranger.request("GET", "/session", None).field("cookie", cookie);
        let told = stranger.send(&request.field("x-forwarded-proto", proto)).await;
        told.body["person"]["name"].as_str().map(str::to_owned)
    };
    let user = Some("user".to_owned());
    // By HTTP anything may stand beside it.
    for cookie in [
        format!("tollgate_session=junk; tollgate_session={real}"),
        format!("tollgate_session={real}; tollgate_session=junk"),
        format!("tollgate_session=; tollgate_session={}; a=b; tollgate_session={real}", "0".repeat(64)),
    ] {
        assert_eq!(whose(&cookie, "http").await, user, "{cookie}");
    }
    let crowd = "tollgate_session=junk; ".repeat(1_000);
    assert_eq!(
        whose(&format!("{crowd}tollgate_session={real}"), "http").await,
        None,
        "not all of any number are tried"
    );
    // By HTTPS it has a name that browsers let nobody else set.
    let host = |value: &str| format!("__Host-tollgate_session={value}");
    assert_eq!(whose(&host(&real), "https").await, user);
    assert_eq!(whose(&format!("tollgate_session={other}; {}", host(&real)), "https").await, user);
    assert_eq!(whose(&format!("tollgate_session={other}"), "https").await, None);
    // Who signs in ends every session that the browser shows.
    let body = json!({"name": "user", "password": PASSWORD});
    let planted = format!("tollgate_session=junk; tollgate_session={real}; tollgate_session={other}");
    let request = stranger.request("POST", "/session", Some(&body)).field("cookie", &planted);
    assert_eq!(stranger.send(&request).await.status, 200);
    assert_eq!((stage.user.get("/session").await.status, stage.operator.get("/session").await.status), (401, 401));
}

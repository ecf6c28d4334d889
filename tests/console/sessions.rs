//! Signing in and out.

use crate::stage::{PASSWORD, Stage, person, setup};
use crate::support::console::{Visitor, first_admin};
use crate::support::gateway::Gateway;
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

//! How often a password may be tried, and what is seen of that.

use crate::stage::{PASSWORD, Stage, items, setup};
use crate::support::console::{Told, Visitor};
use crate::support::until;
use futures::future::join_all;
use serde_json::json;

/// A stage whose visitors come from where `x-forwarded-for` says.
async fn stage() -> Stage {
    let (provider, setup) = setup().await;
    Stage::with(provider, &setup.set("server.trusted_proxies", "[\"127.0.0.0/8\"]")).await
}

async fn attempt(stage: &Stage, name: &str, password: &str, from: &str) -> Told {
    let stranger = Visitor::stranger(stage.gateway.address);
    let body = json!({"name": name, "password": password});
    stranger.send(&stranger.request("POST", "/session", Some(&body)).field("x-forwarded-for", from)).await
}

/// So many wrong ones from each of these networks, at once: how many were tried.
async fn wrong_ones(stage: &Stage, name: &str, each: usize, networks: impl Iterator<Item = String>) -> usize {
    let from: Vec<String> = networks.flat_map(|network| vec![network; each]).collect();
    let told = join_all(from.iter().map(|from| attempt(stage, name, "wrong", from))).await;
    assert!(told.iter().all(|told| matches!(told.status, 401 | 429)), "{told:?}");
    told.iter().filter(|told| told.status == 401).count()
}

#[tokio::test]
async fn whoever_guesses_at_one_place_keeps_nobody_out_at_another() {
    let stage = stage().await;
    // Somebody whom there is not looks the same.
    for name in ["user", "nobody"] {
        assert_eq!(wrong_ones(&stage, name, 30, ["10.0.0.1".into()].into_iter()).await, 10, "{name}");
        let told = attempt(&stage, name, PASSWORD, "10.0.0.1").await;
        assert_eq!((told.status, told.code()), (429, "TOO_MANY"), "{name}, with the right password, too");
        let wait_s: u64 = told.answer.field("retry-after").expect("when to come again").parse().expect("seconds");
        assert!((1..=900).contains(&wait_s), "{wait_s}");
    }
    assert_eq!(attempt(&stage, "user", PASSWORD, "10.0.0.2").await.status, 200, "from elsewhere");
    assert_eq!(attempt(&stage, "operator", PASSWORD, "10.0.0.1").await.status, 200, "others there");
    // For whomever, from one network.
    let at_once = join_all((0..40).map(|nth| {
        let (stage, name, from) = (&stage, format!("guess{nth}"), format!("2001:db8::{nth:x}"));
        async move { attempt(stage, &name, "wrong", &from).await.status }
    }));
    assert_eq!(at_once.await.iter().filter(|status| **status == 401).count(), 30);
    assert_eq!(attempt(&stage, "operator", PASSWORD, "2001:db8::ffff").await.status, 429);
    assert_eq!(attempt(&stage, "operator", PASSWORD, "2001:db8:0:1::").await.status, 200);
}

#[tokio::test]
async fn a_name_that_is_guessed_at_from_everywhere_is_let_in_where_it_was_before() {
    let stage = stage().await;
    assert_eq!(attempt(&stage, "user", PASSWORD, "10.1.0.1").await.status, 200);
    assert_eq!(wrong_ones(&stage, "user", 9, (1..=15).map(|nth| format!("10.2.0.{nth}"))).await, 100);
    assert_eq!(attempt(&stage, "user", PASSWORD, "10.3.0.1").await.status, 429, "from somewhere new");
    assert_eq!(attempt(&stage, "user", PASSWORD, "10.1.0.1").await.status, 200, "from where they signed in before");
    assert_eq!(wrong_ones(&stage, "user", 12, ["10.1.0.1".into()].into_iter()).await, 10, "which is no leave to guess");
    // Who is signed in is concerned by none of that, and may not guess either.
    let mut user = stage.user.clone();
    let change = async |user: &Visitor, current: &str| {
        user.put("/session/password", &json!({"current": current, "new": "another password"})).await
    };
    let told = change(&user, PASSWORD).await;
    assert_eq!(told.status, 204, "{}", told.body);
    user.take(&told);
    for _ in 0..10 {
        assert_eq!(change(&user, "wrong").await.code(), "INVALID");
    }
    assert_eq!(change(&user, "another password").await.code(), "TOO_MANY");
    // The lock-out stands in the audit, once.
    let audit = stage.admin.get("/audit?limit=1000").await.ok();
    let locked: Vec<_> = items(&audit).iter().filter(|row| row["action"] == "session.locked").collect();
    assert_eq!(locked.len(), 1, "{audit}");
    let users = stage.admin.get("/users").await.ok();
    let id = items(&users).iter().find(|one| one["name"] == "user").expect("there")["id"].clone();
    assert_eq!((&locked[0]["actor"], &locked[0]["object"]), (&json!("tollgate serve"), &json!(format!("person {id}"))));
}

#[tokio::test]
async fn names_of_any_length_are_remembered_in_a_few_bytes() {
    let stage = stage().await;
    let resident = async || stage.gateway.metric("process_resident_memory_bytes", &[]).await / 1048576.0;
    for batch in 0..2 {
        for nth in 0..10 {
            let name = format!("{batch}-{nth}-{}", "x".repeat(1_000_000));
            assert_eq!(attempt(&stage, &name, "wrong", &format!("10.4.{batch}.{nth}")).await.status, 401);
        }
    }
    let before = resident().await;
    for nth in 0..50 {
        let name = format!("{nth}-{}", "x".repeat(1_000_000));
        assert_eq!(attempt(&stage, &name, "wrong", &format!("10.5.0.{nth}")).await.status, 401);
    }
    let grown = resident().await - before;
    assert!(grown < 20.0, "50 names of 1 MB each: {grown} MiB more, of {before}");
}

#[tokio::test]
async fn what_fails_is_logged_and_counted_and_who_goes_is_in_the_audit() {
    let stage = stage().await;
    let forged = "mallory\n2026-01-01 INFO forged \u{202e}\u{1b}[31m".to_owned() + &"y".repeat(200_000);
    assert_eq!(attempt(&stage, "user", "wrong one", "10.6.0.1").await.status, 401);
    assert_eq!(attempt(&stage, &forged, "wrong one", "10.6.0.2").await.status, 401);
    assert_eq!(wrong_ones(&stage, "user", 20, ["10.6.0.3".into()].into_iter()).await, 10);
    assert_eq!(
        stage.operator.put("/session/password", &json!({"current": "wrong one", "new": "12345678"})).await.status,
        400
    );
    assert_eq!(stage.operator.delete("/session").await.status, 204);
    assert_eq!(stage.operator.delete("/session").await.status, 401);
    let counted = async |asked_for: &str, result: &str| {
        let labels = [format!("asked_for=\"{asked_for}\""), format!("result=\"{result}\"")];
        stage.gateway.metric("tollgate_console_passwords_total", &[&labels[0], &labels[1]]).await
    };
    assert_eq!(counted("sign_in", "right").await, 3.0, "whom the test has signed in");
    assert_eq!(counted("sign_in", "wrong").await, 12.0);
    assert_eq!(counted("sign_in", "too_many").await, 10.0);
    assert_eq!(counted("password_change", "wrong").await, 1.0);
    let page = stage.gateway.metrics().await;
    assert!(page.contains("tollgate_console_passwords_total{asked_for=\"password_change\",result=\"too_many\"} 0"));
    let said = until("all of it is logged", || {
        let said = stage.gateway.logged();
        said.contains("signed out").then_some(said)
    })
    .await;
    let lines = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines("console: a wrong password for \"user\" from 10.6.0.1"), 1, "{said}");
    assert_eq!(lines("console: a wrong password for \"user\" from 10.6.0.3"), 10, "{said}");
    assert_eq!(
        lines("no more passwords are accepted for \"user\" from 10.6.0.3"),
        1,
        "once, not for each that is refused: {said}"
    );
    assert_eq!(
        lines("console: a wrong password for \"mallory\\n2026-01-01 INFO forged \\u{202e}\\u{1b}[31myyy"),
        1,
        "{said}"
    );
    assert_eq!(lines("a wrong password for \"operator\" of somebody who is signed in"), 1, "{said}");
    assert_eq!(lines("console: \"operator\" has signed out"), 1, "{said}");
    assert!(said.lines().all(|line| line.len() < 1_000) && !said.contains("wrong one"), "{said}");
    let audit = stage.admin.get("/audit?limit=1000").await.ok();
    let ended: Vec<_> = items(&audit).iter().filter(|row| row["action"] == "session.end").collect();
    assert_eq!(ended.len(), 1, "{audit}");
    assert_eq!(ended[0]["actor"], "operator");
}

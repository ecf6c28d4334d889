//! A store that cannot be written: what needs only to be read is answered, at once.

use crate::stage::{Stage, setup};
use crate::support::PATIENCE;
use rusqlite::Connection;
use serde_json::json;
use std::time::{Duration, Instant};

/// The store, and everybody's last use so long ago that the next one is to be noted.
fn database(stage: &Stage) -> Connection {
    let database = Connection::open(stage.gateway.path("data/tollgate.db")).expect("the store");
    database.execute("UPDATE session SET used_at_ms = used_at_ms - 600000", []).expect("sessions");
    database
}

fn used_at_ms(database: &Connection) -> i64 {
    database.query_row("SELECT max(used_at_ms) FROM session", [], |row| row.get(0)).expect("sessions")
}

#[tokio::test]
async fn who_is_signed_in_reads_on_while_the_store_is_locked() {
    let stage = Stage::start().await;
    let database = database(&stage);
    let before = used_at_ms(&database);
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let pages = ["/session", "/users", "/keys", "/logs", "/upstreams", "/audit", "/metrics/summary", "/usage?by=key"];
    for page in pages {
        // The lock is waited for for 5 s, by whoever waits for it.
        let started = Instant::now();
        assert_eq!(stage.admin.get(page).await.status, 200, "{page}");
        assert!(started.elapsed() < Duration::from_secs(3), "{page}: {:?}", started.elapsed());
    }
    assert_eq!(used_at_ms(&database), before);
    database.execute_batch("ROLLBACK").expect("unlocked");
    let started = Instant::now();
    while used_at_ms(&database) < before + 500_000 {
        assert!(started.elapsed() < PATIENCE, "the use is never noted");
        assert_eq!(stage.admin.get("/session").await.status, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_reload_that_cannot_be_noted_is_not_made() {
    let (provider, setup) = setup().await;
    let stage = Stage::with(provider, &setup).await;
    let database = database(&stage);
    let reloads = async || stage.gateway.metric("tollgate_reloads_total", &[]).await;
    let before = reloads().await;
    database.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    assert_eq!(stage.operator.post("/reload", &json!({})).await.code(), "UNAVAILABLE");
    assert_eq!(reloads().await, before);
    database.execute_batch("ROLLBACK").expect("unlocked");
    assert_eq!(stage.operator.post("/reload", &json!({})).await.ok()["status"], "reloaded");
    assert_eq!(reloads().await, before + 1.0);
}

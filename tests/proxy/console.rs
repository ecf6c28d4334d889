//! `[console]`: whether and where the console is. What it does is tested by itself (`tests/console`).

use super::calls::Wire;
use super::calls::serving;
use crate::support::client::{self, Request};
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Setup, free_address};
use crate::support::provider::Provider;
use crate::support::until;
use rusqlite::Connection;

async fn setup() -> Setup {
    let provider = Provider::always(Wire::Chat.whole("x")).await;
    Setup::new([Wire::Chat.upstream("u", &provider)])
}

async fn status(gateway: &Gateway, target: &str) -> u16 {
    gateway.send(&Request::get(target)).await.status
}

#[tokio::test]
async fn console_enabled_is_whether_it_is_there_and_changes_live() {
    let setup = setup().await;
    let (gateway, _key) = serving(&setup).await;
    assert_eq!(status(&gateway, "/console").await, 200);
    assert_eq!(status(&gateway, "/console/api/session").await, 401);
    let off = setup.set("console.enabled", "false");
    gateway.write("tollgate.toml", &off.config(gateway.address, gateway.metrics_address));
    until("the reload", || gateway.logged().contains("are in force").then_some(())).await;
    assert_eq!(status(&gateway, "/console").await, 404);
    assert_eq!(status(&gateway, "/console/api/session").await, 404);
}

#[tokio::test]
async fn console_listen_is_the_one_place_where_it_is() {
    let own = free_address();
    let setup = setup().await.set("console.listen", &format!("\"{own}\""));
    let (gateway, key) = serving(&setup).await;
    let at = async |address, target: &str| client::send(address, &Request::get(target)).await.status;
    assert_eq!(at(gateway.address, "/console").await, 404);
    assert_eq!(at(own, "/console").await, 200);
    assert_eq!(at(own, "/console/api/session").await, 401);
    let models = Request::get("/v1/models").key(&key.key);
    assert_eq!(client::send(own, &models).await.status, 404, "it has nothing else");
    assert_eq!(client::send(gateway.address, &models).await.status, 200);
    assert_eq!(at(own, "/v1/health").await, 200);
    assert!(gateway.said().contains(&format!("Console: http://{own}/console")), "{}", gateway.said());
}

#[tokio::test]
async fn a_session_ends_that_is_not_used_for_session_hours() {
    let setup = setup().await.set("console.session_hours", "2");
    let (gateway, _key) = serving(&setup).await;
    let admin = Visitor::admin(&gateway).await;
    let store = Connection::open(gateway.path("data/tollgate.db")).expect("the store");
    let used_at_ms = || {
        let sql = "SELECT used_at_ms FROM session";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a session")
    };
    let unused_for = |hours: i64, minutes: i64| {
        let ms = (hours * 60 + minutes) * 60_000;
        store.execute("UPDATE session SET used_at_ms = used_at_ms - ?", [ms]).expect("a session");
    };
    for _ in 0..2 {
        unused_for(1, 50);
        let before_ms = used_at_ms();
        assert_eq!(admin.get("/session").await.status, 200);
        until("that was a use", || (used_at_ms() > before_ms).then_some(())).await;
    }
    unused_for(2, 1);
    assert_eq!(admin.get("/session").await.code(), "UNAUTHENTICATED");
}

//! Codes that are worth quota, once.

use crate::stage::{PASSWORD, Stage, items, number, person};
use crate::support::console::Visitor;
use serde_json::{Value, json};

async fn codes(admin: &Visitor, new: &Value) -> Vec<String> {
    let made = admin.post("/codes", new).await.ok();
    let codes = made["codes"].as_array().expect("codes").iter();
    codes.map(|code| code.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn a_code_is_worth_its_amount_once() {
    let stage = Stage::start().await;
    for name in ["ann", "bob"] {
        person(&stage.admin, name, "user", Some(100)).await;
    }
    let ann = Visitor::sign_in(stage.gateway.address, "ann", PASSWORD).await;
    let bob = Visitor::sign_in(stage.gateway.address, "bob", PASSWORD).await;
    let made = codes(&stage.admin, &json!({"amount_nanos": 7, "count": 3})).await;
    assert_eq!(made.len(), 3);
    let redeem = async |visitor: &Visitor, code: &str| visitor.post("/codes/redeem", &json!({"code": code})).await;
    let told = redeem(&ann, &made[0]).await.ok();
    assert_eq!(told, json!({"amount_nanos": 7, "quota_nanos": 107}));
    for visitor in [&ann, &bob] {
        assert_eq!(redeem(visitor, &made[0]).await.code(), "CONFLICT");
    }
    assert_eq!(redeem(&bob, "tg-nothing").await.code(), "NOT_FOUND");
    let budget = json!({"amount_nanos": 100, "period": "daily", "time_zone": "UTC"});
    let new = json!({"name": "cas", "role": "user", "password": PASSWORD, "budget": budget});
    stage.admin.post("/users", &new).await.ok();
    let cas = Visitor::sign_in(stage.gateway.address, "cas", PASSWORD).await;
    for (visitor, why) in [(&stage.user, "nothing limits what"), (&cas, "has a budget and no quota")] {
        let told = redeem(visitor, &made[1]).await;
        assert_eq!(told.code(), "CONFLICT", "there is nothing to add to");
        let said = told.body["error"]["message"].as_str().expect("a text");
        assert!(said.contains(why), "{said}");
    }
    // Whoever tries it many times at once has it once.
    let at_once = futures::future::join_all((0..10).map(async |_| redeem(&bob, &made[1]).await.status)).await;
    assert_eq!(at_once.iter().filter(|status| **status == 200).count(), 1, "{at_once:?}");
    assert_eq!(bob.get("/session").await.ok()["person"]["quota_nanos"], 107);
    let listed = stage.admin.get("/codes").await.ok();
    let by: Vec<&Value> = items(&listed).iter().map(|code| &code["redeemed_by"]).collect();
    assert_eq!(by, [&json!("ann"), &json!("bob"), &Value::Null]);
    // One that was redeemed is history.
    let ids: Vec<i64> = items(&listed).iter().map(|code| number(&code["id"])).collect();
    assert_eq!(stage.admin.delete(&format!("/codes/{}", ids[0])).await.code(), "CONFLICT");
    assert_eq!(stage.admin.delete(&format!("/codes/{}", ids[2])).await.status, 204);
    assert_eq!(redeem(&ann, &made[2]).await.code(), "NOT_FOUND");
}

#[tokio::test]
async fn a_code_that_has_expired_is_worth_nothing() {
    let stage = Stage::start().await;
    person(&stage.admin, "ann", "user", Some(100)).await;
    let ann = Visitor::sign_in(stage.gateway.address, "ann", PASSWORD).await;
    for (expires_at, status) in [("2001-01-01T00:00:00Z", 404), ("2999-01-01T00:00:00+02:00", 200)] {
        let made = codes(&stage.admin, &json!({"amount_nanos": 7, "count": 1, "expires_at": expires_at})).await;
        assert_eq!(ann.post("/codes/redeem", &json!({"code": made[0]})).await.status, status, "{expires_at}");
    }
    for (body, field) in [
        (json!({"amount_nanos": 0, "count": 1}), "amount_nanos"),
        (json!({"amount_nanos": 1, "count": 0}), "count"),
        (json!({"amount_nanos": 1, "count": 1001}), "count"),
        (json!({"amount_nanos": 1, "count": 1, "expires_at": "tomorrow"}), "expires_at"),
    ] {
        let told = stage.admin.post("/codes", &body).await;
        assert_eq!((told.code(), &told.body["error"]["field"]), ("INVALID", &json!(field)), "{body}");
    }
}

//! People: what admins do with them.

use crate::stage::{PASSWORD, Stage, items, number, person};
use crate::support::console::{Visitor, first_admin};
use serde_json::json;

#[tokio::test]
async fn people_are_made_listed_changed_and_deleted() {
    let stage = Stage::start().await;
    let budget = json!({"amount_nanos": 5, "period": "weekly", "time_zone": "Europe/Berlin"});
    let new = json!({"name": "ann", "role": "user", "quota_nanos": 70, "budget": budget});
    let made = stage.admin.post("/users", &new).await.ok();
    let password = made["password"].as_str().expect("one that was made up");
    let user = &made["user"];
    assert_eq!((&user["name"], &user["role"], &user["enabled"]), (&json!("ann"), &json!("user"), &json!(true)));
    assert_eq!((&user["quota_nanos"], &user["spent_nanos"], &user["budget"]), (&json!(70), &json!(0), &budget));
    assert_eq!(user["last_login_at"], json!(null));
    let path = format!("/users/{}", user["id"]);
    let ann = Visitor::sign_in(stage.gateway.address, "ann", password).await;
    let own = ann.get("/session").await.ok();
    assert_eq!((&own["person"]["quota_nanos"], &own["person"]["budget"]), (&json!(70), &budget));
    assert!(stage.admin.get(&path).await.ok()["last_login_at"].is_string());
    let changed = stage.admin.patch(&path, &json!({"quota_nanos": null, "budget": null})).await.ok();
    assert_eq!((&changed["quota_nanos"], &changed["budget"]), (&json!(null), &json!(null)));
    assert_eq!(changed["role"], "user", "what is left out stays");
    let page = stage.admin.get("/users?limit=3").await.ok();
    assert_eq!(items(&page).len(), 3);
    let rest = stage.admin.get(&format!("/users?limit=3&cursor={}", page["next"])).await.ok();
    assert_eq!((items(&rest).len(), &rest["next"], &items(&rest)[0]["name"]), (1, &json!(null), &json!("ann")));
    let key = ann.post("/keys", &json!({"name": "ann's"})).await.ok();
    assert_eq!(stage.admin.delete(&path).await.status, 204);
    assert_eq!(stage.admin.get(&path).await.status, 404);
    assert_eq!(stage.admin.get(&format!("/keys/{}", key["key"]["id"])).await.status, 404, "keys go with them");
    let again = stage.admin.post("/users", &json!({"name": "ann", "role": "user"})).await;
    assert_eq!((again.status, again.code()), (409, "CONFLICT"), "nobody gets what was somebody else's");
}

#[tokio::test]
async fn a_lost_password_is_made_anew_on_the_command_line() {
    let stage = Stage::start().await;
    let (name, lost) = first_admin(&stage.gateway);
    let made = stage.gateway.run_json(&["user", "password", &name, "--json"]).remove(0);
    let password = made["password"].as_str().expect("one");
    assert_eq!(stage.admin.get("/session").await.status, 401, "sessions end");
    let mut visitor = Visitor::stranger(stage.gateway.address);
    assert_eq!(visitor.begin(&name, &lost).await.status, 401, "the old one is none any more");
    let admin = Visitor::sign_in(stage.gateway.address, &name, password).await;
    let audit = admin.get("/audit").await.ok();
    let row = items(&audit)
        .iter()
        .find(|row| row["actor"].as_str().is_some_and(|actor| actor.starts_with("tollgate user (")))
        .expect("a row");
    assert_eq!(row["action"], "person.change", "{row}");
}

#[tokio::test]
async fn what_is_not_acceptable_is_refused_and_named() {
    let stage = Stage::start().await;
    for (body, field) in [
        (json!({"name": "x", "role": "root"}), "role"),
        (json!({"name": "x", "role": "user", "password": "short"}), "password"),
        (json!({"name": "x", "role": "user", "quota_nanos": -1}), "quota_nanos"),
        (json!({"name": "x", "role": "user", "quota_nanos": 1.5}), "quota_nanos"),
        (json!({"name": "x", "role": "user", "id": 1}), "id"),
        (json!({"name": "x", "role": "user", "spent_nanos": 0}), "spent_nanos"),
        (
            json!({"name": "x", "role": "user", "budget": {"amount_nanos": 1, "period": "daily", "time_zone": "Moon/Base"}}),
            "budget.time_zone",
        ),
        (
            json!({"name": "x", "role": "user", "budget": {"amount_nanos": 1, "period": "hourly", "time_zone": "UTC"}}),
            "budget.period",
        ),
        (json!({"name": "x", "role": "user", "budget": {"amount_nanos": 1, "period": "daily"}}), "budget.time_zone"),
        (json!({"role": "user"}), "name"),
    ] {
        let told = stage.admin.post("/users", &body).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{body}");
        assert_eq!(told.body["error"]["field"], field, "{body}: {}", told.body);
    }
    for name in ["", "a\nb", &"n".repeat(129)] {
        let told = stage.admin.post("/users", &json!({"name": name, "role": "user"})).await;
        assert_eq!((told.status, told.code()), (400, "INVALID"), "{name:?}");
    }
    let taken = stage.admin.post("/users", &json!({"name": "user", "role": "user"})).await;
    assert_eq!((taken.status, &taken.body["error"]["field"]), (409, &json!("name")));
    assert_eq!(items(&stage.admin.get("/users").await.ok()).len(), 3, "nothing came of any of it");
}

#[tokio::test]
async fn there_is_always_an_admin_left() {
    let stage = Stage::start().await;
    let (name, _) = first_admin(&stage.gateway);
    let users = stage.admin.get("/users").await.ok();
    let id = items(&users).iter().find(|user| user["name"] == json!(name)).map(|user| number(&user["id"]));
    let path = format!("/users/{}", id.expect("the admin"));
    for change in [json!({"role": "operator"}), json!({"enabled": false})] {
        assert_eq!(stage.admin.patch(&path, &change).await.code(), "CONFLICT", "{change}");
    }
    assert_eq!(stage.admin.delete(&path).await.code(), "CONFLICT");
    assert_eq!(stage.admin.get("/users").await.status, 200);
    person(&stage.admin, "second", "admin", None).await;
    stage.admin.patch(&path, &json!({"role": "operator"})).await.ok();
    assert_eq!(stage.admin.get("/users").await.code(), "FORBIDDEN");
    Visitor::sign_in(stage.gateway.address, "second", PASSWORD).await.get("/users").await.ok();
}

#[tokio::test]
async fn a_quota_grows_by_what_is_topped_up() {
    let stage = Stage::start().await;
    let id = person(&stage.admin, "ann", "user", Some(100)).await;
    let path = format!("/users/{id}/topup");
    let told = stage.admin.post(&path, &json!({"amount_nanos": 50, "note": "paid"})).await.ok();
    assert_eq!(told["quota_nanos"], 150);
    for (amount, code) in [(0, "INVALID"), (-151, "CONFLICT"), (i64::MAX, "CONFLICT")] {
        assert_eq!(stage.admin.post(&path, &json!({"amount_nanos": amount})).await.code(), code, "{amount}");
    }
    assert_eq!(stage.admin.post("/users/999/topup", &json!({"amount_nanos": 1})).await.status, 404);
    let unlimited = person(&stage.admin, "rich", "user", None).await;
    let told = stage.admin.post(&format!("/users/{unlimited}/topup"), &json!({"amount_nanos": 1})).await;
    assert_eq!(told.code(), "CONFLICT", "nothing limits them: there is nothing to add to");
    let at_once =
        futures::future::join_all((0..10).map(async |_| stage.admin.post(&path, &json!({"amount_nanos": 1})).await));
    assert!(at_once.await.iter().all(|told| told.status == 200));
    assert_eq!(stage.admin.get(&format!("/users/{id}")).await.ok()["quota_nanos"], 160);
}

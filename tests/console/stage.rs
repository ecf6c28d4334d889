//! A gateway with somebody of each role.

use crate::support::answers;
use crate::support::client::Request;
use crate::support::console::Visitor;
use crate::support::gateway::{Gateway, Setup, Upstream};
use crate::support::provider::Provider;
use serde_json::{Value, json};

/// The secret that every test's gateway has for those who ask for a reload.
pub(crate) const RELOAD_SECRET: &str = "reload-secret-0123456789";
/// The password of everybody but the first admin.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A gateway that runs, and who uses its console.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) admin: Visitor,
    pub(crate) operator: Visitor,
    pub(crate) user: Visitor,
    /// What is behind the gateway, while the test runs.
    _provider: Provider,
}

/// An upstream at this provider.
pub(crate) fn upstream_at(name: &str, provider: &Provider) -> Upstream {
    Upstream::new(name, "openai", provider.url("/v1"))
}

/// A call with this credential.
pub(crate) fn chat(key: &str) -> Request {
    let body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "Say something."}]});
    Request::post("/v1/chat/completions", &body).key(key)
}

/// One upstream `u`, in the groups `default` and `other`.
pub(crate) async fn setup() -> (Provider, Setup) {
    let provider = Provider::always(answers::chat("x", 10, 5)).await;
    let upstream = upstream_at("u", &provider).with("groups = [\"default\", \"other\"]");
    let secret = format!("\"{RELOAD_SECRET}\"");
    (provider, Setup::new([upstream]).set("server.reload_secret", &secret))
}

/// Makes a person; returns their id.
pub(crate) async fn person(admin: &Visitor, name: &str, role: &str, quota_nanos: Option<i64>) -> i64 {
    let new = json!({"name": name, "role": role, "password": PASSWORD, "quota_nanos": quota_nanos});
    let made = admin.post("/users", &new).await.ok();
    made["user"]["id"].as_i64().expect("an id")
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let (provider, setup) = setup().await;
        Self::with(provider, &setup).await
    }

    pub(crate) async fn with(provider: Provider, setup: &Setup) -> Self {
        let gateway = Gateway::start(setup).await;
        let admin = Visitor::admin(&gateway).await;
        for role in ["operator", "user"] {
            person(&admin, role, role, None).await;
        }
        let operator = Visitor::sign_in(gateway.address, "operator", PASSWORD).await;
        let user = Visitor::sign_in(gateway.address, "user", PASSWORD).await;
        Self { gateway, admin, operator, user, _provider: provider }
    }

    /// One more person, signed in.
    pub(crate) async fn visitor(&self, name: &str, role: &str) -> Visitor {
        person(&self.admin, name, role, None).await;
        Visitor::sign_in(self.gateway.address, name, PASSWORD).await
    }
}

/// A number in a document.
pub(crate) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The items of a listing.
pub(crate) fn items(value: &Value) -> &[Value] {
    value["items"].as_array().unwrap_or_else(|| panic!("no listing: {value}"))
}

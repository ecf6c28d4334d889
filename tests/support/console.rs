//! Somebody at the console: a session, and what a browser sends beside it.

use super::client::{self, Answer, Body, Request};
use super::gateway::Gateway;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The cookie's name.
pub(crate) const COOKIE: &str = "tollgate_session";

/// Somebody at the console of a gateway; signed in, or not yet.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    /// The session's secret.
    pub(crate) session: Option<String>,
}

/// What the console answered.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// `null`: it was no JSON.
    pub(crate) body: Value,
    pub(crate) answer: Answer,
}

impl Told {
    /// `error.code`.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The body of an answer that must be one.
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.answer.text());
        self.body
    }
}

/// The name and the password that the gateway has shown at its first start.
pub(crate) fn first_admin(gateway: &Gateway) -> (String, String) {
    let said = gateway.said();
    let line = said.lines().find_map(|line| line.trim().strip_prefix("name ")).expect("it was shown");
    let (name, password) = line.split_once(", password ").expect("both");
    (name.to_owned(), password.to_owned())
}

impl Visitor {
    /// Somebody whom nobody knows.
    pub(crate) fn stranger(address: SocketAddr) -> Self {
        Self { address, session: None }
    }

    /// Somebody with this password, signed in.
    pub(crate) async fn sign_in(address: SocketAddr, name: &str, password: &str) -> Self {
        let mut visitor = Self::stranger(address);
        let told = visitor.begin(name, password).await;
        assert_eq!(told.status, 200, "{}", told.answer.text());
        visitor
    }

    /// The admin of the first start.
    pub(crate) async fn admin(gateway: &Gateway) -> Self {
        let (name, password) = first_admin(gateway);
        Self::sign_in(gateway.address, &name, &password).await
    }

    /// Tries to sign in.
    pub(crate) async fn begin(&mut self, name: &str, password: &str) -> Told {
        let told = self.post("/session", &json!({"name": name, "password": password})).await;
        self.take(&told);
        told
    }

    /// Takes over what an answer says of the session.
    pub(crate) fn take(&mut self, told: &Told) {
        if let Some(cookie) = told.answer.field("set-cookie") {
            let value = cookie.strip_prefix(&format!("{COOKIE}=")).and_then(|rest| rest.split(';').next());
            self.session = value.filter(|value| !value.is_empty()).map(str::to_owned);
        }
    }

    /// A request as the page makes it. `path` is below `/console/api`.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let mut request = Request::new(method, &format!("/console/api{path}"));
        if method != "GET" {
            request = request.field("origin", "http://gateway.test");
        }
        if let Some(session) = &self.session {
            request = request.field("cookie", &format!("{COOKIE}={session}"));
        }
        match body {
            Some(body) => request.field("content-type", "application/json").body(Body::Length(body.to_string().into())),
            None => request,
        }
    }

    /// Sends a request, whatever it is.
    pub(crate) async fn send(&self, request: &Request) -> Told {
        let answer = client::send(self.address, request).await;
        let body = serde_json::from_slice(&answer.body()).unwrap_or_default();
        Told { status: answer.status, body, answer }
    }

    /// The same for one that the page makes.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Told {
        self.send(&self.request(method, path, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Told {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Told {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Told {
        self.ask("PATCH", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Told {
        self.ask("PUT", path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Told {
        self.ask("DELETE", path, None).await
    }
}

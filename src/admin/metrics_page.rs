//! `GET /metrics` (or HEAD) on its own listener, with the health pages beside it: probes need not speak the clients' TLS.

use crate::proxy::Shared;
use async_trait::async_trait;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::apps::http_app::{HttpServer, ServeHttp};
use pingora::protocols::http::ServerSession;
use std::sync::Arc;
use tollgate_plugin_api::answer_fields;
use uuid::Uuid;

/// Prometheus' text format, version 0.0.4.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What may be done with the pages.
const ALLOW: &str = "GET, HEAD";

/// Serves the metrics of one gateway.
pub struct MetricsPage {
    shared: Arc<Shared>,
}

impl MetricsPage {
    /// As an application for a Pingora service.
    pub fn app(shared: Arc<Shared>) -> HttpServer<Self> {
        HttpServer::new_app(Self { shared })
    }

    fn page(&self, method: &Method, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        if *method != Method::GET && *method != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, CONTENT_TYPE, b"these pages can only be read\n".to_vec());
        }
        if let Some(health) = self.shared.health_page(path) {
            return (health.status, "application/json", health.body.into());
        }
        if path != "/metrics" {
            return (StatusCode::NOT_FOUND, CONTENT_TYPE, b"the metrics are at /metrics\n".to_vec());
        }
        self.shared.refresh_gauges();
        match self.shared.metrics.text() {
            Ok(text) => (StatusCode::OK, CONTENT_TYPE, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, CONTENT_TYPE, error.to_string().into_bytes()),
        }
    }
}

#[async_trait]
impl ServeHttp for MetricsPage {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (status, content_type, body) = self.page(&request.method, request.uri.path());
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        // As every answer has one; these stand in no ledger.
        if let Ok(id) = HeaderValue::try_from(Uuid::now_v7().to_string()) {
            response.headers_mut().insert(answer_fields::REQUEST_ID, id);
        }
        let length = response.body().len();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(ALLOW));
        }
        response
    }
}

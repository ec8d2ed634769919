//! What operators' tools ask for: is it alive, does it take work, what does it count.

use super::problem::Problem;
use super::router::App;
use crate::metrics;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// `/healthz`: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `/readyz`: it takes new participants, which it stops to do when it goes down.
pub(super) async fn readyz(State(app): State<App>) -> Response {
    if app.stopping() {
        let message = "the server is shutting down";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message).into_response()
    } else {
        "ready\n".into_response()
    }
}

/// `/metrics`, in the text format of Prometheus.
pub(super) async fn prometheus() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render()).into_response()
}

//! All routes, and what surrounds each of them: counting, a time limit, foreign origins.

use super::problem::Problem;
use super::recordings::Recordings;
use super::sampler::Sampler;
use super::{api, cors, health, pages, recordings, secure, signalling, snapshot, websocket};
use crate::bridge::Bridge;
use crate::room::{InvalidName, Name, Rooms};
use crate::server::conference::Conference;
use crate::server::tls::Tls;
use crate::server::{rtmp, webrtc};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use metrics::{SharedString, counter, histogram};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the handlers lean on. Cloning gives another handle to the same.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub(super) rooms: Rooms,
    pub(super) bridge: Bridge,
    pub(super) webrtc: webrtc::Server,
    pub(super) conference: Conference,
    pub(super) players: rtmp::Players,
    pub(super) sampler: Sampler,
    pub(super) started: Instant,
    pub(super) rtmp_port: u16,
    pub(super) https_port: Option<u16>,
    /// The recordings, if they may be browsed.
    pub(super) recordings: Option<Recordings>,
    /// Whether whoever asks may start and stop recordings.
    pub(super) record_control: bool,
    pub(super) tls: Option<Tls>,
    /// Cancelled when the server begins to go down.
    pub(super) stop: CancellationToken,
}

/// The room and the participant of an address.
pub(super) struct StreamPath {
    pub(super) room: Name,
    pub(super) participant: Name,
}

impl App {
    pub(super) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Whether the server goes down.
    pub(super) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl std::ops::Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Everything that is served.
pub(super) fn router(app: App, allowed: cors::Allowed, request_timeout: Duration) -> Router {
    Router::new()
        .route("/whip/{room}/{participant}", post(signalling::publish).options(signalling::options))
        .route("/whep/{room}/{participant}", post(signalling::play).options(signalling::options))
        .route(
            "/session/{id}",
            patch(signalling::trickle).delete(signalling::close).options(signalling::session_options),
        )
        .route("/api/v1/server", get(api::server))
        .route("/api/v1/rooms", get(api::rooms))
        .route("/api/v1/rooms/{room}", get(api::room))
        .route("/api/v1/rooms/{room}/{participant}/snapshot.jpg", get(snapshot::jpeg))
        .route("/api/v1/rooms/{room}/{participant}/snapshot.png", get(snapshot::png))
        .route("/api/v1/rooms/{room}/recording", post(recordings::record))
        .merge(recordings::routes())
        .route("/.well-known/acme-challenge/{token}", get(secure::acme_challenge))
        .route("/metrics", get(health::prometheus))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(pages::routes(app.recordings.is_some()))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(signalling::MAX_OFFER_LEN))
        .layer(middleware::from_fn_with_state(app.clone(), websocket::accept))
        .layer(middleware::from_fn_with_state(Arc::new(allowed), cors::guard))
        .layer(middleware::from_fn_with_state(request_timeout, limit_time))
        .layer(middleware::from_fn(count))
        .with_state(app)
}

async fn unknown(uri: Uri, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    if accepts.is_some_and(|kinds| kinds.contains("text/html")) {
        return pages::not_found();
    }
    Problem::not_found(format!("there is nothing at {}", uri.path())).into_response()
}

async fn wrong_method() -> Problem {
    let message = "this address does not take that method; Allow lists those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// Most answers are immediate; what takes longer is a client that does not send what it announced.
async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = "the request did not arrive in time (http.request_timeout)";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message).into_response()
        }
    }
}

async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The pattern and not the path, and only methods that are known: a client must not make up label values.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".into(), |path| SharedString::from(path.as_str().to_owned()));
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let mut response = next.run(request).await;
    let status = match response.status().as_u16() {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    // Of each route: what asks every few seconds would drown what people wait for.
    histogram!("commonroom_http_request_seconds", "route" => route.clone()).record(began.elapsed());
    counter!("commonroom_http_requests_total", "route" => route, "method" => method, "status" => status)
        .increment(1);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl<S: Send + Sync> FromRequestParts<S> for StreamPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((room, participant)) =
            path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        let name = |what: &str, text: &str| {
            text.parse().map_err(|error: InvalidName| {
                Problem::new(StatusCode::BAD_REQUEST, "invalid_name", format!("{what}: {error}"))
            })
        };
        Ok(Self { room: name("room", &room)?, participant: name("participant", &participant)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::CONTENT_TYPE;

    #[tokio::test]
    async fn nothing_is_said_in_the_language_of_who_asks() {
        for (accepts, kind) in [
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), "text/html; charset=utf-8"),
            (Some("application/json"), "application/json"),
            (None, "application/json"),
        ] {
            let headers =
                accepts.map(|kinds| (ACCEPT, HeaderValue::from_static(kinds))).into_iter().collect();
            let response = unknown(Uri::from_static("/nowhere"), headers).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
        }
    }
}

//! Which foreign pages may speak to this server (Fetch standard, "CORS protocol").
//!
//! A page of the same origin always may, one of `http.allowed_origins` too. For any other the browser is given no
//! permission to read, and what would change something is refused here as well. Recordings are for origins that are listed by name,
//! whatever `"*"` lets in, and are served under known names alone.

use super::hosts::Hosts;
use super::listener::Place;
use super::{problem::Problem, websocket};
use crate::config::Origins;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// How long a browser may remember a permission, in seconds.
const MAX_AGE: &str = "600";
const METHODS: &str = "GET, POST, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match";
/// What WHIP and WHEP clients must be able to read.
const RESPONSE_HEADERS: &str = "Location, ETag, Link, Accept-Patch";

/// Who may.
pub(super) struct Allowed {
    pub(super) origins: Origins,
    pub(super) hosts: Hosts,
}

/// The middleware.
pub(super) async fn guard(State(allowed): State<Arc<Allowed>>, request: Request, next: Next) -> Response {
    let Allowed { origins, hosts } = &*allowed;
    let is_recorded = is_of_recordings(&request);
    if is_recorded && let Some(host) = unknown_host(hosts, &request) {
        let message = format!(
            "this server is not known as {host:?}, under which recordings are not served; its operator can list http://NAME or \
             https://NAME in http.allowed_origins"
        );
        return Problem::new(StatusCode::FORBIDDEN, "unknown_host", message).into_response();
    }
    let Some(origin) = request.headers().get(ORIGIN).cloned() else {
        return next.run(request).await;
    };
    if is_same(&origin, request.headers()) {
        return next.run(request).await;
    }
    let permitted = origin
        .to_str()
        .is_ok_and(|origin| if is_recorded { origins.list(origin) } else { origins.allow(origin) });
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    // The same-origin policy does not keep a page from what comes by WebSocket.
    let is_safe = request.method().is_safe() && !websocket::is_wanted(request.headers());
    let mut response = if permitted && is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else if permitted || (is_safe && !is_preflight) {
        next.run(request).await
    } else {
        Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "pages of this origin may not use this server; its operator can list the origin in http.allowed_origins",
        )
        .into_response()
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if permitted {
        let value = if origins.any() && !is_recorded { HeaderValue::from_static("*") } else { origin };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    }
    if permitted && is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
    response
}

/// Whether it is about recordings: these are not for everybody whose pages may use the rooms.
fn is_of_recordings(request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| {
        let path = path.as_str();
        path.starts_with("/api/v1/recordings")
            || path.starts_with("/client/records/")
            || path == "/api/v1/rooms/{room}/recording"
    })
}

/// The name that a browser was given for this server, if it is none of its own.
fn unknown_host(hosts: &Hosts, request: &Request) -> Option<String> {
    let is_secure = request.extensions().get::<Place>().is_some_and(Place::is_secure);
    let host = request.headers().get(HOST).filter(|_| !is_secure)?;
    let is_known = host.to_str().is_ok_and(|host| hosts.know(host));
    (!is_known).then(|| String::from_utf8_lossy(host.as_bytes()).into_owned())
}

/// Whether a page came from this server: its origin names the host that the request was sent to. The scheme is left out,
/// as a proxy may speak TLS for us.
fn is_same(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    origin.zip(host).is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_host_and_port_is_the_same_origin() {
        let same = |origin: &'static str, host: &'static str| {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            is_same(&HeaderValue::from_static(origin), &headers)
        };
        assert!(same("http://a.example:8080", "A.example:8080"));
        assert!(same("https://a.example", "a.example"));
        assert!(!same("http://a.example", "a.example:8080"));
        assert!(!same("null", "a.example"));
        assert!(!is_same(&HeaderValue::from_static("http://a"), &HeaderMap::new()));
    }
}

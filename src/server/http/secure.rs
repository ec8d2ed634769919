//! What has to do with TLS in HTTP itself: the way from plain HTTP to it, and an ACME authority's question.

use super::problem::Problem;
use super::router::App;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// For those who speak plain HTTP to the port of TLS: a person who has left out the `s`, mostly.
pub(super) fn router() -> Router {
    Router::new().fallback(redirect)
}

async fn redirect(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    match host.filter(|_| method == Method::GET || method == Method::HEAD) {
        Some(host) => {
            let location =
                format!("https://{host}{}", uri.path_and_query().map_or("/", |path| path.as_str()));
            let text = format!("This port speaks HTTPS: {location}\n");
            let headers = [(LOCATION, location), (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned())];
            (StatusCode::TEMPORARY_REDIRECT, headers, text).into_response()
        }
        None => {
            let message = "this port speaks HTTPS: write https:// in place of http://";
            Problem::new(StatusCode::BAD_REQUEST, "tls_required", message).into_response()
        }
    }
}

/// An authority asks whether this server answers for a name (RFC 8555, section 8.3).
pub(super) async fn acme_challenge(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let answer = app.tls.as_ref().and_then(|tls| tls.http_challenge(&token));
    let answer = answer.ok_or_else(|| Problem::not_found("no ACME authority is expected with this token"))?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], answer).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[tokio::test]
    async fn who_left_out_the_s_is_shown_the_way() {
        let ask = async |method: Method, host: Option<&'static str>| {
            let headers = host.map(|host| (HOST, HeaderValue::from_static(host))).into_iter().collect();
            redirect(method, Uri::from_static("/r/a?b=c"), headers).await
        };
        let response = ask(Method::GET, Some("room.example:8443")).await;
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers()[LOCATION], "https://room.example:8443/r/a?b=c");
        for (method, host) in
            [(Method::POST, Some("room.example")), (Method::GET, None), (Method::GET, Some("a b/c"))]
        {
            assert_eq!(ask(method, host).await.status(), StatusCode::BAD_REQUEST);
        }
    }
}

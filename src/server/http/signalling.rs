//! WHIP (RFC 9725) and WHEP: an offer comes by POST, its answer is the response, the session has an address of its own
//! for DELETE and for trickled candidates.

use super::problem::Problem;
use super::router::{App, StreamPath};
use crate::protocol::whip::{MAX_FRAGMENT_LEN, Patch, SDP, SDP_FRAGMENT};
use crate::room::{Protocol, Refusal};
use crate::server::webrtc::{Answer, Options, SessionId, SignallingError};
use crate::time::NtpTime;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode, request};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::time::SystemTime;

/// The longest offer, in bytes.
pub(super) const MAX_OFFER_LEN: usize = 64 * 1024;

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// POST of a WHIP offer.
pub(super) async fn publish(
    State(app): State<App>,
    path: StreamPath,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let offer = text(&headers, body, SDP, MAX_OFFER_LEN)?;
    #[expect(clippy::disallowed_methods, reason = "the publication's wall-clock anchor, read once")]
    let origin = NtpTime::from(SystemTime::now());
    let publication = app.rooms.reserve(path.room, path.participant, Protocol::Whip, origin)?;
    Ok(created(app.webrtc.publish(publication, &offer, &Options::default())?))
}

/// POST of a WHEP offer.
pub(super) async fn play(
    State(app): State<App>,
    path: StreamPath,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let offer = text(&headers, body, SDP, MAX_OFFER_LEN)?;
    let stream = match app.rooms.watch(&path.room, path.participant.as_str(), None) {
        Ok(stream) => stream,
        Err(Refusal::UnknownStream) => {
            let message = format!("{}/{} is not being published", path.room, path.participant);
            return Err(Problem::new(StatusCode::NOT_FOUND, "no_stream", message));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    Ok(created(app.webrtc.play(stream, &offer, &Options::default())?))
}

/// OPTIONS of an endpoint (RFC 9725, section 4.2), outside of CORS.
pub(super) async fn options(_: StreamPath) -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, "POST, OPTIONS"), (ACCEPT_POST, SDP)]).into_response()
}

/// OPTIONS of a session.
pub(super) async fn session_options() -> Response {
    (StatusCode::NO_CONTENT, [(ALLOW, "PATCH, DELETE, OPTIONS"), (ACCEPT_PATCH, SDP_FRAGMENT)])
        .into_response()
}

/// PATCH of a session: trickled candidates (RFC 9725, section 4.3).
pub(super) async fn trickle(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let etag = app.webrtc.etag(&session.0).ok_or(SignallingError::NoSession)?;
    let if_match = headers.get(IF_MATCH).map(|value| value.to_str().unwrap_or_default());
    let fragment = text(&headers, body, SDP_FRAGMENT, MAX_FRAGMENT_LEN)?;
    match Patch::new(if_match, &etag) {
        Patch::Trickle => {
            app.webrtc.trickle(&session.0, &fragment)?;
            Ok((StatusCode::NO_CONTENT, [(ETAG, etag)]).into_response())
        }
        Patch::Restart => Err(SignallingError::IceRestart.into()),
        Patch::Mismatch => {
            let message = "If-Match names another ICE session than the one that runs";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "etag_mismatch", message))
        }
    }
}

/// DELETE of a session. Some clients take an empty body for a failure.
pub(super) async fn close(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    if app.webrtc.close(&session.0) {
        Ok(Json(json!({ "message": "the session has ended" })).into_response())
    } else {
        Err(SignallingError::NoSession.into())
    }
}

/// The session that an address names, which may be none.
pub(super) struct Session(SessionId);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        Ok(Self(SessionId::from_client(&id)))
    }
}

fn created(answer: Answer) -> Response {
    let headers = [
        (CONTENT_TYPE, SDP.to_owned()),
        (LOCATION, format!("/session/{}", answer.session.as_str())),
        (ETAG, answer.etag),
        (ACCEPT_PATCH, SDP_FRAGMENT.to_owned()),
    ];
    (StatusCode::CREATED, headers, answer.sdp).into_response()
}

/// The body as text, if it is of the right kind and not too long.
fn text(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    kind: &str,
    limit: usize,
) -> Result<String, Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(kind) {
        let message = format!("Content-Type must be {kind}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let is_too_large = match &body {
        Ok(bytes) => bytes.len() > limit,
        Err(rejection) => rejection.status() == StatusCode::PAYLOAD_TOO_LARGE,
    };
    if is_too_large {
        let message = format!("the body is longer than {limit} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
    }
    let bytes = body.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    String::from_utf8(bytes.into()).map_err(|_| Problem::bad_request("the body is not UTF-8 text"))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::LoginInUse { .. } | Refusal::StreamNameInUse(_) => (StatusCode::CONFLICT, "in_use"),
            Refusal::Locked(_) | Refusal::Kicked(_) | Refusal::NotSpeaker => {
                (StatusCode::FORBIDDEN, refusal.as_str())
            }
            Refusal::UnknownStream => (StatusCode::NOT_FOUND, "no_stream"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<SignallingError> for Problem {
    fn from(error: SignallingError) -> Self {
        let (status, code) = match &error {
            SignallingError::Offer(_) => (StatusCode::BAD_REQUEST, "bad_offer"),
            SignallingError::Fragment(_) => (StatusCode::BAD_REQUEST, "bad_fragment"),
            SignallingError::IceRestart => (StatusCode::UNPROCESSABLE_ENTITY, "no_ice_restart"),
            SignallingError::NoCommonCodec(_) => (StatusCode::NOT_ACCEPTABLE, "no_common_codec"),
            SignallingError::NoSession => (StatusCode::NOT_FOUND, "no_session"),
            SignallingError::TooManySessions(_) | SignallingError::NoAddress => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

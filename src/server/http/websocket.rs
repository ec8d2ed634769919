//! The room API over WebSocket (RFC 6455): one connection is one user's [`Session`].
//!
//! A WebSocket is accepted on any path, as the SDK opens exactly the address that it is given. Browsers say which page asks
//! (`Origin`), which `cors` has checked; other programs do not, and may come.

use super::listener::Place;
use super::problem::Problem;
use super::router::App;
use crate::protocol::room_api::{ClientMessage, MAX_MESSAGE_LEN, Unreadable};
use crate::room::Protocol;
use crate::server::conference::{Close, Output, Session};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::UPGRADE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite;
use tracing::debug;

/// A client that takes nothing of what it is sent for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A message that takes so long to be sent has kept the client from being heard.
const SLOW: Duration = Duration::from_secs(1);
/// How long the client has to answer a goodbye.
const FAREWELL: Duration = Duration::from_millis(400);
/// The longest reason of a close frame, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// Codes of our own, from the range for private use.
mod code {
    pub(super) const TAKEN_OVER: u16 = 4001;
    pub(super) const TOO_SLOW: u16 = 4002;
    pub(super) const KICKED: u16 = 4003;
    pub(super) const ENDED: u16 = 4004;
    pub(super) const SILENT: u16 = 4005;
    pub(super) const NOT_INTRODUCED: u16 = 4006;
}

/// Whether a request wants to become a WebSocket.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The middleware: requests for a WebSocket go no further, whatever their path.
pub(super) async fn accept(State(app): State<App>, request: Request, next: Next) -> Response {
    if !is_wanted(request.headers()) {
        return next.run(request).await;
    }
    let (mut parts, _) = request.into_parts();
    let Some(place) = parts.extensions.remove::<Place>() else {
        return Problem::bad_request("WebSockets need a connection of their own").into_response();
    };
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.max_message_size(MAX_MESSAGE_LEN).max_frame_size(MAX_MESSAGE_LEN).on_upgrade(
            move |socket| async move {
                // So that the server's end waits for it, as for all connections.
                let tracked = place.tasks().clone();
                tracked.track_future(converse(socket, app, place)).await;
            },
        ),
        Err(rejection) => rejection.into_response(),
    }
}

/// How a conversation ends.
enum End {
    /// The client has closed.
    Left,
    /// Its connection is lost.
    Lost,
    /// We close, for this reason.
    Close(u16, String),
}

async fn converse(mut socket: WebSocket, app: App, place: Place) {
    let mut session = Session::new(app.conference.clone(), Protocol::WebSocket, place.peer());
    let mut in_use = false;
    let end = loop {
        // Who is in no room and plays nothing is an idle connection like any other.
        if in_use != session.is_in_use() {
            in_use = !in_use;
            if in_use { place.keep() } else { place.idle() }
        }
        tokio::select! {
            () = place.lost() => break End::Close(close_code::AGAIN, "no room for idle connections".to_owned()),
            output = session.next() => match output {
                Output::Say(message) => {
                    let began = Instant::now();
                    let sent = socket.send(Message::Text(message.to_json().into()));
                    if !matches!(timeout(WRITE_TIMEOUT, sent).await, Ok(Ok(()))) {
                        break End::Lost;
                    }
                    if began.elapsed() >= SLOW {
                        // It takes what it is sent, and what it says meanwhile has yet to be read.
                        session.alive();
                    }
                }
                // Its streams are the session's own, and ended with it.
                Output::Parted(_) => {}
                Output::Close(close) => break End::Close(code_of(&close), close.to_string()),
            },
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) => session.receive(&text),
                Some(Ok(Message::Binary(_))) => {
                    break End::Close(close_code::UNSUPPORTED, "messages are text frames".to_owned());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    session.handle(Ok(ClientMessage::Pong([None])));
                }
                Some(Ok(Message::Close(_))) => break End::Left,
                Some(Err(error)) => break unread(&error),
                None => break End::Lost,
            },
        }
    };
    match end {
        End::Left => {
            session.leave();
            // Our half of the goodbye.
            drop(timeout(FAREWELL, socket.recv()).await);
        }
        End::Lost => debug!(peer = %place.peer(), "WebSocket lost"),
        End::Close(code, mut reason) => {
            // Rooms need not wait for the goodbye.
            drop(session);
            // What the client sent may be part of it.
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            debug!(peer = %place.peer(), code, reason, "WebSocket closed");
            let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            let goodbye = async {
                if socket.send(close).await.is_ok() {
                    while let Some(Ok(_)) = socket.recv().await {}
                }
            };
            drop(timeout(FAREWELL, goodbye).await);
        }
    }
}

/// What to do about a frame that could not be read.
fn unread(error: &axum::Error) -> End {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = source {
        match error.downcast_ref() {
            Some(tungstenite::Error::Capacity(_)) => {
                return End::Close(close_code::SIZE, Unreadable::TooLong.to_string());
            }
            Some(tungstenite::Error::Utf8(_)) => {
                return End::Close(close_code::INVALID, "text is UTF-8".to_owned());
            }
            Some(tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => return End::Lost,
            Some(tungstenite::Error::Protocol(error)) => {
                return End::Close(close_code::PROTOCOL, error.to_string());
            }
            _ => source = error.source(),
        }
    }
    End::Lost
}

const fn code_of(close: &Close) -> u16 {
    match close {
        Close::Unreadable(Unreadable::TooLong) => close_code::SIZE,
        Close::Unreadable(_) => close_code::INVALID,
        Close::Flood => close_code::POLICY,
        Close::ShuttingDown => close_code::AWAY,
        Close::TakenOver => code::TAKEN_OVER,
        Close::TooSlow => code::TOO_SLOW,
        Close::Kicked => code::KICKED,
        Close::Ended => code::ENDED,
        Close::Silent => code::SILENT,
        Close::NotIntroduced => code::NOT_INTRODUCED,
    }
}

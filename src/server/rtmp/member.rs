//! Clients of the room API over RTMP, as Flash programs are: messages are remote calls, both ways.
//!
//! A client says who it is in an argument of `connect`, `{appKey, login}`, and is a member of its rooms from `join` on. What
//! it publishes and plays is RTMP, by the stream names that rooms tell.

use super::connection::Connection;
use super::counters::Counters;
use crate::protocol::amf0::Value;
use crate::protocol::room_api::{
    ClientMessage, Connection as Introduction, Fail, Info, MAX_MESSAGE_LEN, ServerMessage, Status, amf,
};
use crate::room::{Name, Protocol};
use crate::server::conference::{Close, Conference, Output, Session};
use std::future::pending;
use std::net::SocketAddr;
use tokio::time::Instant;
use tracing::debug;

/// The session of a client that has one.
#[derive(Default)]
pub(super) struct Member(Option<Session>);

impl Member {
    /// What the client is to be told next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Output {
        match &mut self.0 {
            Some(session) => session.next().await,
            None => pending().await,
        }
    }

    /// The session, if the client has one.
    pub(super) const fn session(&self) -> Option<&Session> {
        self.0.as_ref()
    }

    pub(super) fn is_in_rooms(&self) -> bool {
        self.0.as_ref().is_some_and(Session::is_in_rooms)
    }

    /// Something has come from the client.
    pub(super) fn heard(&mut self) {
        if let Some(session) = &mut self.0 {
            session.alive();
        }
    }

    /// Takes the client out of its rooms: because it has closed the connection, or because that is lost.
    pub(super) fn leave(&mut self, closed: bool) {
        if let Some(session) = self.0.take().filter(|_| closed) {
            session.leave();
        }
    }
}

impl Connection<'_> {
    /// A client that names a login in an argument of `connect` has a session from then on.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        conference: &Conference,
        remote: SocketAddr,
        arguments: &[Value],
    ) {
        let Some(introduction) = introduction(arguments) else { return };
        let mut session = Session::new(conference.clone(), Protocol::Flash, remote);
        session.introduced(introduction);
        self.member = Member(Some(session));
        self.session.attend(now.into_std());
        self.hear(now);
    }

    /// A call that is no matter of RTMP's own.
    pub(super) fn call(
        &mut self,
        now: Instant,
        name: &str,
        transaction: f64,
        arguments: &[Value],
        length: usize,
    ) {
        let Some(session) = &mut self.member.0 else { return };
        if length > MAX_MESSAGE_LEN {
            Counters::failed("call_too_long");
            return self.session.disconnect("a call is too long");
        }
        // Media travels by RTMP here, and the client is known already.
        if !matches!(name, "sendData" | "ping" | "pong") {
            return self.session.refuse_call(transaction, name);
        }
        session.handle(amf::read(name, arguments));
        if session.is_in_rooms() {
            self.place.keep();
        }
        self.hear(now);
    }

    /// Tells the client what is to be told at once.
    fn hear(&mut self, now: Instant) {
        while let Some(output) = self.member.0.as_mut().and_then(Session::poll) {
            self.tell(now, output);
        }
    }

    /// Tells the client something.
    pub(super) fn tell(&mut self, now: Instant, output: Output) {
        match output {
            Output::Say(message) => {
                let knows_additions = self.member.session().is_some_and(Session::knows_additions);
                if is_for_flash(&message, knows_additions) {
                    let (name, arguments) = amf::write(&message);
                    self.session.invoke(name, arguments);
                }
            }
            Output::Parted(room) => self.part(now, &room),
            Output::Close(Close::ShuttingDown) => self.session.shut_down(&Close::ShuttingDown.to_string()),
            Output::Close(close) => {
                debug!(reason = close.as_str(), "room session closed");
                let fail = Fail {
                    api_method: "ConnectionStatusEvent".to_owned(),
                    id: None,
                    status: Status::Failed,
                    info: Info::sentence(close.to_string()),
                };
                let (name, arguments) = amf::write(&ServerMessage::Fail((fail,)));
                self.session.invoke(name, arguments);
                self.session.disconnect(&close.to_string());
            }
        }
    }

    /// The client has left a room, or was put out: it watches no more there. What it publishes there the room ends.
    fn part(&mut self, now: Instant, room: &Name) {
        for id in self.streams.players_of(room.as_str()) {
            self.session.end_play(now.into_std(), id, "you are no longer in the room");
            self.close(now, id);
        }
        if self.streams.is_empty() && !self.member.is_in_rooms() {
            self.place.idle(now);
        }
    }
}

/// Who a client says it is: `login` stands in the argument itself, or within `custom` as over WebSocket.
fn introduction(arguments: &[Value]) -> Option<Introduction> {
    let said = arguments.iter().find(|value| value.as_object().is_some())?;
    let Ok(ClientMessage::Connection((mut introduction,))) =
        amf::read("connection", std::slice::from_ref(said))
    else {
        return None;
    };
    let text = |name: &str| said.as_object()?.text(name).map(str::to_owned);
    introduction.custom.login = introduction.custom.login.take().or_else(|| text("login"));
    introduction.custom.token = introduction.custom.token.take().or_else(|| text("token"));
    introduction.custom.login.is_some().then_some(*introduction)
}

/// Whether a client has a procedure for a message. Flash programs have four, and a call of another one is an error to them.
const fn is_for_flash(message: &ServerMessage, knows_additions: bool) -> bool {
    knows_additions
        || matches!(
            message,
            ServerMessage::Ping(_)
                | ServerMessage::DataStatus(_)
                | ServerMessage::OnData(_)
                | ServerMessage::Fail(_)
        )
}

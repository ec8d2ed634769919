//! One user's session: what it has, and how it is driven.

use super::Conference;
use super::alive::{Alive, Due};
use super::close::Close;
use super::quality;
use super::streams::Stream;
use super::talk::Seat;
use crate::protocol::room_api::{
    Ack, AckStatus, ClientMessage, Connection, Custom, DataStatus, Info, Label, Malformed, ServerDeclaration,
    ServerMessage, UserData, Word,
};
use crate::room::{Event, Events, Key, Name, Protocol, Rate};
use crate::server::webrtc::{Picture, Progress};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use metrics::{counter, gauge};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

/// Messages of a client a second, in the long run and at once. A page in a room of sixteen that leaves says some forty.
const MESSAGES_PER_SECOND: u32 = 50;
const MESSAGES_AT_ONCE: u32 = 300;
/// How often rooms are told that a member is alive.
const HEARD_INTERVAL: Duration = Duration::from_secs(1);
/// What a client said of its media providers is said back up to here.
const MAX_PROVIDERS: usize = 8;
/// Bytes. What a client says of itself is said back if it is no longer.
const MAX_REPEATED: usize = 256;
/// Of the room API's additions.
const VERSION: u32 = 1;

/// One user's session. Dropping it takes the user out of all rooms, as vanished.
pub struct Session {
    pub(super) conference: Conference,
    pub(super) protocol: Protocol,
    remote: SocketAddr,
    /// The line that all its playbacks share.
    pub(super) line: Arc<str>,
    pub(super) client: Option<Client>,
    /// When to look at how streams arrive, for those who want to know.
    pub(super) look_at: Option<Instant>,
    pub(super) seats: BTreeMap<Name, Seat>,
    pub(super) streams: HashMap<Label, Stream>,
    /// What rooms and streams will have to tell, one of each at a time.
    pub(super) news: FuturesUnordered<BoxFuture<'static, News>>,
    /// A picture is being taken: one at a time.
    pub(super) snapshot: bool,
    outbox: VecDeque<Output>,
    closing: Option<Close>,
    alive: Alive,
    rate: Rate,
    rooms_heard: Instant,
    serial: u64,
}

/// Who a session is.
pub(super) struct Client {
    /// Or what is wrong with what it calls itself.
    pub(super) login: Result<Name, String>,
    pub(super) key: Option<Key>,
    /// It knows the additions.
    pub(super) declared: bool,
}

/// What a session does.
#[derive(Debug)]
pub enum Output {
    /// The client is to be told something.
    Say(ServerMessage),
    /// The client is out of a room: what the transport plays of it ends.
    Parted(Name),
    /// The session is over. Nothing follows.
    Close(Close),
}

/// Something that happened elsewhere. The number tells whether it is still about the one that is there.
pub(super) enum News {
    /// In a room; `None`: its news have ended.
    Room { room: Name, serial: u64, event: Option<Arc<Event>>, events: Events },
    /// To a stream; `None`: nobody is left to say how it goes.
    Stream { id: Label, serial: u64, progress: Option<Progress>, watched: watch::Receiver<Progress> },
    /// To the picture of a playback; `None`: there will be no more of it.
    Picture { id: Label, serial: u64, picture: Option<Picture>, watched: watch::Receiver<Picture> },
    /// A picture that was asked for.
    Snapshot { id: Label, taken: Result<Bytes, String> },
    /// A stream that is to be played has its tracks.
    Settled { id: Label, serial: u64 },
}

impl Session {
    /// Of a client that is connected from `remote`.
    pub fn new(conference: Conference, protocol: Protocol, remote: SocketAddr) -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let now = Instant::now();
        gauge!("commonroom_room_sessions", "protocol" => protocol.as_str()).increment(1.0);
        Self {
            conference,
            protocol,
            remote,
            line: format!("session-{}", SESSIONS.fetch_add(1, Ordering::Relaxed)).into(),
            client: None,
            look_at: None,
            seats: BTreeMap::new(),
            streams: HashMap::new(),
            news: FuturesUnordered::new(),
            snapshot: false,
            outbox: VecDeque::new(),
            closing: None,
            alive: Alive::new(now),
            rate: Rate::new(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE),
            rooms_heard: now,
            serial: 0,
        }
    }

    /// Takes a text frame.
    pub fn receive(&mut self, text: &str) {
        match ClientMessage::parse(text) {
            Ok(message) => self.handle(message),
            Err(unreadable) => {
                count("unreadable");
                self.close(Close::Unreadable(unreadable));
            }
        }
    }

    /// Takes a message, or what could not be read of one.
    pub fn handle(&mut self, message: Result<ClientMessage, Malformed>) {
        let now = Instant::now();
        if self.closing.is_some() {
            return;
        }
        count(message.as_ref().map_or("malformed", ClientMessage::name));
        if !self.rate.take(now) {
            return self.close(Close::Flood);
        }
        self.heard(now);
        match message {
            Ok(message) => self.take(message),
            Err(malformed) => self.complain(malformed),
        }
    }

    /// The client has said goodbye: it leaves its rooms because it wants to.
    pub fn leave(mut self) {
        for seat in std::mem::take(&mut self.seats).into_values() {
            seat.membership.leave();
        }
    }

    /// What is to be done at once, if there is anything.
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.pop_front().or_else(|| self.closing.take().map(Output::Close))
    }

    /// Waits for what is to be done next. Cancel-safe.
    pub async fn next(&mut self) -> Output {
        loop {
            if let Some(output) = self.poll() {
                return output;
            }
            let (stop, deadline) = (self.conference.stop.clone(), self.deadline());
            tokio::select! {
                () = stop.cancelled() => self.close(Close::ShuttingDown),
                Some(news) = self.news.next(), if !self.news.is_empty() => self.hear(news),
                () = tokio::time::sleep_until(deadline) => self.wake(),
            }
        }
    }

    fn take(&mut self, message: ClientMessage) {
        match message {
            ClientMessage::Connection((connection,)) => self.introduce(*connection),
            ClientMessage::Ping(_) => self.say(ServerMessage::Pong([])),
            ClientMessage::Pong(_) => {}
            ClientMessage::SendData((data,)) => self.command(data),
            ClientMessage::PublishStream((offer,)) => self.publish(*offer),
            ClientMessage::PlayStream((offer,)) => self.play(*offer),
            ClientMessage::UnPublishStream((stream,)) | ClientMessage::StopStream((stream,)) => {
                self.stop(&stream.media_session_id, Info::StoppedByUser);
            }
            ClientMessage::SendStreamEvent((event,)) => self.stream_event(event),
            ClientMessage::AvailableStream((stream,)) => self.available(stream),
            ClientMessage::Snapshot((stream,)) => self.take_snapshot(stream),
            ClientMessage::AdaptStream((adapt,)) => self.adapt(&adapt),
            ClientMessage::Unknown(name) => debug!(name, "message of another kind"),
        }
    }

    /// Tells whoever waits for an answer to a message that cannot be read.
    fn complain(&mut self, malformed: Malformed) {
        debug!(%malformed, "malformed message");
        let sentence = malformed.to_string();
        if let Some(operation) = malformed.operation {
            self.acknowledge(operation, Err((Word::Malformed, sentence)));
        } else if let Some(id) = malformed.stream
            && matches!(malformed.message, "publishStream" | "playStream")
            && !self.streams.contains_key(&id)
        {
            self.refuse_stream(id, malformed.message == "publishStream", Info::sentence(sentence));
        }
    }

    fn introduce(&mut self, connection: Connection) {
        if self.client.is_some() {
            debug!("a second introduction");
            return;
        }
        self.alive.introduced();
        let Connection { app_key, mut media_providers, client_version, custom, commonroom } = connection;
        let login = custom.login.as_deref().unwrap_or_default();
        let client = Client {
            login: login.parse().map_err(|error| format!("login: {error}")),
            key: commonroom.as_ref().and_then(|said| said.key.as_ref()).map(|key| Key::new(key.as_str())),
            declared: commonroom.is_some_and(|said| said.version >= VERSION),
        };
        self.look_at = client.declared.then(|| Instant::now() + quality::INTERVAL);
        let declaration = client.declared.then(|| ServerDeclaration {
            version: VERSION,
            server: env!("CARGO_PKG_VERSION").to_owned(),
            rtmp_port: self.conference.rtmp_port,
            simulcast: true,
        });
        debug!(remote = %self.remote, login = ?client.login, declared = client.declared, "room session");
        self.client = Some(client);
        media_providers.truncate(MAX_PROVIDERS);
        media_providers.retain(|provider| provider.len() <= MAX_REPEATED);
        let repeated = |text: Option<String>| text.filter(|text| text.len() <= MAX_REPEATED);
        self.say(ServerMessage::GetUserData((UserData {
            auth_token: format!("/{}/commonroom", self.remote),
            status: "ESTABLISHED".to_owned(),
            app_key: repeated(app_key),
            media_providers,
            client_version: repeated(client_version),
            custom: Custom { login: repeated(custom.login), token: None },
            commonroom: declaration,
        },)));
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Room { room, serial, event, events } => self.room_news(room, serial, event, events),
            News::Stream { id, serial, progress, watched } => {
                self.stream_news(id, serial, progress, watched);
            }
            News::Picture { id, serial, picture, watched } => {
                self.picture_news(id, serial, picture, watched);
            }
            News::Snapshot { id, taken } => self.snapshot_taken(id, taken),
            News::Settled { id, serial } => self.settled(id, serial),
        }
    }

    fn deadline(&self) -> Instant {
        let deadline = self.alive.deadline();
        self.look_at.map_or(deadline, |at| at.min(deadline))
    }

    fn wake(&mut self) {
        let now = Instant::now();
        if self.look_at.is_some_and(|at| now >= at) {
            self.look(now);
        }
        match self.alive.due(now) {
            Some(Due::Ping) => self.say(ServerMessage::Ping([])),
            Some(Due::Silent) => self.close(Close::Silent),
            Some(Due::NotIntroduced) => self.close(Close::NotIntroduced),
            None => {}
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.alive.heard(now);
        if now >= self.rooms_heard + HEARD_INTERVAL {
            self.rooms_heard = now;
            self.seats.values().for_each(|seat| seat.membership.heard());
        }
    }

    pub(super) fn say(&mut self, message: ServerMessage) {
        self.outbox.push_back(Output::Say(message));
    }

    /// The client is out of a room, for whatever reason; its seat is taken away already.
    pub(super) fn part(&mut self, room: &Name, info: &Info) {
        self.stop_all_of(room, info);
        self.outbox.push_back(Output::Parted(room.clone()));
    }

    /// Whether the client knows the additions.
    pub(super) fn is_declared(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.declared)
    }

    /// The session ends once what is to be said has been said; the first reason counts.
    pub(super) fn close(&mut self, close: Close) {
        if self.closing.is_none() {
            counter!("commonroom_room_sessions_closed_total", "reason" => close.as_str()).increment(1);
            self.closing = Some(close);
        }
    }

    /// A number that no other seat or stream of this session has had.
    pub(super) const fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn acknowledge(&mut self, operation_id: Label, outcome: Result<Option<Ack>, (Word, String)>) {
        let (status, info, commonroom) = match outcome {
            Ok(ack) => (AckStatus::Accepted, None, ack),
            Err((error, sentence)) => {
                counter!("commonroom_room_refusals_total", "reason" => error.as_str()).increment(1);
                debug!(error = error.as_str(), sentence, "refused");
                (AckStatus::Failed, Some(sentence), Some(Ack::Refused { error }))
            }
        };
        let commonroom = commonroom.filter(|_| self.is_declared());
        self.say(ServerMessage::DataStatus((DataStatus { operation_id, status, info, commonroom },)));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        gauge!("commonroom_room_sessions", "protocol" => self.protocol.as_str()).decrement(1.0);
        self.end_streams();
    }
}

fn count(message: &'static str) {
    counter!("commonroom_room_messages_total", "message" => message).increment(1);
}

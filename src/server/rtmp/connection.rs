//! One client: its socket, its session, and what it publishes and plays.

use super::counters::{Counters, Rejected, error_kind};
use super::ingest::{self, Ingest, Notice};
use super::listener::Shared;
use super::member::Member;
use super::outbox::Outbox;
use super::socket::{Done, Socket};
use super::sockopt;
use super::streams::{Role, Streams};
use crate::media::Codec;
use crate::protocol::flv::{accepted_audio, accepted_video};
use crate::protocol::rtmp::{Code, Event, Output, ServerSession, SessionError, StreamId, Timeouts};
use crate::room::{Rate, Revocation};
use crate::server::conference::{Conference, Output as Told};
use crate::server::places::Place;
use crate::stream::{EndReason, StreamName};
use bytes::BytesMut;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, info};

/// How much room there is for a read.
const READ: usize = 64 << 10;
/// A client that asks for more answers than it takes is not read until it has taken what waits. Media does not count: a
/// slow player is to be heard all the same, and may publish besides.
const MAX_ANSWERS: usize = 256 << 10;
/// Requests to publish or to play: each may be news to a whole room.
const REQUESTS_PER_SECOND: u32 = 10;
const REQUESTS_AT_ONCE: u32 = 64;
/// How much each player's queue gives at a time, once all that it gave before is written.
const SLICE: usize = 64 << 10;
/// How long the last words may take to be sent, and then the client to close.
const CLOSING: Duration = Duration::from_secs(2);

/// While nobody watches a publisher it is read at this interval, or when this many bytes wait: one reading for many
/// messages instead of one each.
const UNWATCHED_INTERVAL: Duration = Duration::from_millis(100);
const UNWATCHED_BYTES: u32 = 48 << 10;
/// What the system may hold of a player's media before it goes on the wire.
const UNSENT: u32 = 128 << 10;
/// A client whose socket is closed already.
const UNKNOWN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
const SHUTTING_DOWN: &str = "the server is shutting down";

/// Serves a connection until it ends.
pub(super) async fn serve(shared: &Shared, conference: &Conference, mut socket: Socket, place: &Place) {
    let now = Instant::now();
    let timeouts = Timeouts {
        setup: shared.config.setup_timeout.0,
        idle: shared.config.idle_timeout.0,
        publisher: shared.config.publisher_timeout.0,
    };
    let mut connection = Connection {
        shared,
        conference,
        remote: socket.tcp().peer_addr().unwrap_or(UNKNOWN),
        place,
        session: ServerSession::new(now.into_std(), timeouts),
        streams: Streams::default(),
        member: Member::default(),
        app: String::new(),
        tc_url: String::new(),
        codecs: Vec::new(),
        input: BytesMut::new(),
        out: Outbox::default(),
        answers: 0,
        requests: Rate::new(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE),
        last_write: now,
        write_waited: false,
        look_at: None,
    };
    let end = connection.run(&mut socket).await;
    let kind = match &end {
        End::Closed => return debug!("closed"),
        End::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => return debug!("reset"),
        End::Io(_) => "io",
        End::Stalled => "stalled",
        End::Session(error) => error_kind(error),
    };
    Counters::failed(kind);
    info!(kind, reason = %end, "connection ended");
}

pub(super) struct Connection<'a> {
    pub(super) shared: &'a Shared,
    conference: &'a Conference,
    remote: SocketAddr,
    /// Kept while something is published or played, or a room has the client as a member.
    pub(super) place: &'a Place,
    pub(super) session: ServerSession,
    pub(super) streams: Streams,
    pub(super) member: Member,
    pub(super) app: String,
    pub(super) tc_url: String,
    /// The pictures that the client takes when it plays.
    pub(super) codecs: Vec<Codec>,
    input: BytesMut,
    out: Outbox,
    /// Bytes that answer the client, put into the outbox since that was last empty.
    answers: usize,
    /// To publish and to play.
    requests: Rate,
    /// When the client last took something, or had nothing to take.
    last_write: Instant,
    /// Whether what is to be written next waits for the client to take something.
    write_waited: bool,
    /// While reading is put off: when to look anyhow.
    look_at: Option<Instant>,
}

/// What a connection waits for.
enum Step {
    Stop,
    Exchanged(io::Result<Done>),
    /// The bus or a warning.
    Ready,
    /// The room.
    Told(Told),
    Timer,
}

/// Why a connection ended.
enum End {
    /// By either side, in an orderly way.
    Closed,
    Io(io::Error),
    /// The client took nothing for too long.
    Stalled,
    Session(SessionError),
}

impl Connection<'_> {
    async fn run(&mut self, socket: &mut Socket) -> End {
        let end = self.converse(socket).await;
        if let End::Session(error) = end {
            self.session.fail(error);
        }
        self.collect();
        // Names are free at once, however long the client takes over the last words.
        self.leave(&end);
        if !self.session.is_closing() {
            return end;
        }
        match tokio::time::timeout(CLOSING, self.say_farewell(socket)).await {
            Ok(Err(error)) => End::Io(error),
            Ok(Ok(())) | Err(_) => end,
        }
    }

    /// Until either side closes.
    async fn converse(&mut self, socket: &mut Socket) -> End {
        let mut stop = pin!(self.shared.stop.cancelled());
        let mut timer = pin!(tokio::time::sleep_until(self.deadline()));
        while !self.session.is_closing() {
            // Moving the timer costs more than letting it fire in vain now and then.
            if self.deadline() < timer.deadline() {
                timer.as_mut().reset(self.deadline());
            }
            if self.input.capacity() - self.input.len() < READ / 4 {
                self.input.reserve(READ);
            }
            let step = {
                let (slices, idle) = (self.out.slices(), self.out.is_empty());
                let input = (self.answers < MAX_ANSWERS).then_some(&mut self.input);
                // What a room tells waits there, and a member that takes too little of it is out.
                let is_told = self.out.len() < MAX_ANSWERS;
                tokio::select! {
                    biased;
                    () = &mut stop => Step::Stop,
                    done = socket.exchange(&slices, input, &mut self.write_waited) => Step::Exchanged(done),
                    told = self.member.next(), if is_told => Step::Told(told),
                    () = self.streams.ready(), if idle => Step::Ready,
                    () = &mut timer => Step::Timer,
                }
            };
            match step {
                Step::Stop => self.session.shut_down(SHUTTING_DOWN),
                Step::Exchanged(Err(error)) => return End::Io(error),
                Step::Exchanged(Ok(Done::Wrote(written))) => self.wrote(written),
                Step::Exchanged(Ok(Done::Read(0))) => return End::Closed,
                Step::Exchanged(Ok(Done::Read(read))) => {
                    self.shared.counters.received.increment(read as u64); // usize is at most 64 bits
                    self.member.heard();
                    let was_playing = self.streams.is_playing();
                    if let Err(error) = self.handle_input() {
                        return End::Session(error);
                    }
                    self.adapt_socket(socket.tcp(), was_playing);
                }
                Step::Ready => self.forward(),
                Step::Told(told) => {
                    self.tell(Instant::now(), told);
                    self.collect();
                }
                Step::Timer => {
                    let now = Instant::now();
                    if let Err(error) = self.session.handle_timeout(now.into_std()) {
                        return End::Session(error);
                    }
                    if !self.out.is_empty() && now >= self.last_write + self.shared.config.write_timeout.0 {
                        return End::Stalled;
                    }
                    if self.look_at.take_if(|at| now >= *at).is_some() {
                        // The system looks again at what waits; failing that, the next bytes to come will do.
                        let _ = sockopt::set_receive_low_water(socket.tcp(), 1);
                    }
                    self.collect();
                    timer.as_mut().reset(self.deadline());
                }
            }
        }
        End::Closed
    }

    /// The client is to hear why: what it still sends must be read, or the system drops our words with a reset.
    async fn say_farewell(&mut self, socket: &mut Socket) -> io::Result<()> {
        while !self.out.is_empty() {
            let slices = self.out.slices();
            let done = socket.exchange(&slices, None, &mut self.write_waited).await?;
            drop(slices);
            if let Done::Wrote(written) = done {
                self.wrote(written);
            }
        }
        socket.shutdown().await?;
        loop {
            self.input.clear();
            self.input.reserve(READ);
            if socket.exchange(&[], Some(&mut self.input), &mut self.write_waited).await? == Done::Read(0) {
                return Ok(());
            }
        }
    }

    fn deadline(&self) -> Instant {
        let session = Instant::from_std(self.session.poll_timeout());
        let stalled = (!self.out.is_empty()).then(|| self.last_write + self.shared.config.write_timeout.0);
        [stalled, self.look_at].into_iter().flatten().fold(session, Instant::min)
    }

    /// Sets the socket to what is happening on it, after a reading. All of it is for speed only, so failing is nothing.
    fn adapt_socket(&mut self, socket: &TcpStream, was_playing: bool) {
        if self.streams.is_empty() {
            // Clients that collect small messages wait for each acknowledgement before the next.
            drop(SockRef::from(socket).set_tcp_quickack(true));
        }
        if self.streams.is_unwatched() {
            let is_new = self.look_at.replace(Instant::now() + UNWATCHED_INTERVAL).is_none();
            if is_new {
                let _ = sockopt::set_receive_low_water(socket, UNWATCHED_BYTES);
            }
        } else if self.look_at.take().is_some() {
            let _ = sockopt::set_receive_low_water(socket, 1);
        }
        if self.streams.is_playing() && !was_playing {
            drop(sockopt::set_unsent_low_water(socket, UNSENT));
        }
    }

    fn handle_input(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        loop {
            let (result, waiting) =
                (self.session.handle_input(now.into_std(), &mut self.input), self.out.len());
            // What came before an error counts.
            let connected = self.collect_at(now);
            self.answers += self.out.len() - waiting;
            result?;
            if !connected {
                return Ok(());
            }
        }
    }

    /// Takes the session's output.
    fn collect(&mut self) {
        self.collect_at(Instant::now());
    }

    /// Says whether `connect` was answered, so that input may wait in the session.
    fn collect_at(&mut self, now: Instant) -> bool {
        let mut connected = false;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit(bytes) => {
                    if self.out.is_empty() {
                        self.last_write = now;
                    }
                    self.out.push(bytes);
                }
                Output::Event(event) => {
                    connected |= matches!(event, Event::Connect { .. });
                    self.handle_event(now, event);
                }
            }
        }
        connected
    }

    fn handle_event(&mut self, now: Instant, event: Event) {
        if self.session.is_closing() {
            // It was dismissed for something that it said before.
            return;
        }
        match event {
            Event::Connect { app, tc_url, properties, arguments } => {
                debug!(%app, %tc_url, "connect");
                (self.app, self.tc_url) = (app, tc_url);
                self.codecs = accepted_video(&properties);
                self.codecs.extend(accepted_audio(&properties));
                self.session.accept_connect();
                self.introduce(now, self.conference, self.remote, &arguments);
            }
            Event::Call { name, transaction, arguments, length } => {
                self.call(now, &name, transaction, &arguments, length);
            }
            Event::Publish { .. } | Event::Play { .. } if !self.requests.take(now) => {
                Counters::failed("flood");
                self.session.disconnect("too many requests to publish or to play");
            }
            Event::Publish { stream, key } => self.publish(now, stream, &key),
            Event::Play { stream, key } => self.play(now, stream, &key),
            Event::Pause { stream, paused } => {
                if let Some(egress) = self.streams.player(stream) {
                    egress.pause(paused);
                }
            }
            Event::Closed { stream } => self.close(now, stream),
            Event::Audio { stream, time, body } => {
                self.ingest(now, stream, |ingest| {
                    ingest.audio(now, time, &body);
                    Ok(())
                });
            }
            Event::Video { stream, time, body } => {
                self.ingest(now, stream, |ingest| ingest.video(now, time, &body));
            }
            Event::Metadata { stream, metadata } => {
                if self.streams.publisher(stream).is_some_and(|ingest| ingest.metadata(metadata)) {
                    self.shared.counters.bad_data.increment(1);
                }
            }
            Event::BadData { stream, error } => {
                self.shared.counters.bad_data.increment(1);
                if let Some(ingest) = self.streams.publisher(stream) {
                    ingest.bad_data(error);
                }
            }
        }
    }

    pub(super) fn close(&mut self, now: Instant, stream: StreamId) {
        if let Some(role) = self.streams.end(stream) {
            if let Role::Publisher(ingest) = &role {
                let stream = ingest.stream();
                let StreamName { room, participant, .. } = stream.name();
                match ingest.revocation() {
                    None => info!(%room, %participant, "unpublished"),
                    Some(why) => info!(%room, %participant, reason = %why, "publication revoked"),
                }
            }
            self.end(role, EndReason::Unpublished);
        }
        if self.streams.is_empty() && !self.member.is_in_rooms() {
            self.place.idle(now);
        }
    }

    /// Counts what is to be counted at the end, and tells those who watch why a publication ends.
    fn end(&self, role: Role, reason: EndReason) {
        match role {
            Role::Publisher(ingest) => ingest.end(reason),
            Role::Player(egress) => egress.note_lost(),
        }
    }

    fn ingest(
        &mut self,
        now: Instant,
        stream: StreamId,
        act: impl FnOnce(&mut Ingest) -> Result<(), ingest::Refusal>,
    ) {
        let Some(publisher) = self.streams.publisher(stream) else { return };
        if let Err(ingest::Refusal(text)) = act(publisher) {
            let published = publisher.stream();
            let StreamName { room, participant, .. } = published.name();
            self.refuse(now, stream, (room, participant), Code::PublishRejected, Rejected::Codec, &text);
            self.close(now, stream);
        }
    }

    /// Gives the session what the bus has for the client: a publisher warnings and the end, a player the stream.
    fn forward(&mut self) {
        let (mut ended, mut revoked) = (Vec::new(), Vec::new());
        for (id, role) in self.streams.iter_mut() {
            match role {
                Role::Publisher(ingest) => {
                    if let Some(why) = ingest.revocation() {
                        revoked.push((id, why));
                    } else {
                        match ingest.take_notice() {
                            Some(Notice::Warning(warning)) => self.session.warn(id, &warning.to_string()),
                            Some(Notice::Recorded(recorded)) => {
                                self.session.record(id, recorded.is_live, &recorded.to_string());
                            }
                            None => {}
                        }
                    }
                }
                Role::Player(egress) => {
                    ended.extend(egress.forward(&mut self.session, SLICE).map(|end| (id, end)));
                }
            }
        }
        for (id, why) in revoked {
            let now = Instant::now();
            match why {
                Revocation::Left => self.session.unpublish(now.into_std(), id, &why.to_string()),
                _ => self.session.end_publish(now.into_std(), id, &why.to_string()),
            }
            self.close(now, id);
        }
        for (id, reason) in ended {
            if reason == EndReason::Shutdown {
                self.session.shut_down(SHUTTING_DOWN);
                break;
            }
            let now = Instant::now();
            self.session.end_play(now.into_std(), id, &reason.to_string());
            self.close(now, id);
        }
        self.collect();
    }

    fn wrote(&mut self, written: usize) {
        self.out.advance(written);
        self.last_write = Instant::now();
        if std::mem::take(&mut self.write_waited) {
            self.session.handle_progress(self.last_write.into_std());
            self.member.heard();
        }
        if self.out.is_empty() {
            self.answers = 0;
        }
        self.shared.counters.sent.increment(written as u64); // usize is at most 64 bits
    }

    /// Ends what is left when the connection has ended.
    fn leave(&mut self, end: &End) {
        // Before its streams, so that the room hears whether it has gone or is lost.
        self.member.leave(matches!(end, End::Closed) && !self.session.is_closing());
        let reason = if self.shared.stop.is_cancelled() { EndReason::Shutdown } else { EndReason::Vanished };
        for role in self.streams.take() {
            if let Role::Publisher(ingest) = &role {
                let stream = ingest.stream();
                let StreamName { room, participant, .. } = stream.name();
                info!(%room, %participant, %reason, cause = %end, "publisher gone");
            }
            self.end(role, reason);
        }
        self.place.idle(Instant::now());
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Io(error) => error.fmt(f),
            Self::Stalled => f.write_str("the client reads nothing"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

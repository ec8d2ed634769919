//! One client: its socket, its session, and what it publishes or plays.

use super::address::Address;
use super::counters::{Counters, Rejected, error_kind};
use super::egress::Egress;
use super::ingest::{Ingest, Remark};
use super::listener::Shared;
use super::outbox::Outbox;
use super::sockopt;
use crate::protocol::rtmp::{Code, Event, Output, ServerSession, SessionError, StreamId, Timeouts};
use crate::room::{Protocol, Refusal};
use crate::stream::{EndReason, QueueLimits};
use crate::time::NtpTime;
use bytes::BytesMut;
use socket2::SockRef;
use std::io;
use std::pin::pin;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How much room there is for a read.
const READ: usize = 64 << 10;
/// A client that asks for more answers than it takes is not read until it has taken some.
const READ_WHILE_WAITING: usize = 256 << 10;
/// How long the last words may take to be sent, and then the client to close.
const CLOSING: Duration = Duration::from_secs(2);

/// While nobody watches a publisher it is read at this interval, or when this many bytes wait: one reading for many
/// messages instead of one each.
const UNWATCHED_INTERVAL: Duration = Duration::from_millis(100);
const UNWATCHED_BYTES: u32 = 48 << 10;
/// What the system may hold of a player's media before it goes on the wire.
const UNSENT: u32 = 256 << 10;
const SHUTTING_DOWN: &str = "the server is shutting down";

/// Serves a connection until it ends.
pub(super) async fn serve(shared: &Shared, mut socket: TcpStream) {
    let now = Instant::now();
    let timeouts = Timeouts {
        setup: shared.config.setup_timeout.0,
        idle: shared.config.idle_timeout.0,
        publisher: shared.config.publisher_timeout.0,
    };
    let mut connection = Connection {
        shared,
        session: ServerSession::new(now.into_std(), timeouts),
        role: Role::None,
        app: String::new(),
        tc_url: String::new(),
        input: BytesMut::new(),
        out: Outbox::default(),
        last_write: now,
        look_at: None,
    };
    let (reader, writer) = socket.split();
    let end = connection.run(reader, writer).await;
    connection.leave(&end);
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

struct Connection<'a> {
    shared: &'a Shared,
    session: ServerSession,
    role: Role,
    app: String,
    tc_url: String,
    input: BytesMut,
    out: Outbox,
    /// When the client last took something, or had nothing to take.
    last_write: Instant,
    /// While reading is put off: when to look anyhow.
    look_at: Option<Instant>,
}

enum Role {
    None,
    Publisher(StreamId, Box<Ingest>),
    Player(StreamId, Box<Egress>),
}

/// What a connection waits for.
enum Step {
    Stop,
    Wrote(io::Result<usize>),
    Read(io::Result<usize>),
    /// The bus or a warning.
    Ready,
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
    async fn run(&mut self, mut reader: ReadHalf<'_>, mut writer: WriteHalf<'_>) -> End {
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
                tokio::select! {
                    biased;
                    () = &mut stop => Step::Stop,
                    written = writer.write_vectored(&slices), if !idle => Step::Wrote(written),
                    read = reader.read_buf(&mut self.input), if self.out.len() < READ_WHILE_WAITING => Step::Read(read),
                    () = self.role.ready(), if idle => Step::Ready,
                    () = &mut timer => Step::Timer,
                }
            };
            match step {
                Step::Stop => self.session.shut_down(SHUTTING_DOWN),
                Step::Wrote(Ok(written)) => self.wrote(written),
                Step::Read(Ok(0)) => return End::Closed,
                Step::Read(Ok(read)) => {
                    self.shared.counters.received.increment(read as u64); // usize is at most 64 bits
                    let in_setup = matches!(self.role, Role::None);
                    if let Err(error) = self.handle_input() {
                        return End::Session(error);
                    }
                    self.adapt_socket(reader.as_ref(), in_setup);
                }
                Step::Wrote(Err(error)) | Step::Read(Err(error)) => return End::Io(error),
                Step::Ready => self.forward(),
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
                        let _ = sockopt::set_receive_low_water(reader.as_ref(), 1);
                    }
                    self.collect();
                    timer.as_mut().reset(self.deadline());
                }
            }
        }
        self.collect();
        // The client is to hear why: what it still sends must be read, or the system drops our words with a reset.
        let farewell = async {
            while !self.out.is_empty() {
                let slices = self.out.slices();
                let written = writer.write_vectored(&slices).await?;
                drop(slices);
                self.wrote(written);
            }
            writer.shutdown().await?;
            loop {
                self.input.clear();
                self.input.reserve(READ);
                if reader.read_buf(&mut self.input).await? == 0 {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        match tokio::time::timeout(CLOSING, farewell).await {
            Ok(Err(error)) => End::Io(error),
            Ok(Ok(())) | Err(_) => End::Closed,
        }
    }

    fn deadline(&self) -> Instant {
        let session = Instant::from_std(self.session.poll_timeout());
        let stalled = (!self.out.is_empty()).then(|| self.last_write + self.shared.config.write_timeout.0);
        [stalled, self.look_at].into_iter().flatten().fold(session, Instant::min)
    }

    /// Sets the socket to what is happening on it, after a reading. All of it is for speed only, so failing is nothing.
    fn adapt_socket(&mut self, socket: &TcpStream, in_setup: bool) {
        match &self.role {
            // Clients that collect small messages wait for each acknowledgement before the next.
            Role::None => drop(SockRef::from(socket).set_tcp_quickack(true)),
            Role::Publisher(_, ingest) if !ingest.is_watched() => {
                let is_new = self.look_at.replace(Instant::now() + UNWATCHED_INTERVAL).is_none();
                if is_new {
                    let _ = sockopt::set_receive_low_water(socket, UNWATCHED_BYTES);
                }
            }
            Role::Publisher(..) => {
                if self.look_at.take().is_some() {
                    let _ = sockopt::set_receive_low_water(socket, 1);
                }
            }
            Role::Player(..) if in_setup => drop(sockopt::set_unsent_low_water(socket, UNSENT)),
            Role::Player(..) => {}
        }
    }

    fn handle_input(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        loop {
            let result = self.session.handle_input(now.into_std(), &mut self.input);
            // What came before an error counts.
            let connected = self.collect_at(now);
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
        match event {
            Event::Connect { app, tc_url, .. } => {
                debug!(%app, %tc_url, "connect");
                (self.app, self.tc_url) = (app, tc_url);
                self.session.accept_connect();
            }
            Event::Publish { stream, key } => self.publish(now, stream, &key),
            Event::Play { stream, key } => self.play(stream, &key),
            Event::Pause { stream, paused } => {
                if let Role::Player(id, egress) = &mut self.role
                    && *id == stream
                {
                    egress.pause(paused);
                }
            }
            Event::Closed { stream } => self.close(stream),
            Event::Audio { stream, time, body } => {
                self.ingest(stream, |ingest| ingest.audio(now, time, &body));
            }
            Event::Video { stream, time, body } => {
                self.ingest(stream, |ingest| ingest.video(now, time, &body));
            }
            Event::Metadata { stream, metadata } => self.ingest(stream, |ingest| {
                ingest.metadata(metadata);
                None
            }),
        }
    }

    fn publish(&mut self, now: Instant, stream: StreamId, key: &str) {
        let Some(address) = self.resolve(stream, key, Code::PublishBadName) else { return };
        let Address { room, participant, .. } = address;
        #[expect(clippy::disallowed_methods, reason = "the publication's wall-clock anchor, read once")]
        let origin = NtpTime::from(SystemTime::now());
        match self.shared.rooms.publish(room, participant, Protocol::Rtmp, origin) {
            Ok(publication) => {
                let name = publication.publisher().stream().name().clone();
                info!(stream = %name, "publishing");
                let listing = self.shared.directory.enter(name);
                self.role = Role::Publisher(stream, Box::new(Ingest::new(publication, listing, now)));
                self.session.accept_publish(stream);
            }
            Err(refusal) => {
                let (code, reason) = match refusal {
                    Refusal::InUse(_) => (Code::PublishBadName, Rejected::InUse),
                    _ => (Code::PublishRejected, Rejected::Rooms),
                };
                self.refuse(stream, code, reason, &refusal.to_string());
            }
        }
    }

    fn play(&mut self, id: StreamId, key: &str) {
        let Some(address) = self.resolve(id, key, Code::PlayFailed) else { return };
        let Some(stream) = self.shared.rooms.find(&address.room, &address.participant) else {
            let text = format!("nobody publishes {}/{} now", address.room, address.participant);
            return self.refuse(id, Code::PlayStreamNotFound, Rejected::NotFound, &text);
        };
        info!(stream = %stream.name(), "playing");
        let limits =
            QueueLimits { bytes: self.shared.config.player_queue.as_usize(), ..QueueLimits::default() };
        let metadata = self.shared.directory.metadata(stream.name());
        let egress = Egress::new(&self.shared.bridge, &stream, id, limits, metadata);
        self.role = Role::Player(id, Box::new(egress));
        self.session.accept_play(id);
    }

    /// The address, if there is one and nothing else happens on this connection.
    fn resolve(&mut self, stream: StreamId, key: &str, code: Code) -> Option<Address> {
        if !matches!(self.role, Role::None) {
            let text = "this connection publishes or plays another stream already";
            self.refuse(stream, code, Rejected::SecondStream, text);
            return None;
        }
        Address::resolve(&self.app, &self.tc_url, key)
            .map_err(|error| self.refuse(stream, code, Rejected::Address, &error.to_string()))
            .ok()
    }

    fn refuse(&mut self, stream: StreamId, code: Code, reason: Rejected, text: &str) {
        Counters::rejected(reason);
        info!(code = code.as_str(), reason = text, "refused");
        self.session.refuse(stream, code, text);
    }

    fn close(&mut self, stream: StreamId) {
        match std::mem::replace(&mut self.role, Role::None) {
            Role::Publisher(id, ingest) if id == stream => {
                info!("unpublished");
                self.shared.counters.jumps.increment(ingest.jumps());
                ingest.end(EndReason::Unpublished);
            }
            Role::Player(id, egress) if id == stream => self.shared.counters.lost.increment(egress.lost()),
            other => self.role = other,
        }
    }

    fn ingest(&mut self, stream: StreamId, act: impl FnOnce(&mut Ingest) -> Option<Remark>) {
        let Role::Publisher(id, ingest) = &mut self.role else { return };
        if *id != stream {
            return;
        }
        match act(ingest) {
            None => {}
            Some(Remark::Warning(text)) => {
                warn!(reason = %text, "publisher warned");
                self.session.warn(stream, &text);
            }
            Some(Remark::Refusal(text)) => {
                self.refuse(stream, Code::PublishRejected, Rejected::Codec, &text);
                self.close(stream);
            }
        }
    }

    /// Gives the session what the bus, or somebody with a warning, has for the client.
    fn forward(&mut self) {
        match &mut self.role {
            Role::None => {}
            Role::Publisher(id, ingest) => {
                if let Some(text) = ingest.take_notice() {
                    self.session.warn(*id, &text);
                }
            }
            Role::Player(id, egress) => {
                if let Some(reason) = egress.forward(&mut self.session) {
                    let text = match reason {
                        EndReason::Shutdown => return self.session.shut_down(SHUTTING_DOWN),
                        _ => reason.to_string(),
                    };
                    self.session.end_play(*id, &text);
                }
            }
        }
        self.collect();
    }

    fn wrote(&mut self, written: usize) {
        self.out.advance(written);
        self.last_write = Instant::now();
        self.shared.counters.sent.increment(written as u64); // usize is at most 64 bits
    }

    /// Ends what is left when the connection has ended.
    fn leave(&mut self, end: &End) {
        let stopping = self.shared.stop.is_cancelled();
        match std::mem::replace(&mut self.role, Role::None) {
            Role::None => {}
            Role::Publisher(_, ingest) => {
                let reason = if stopping { EndReason::Shutdown } else { EndReason::Vanished };
                info!(%reason, cause = %end, "publisher gone");
                self.shared.counters.jumps.increment(ingest.jumps());
                ingest.end(reason);
            }
            Role::Player(_, egress) => self.shared.counters.lost.increment(egress.lost()),
        }
    }
}

impl Role {
    /// Waits until there is something to forward. Cancel-safe.
    async fn ready(&mut self) {
        match self {
            Self::None => std::future::pending().await,
            Self::Publisher(_, ingest) => ingest.notice().await,
            Self::Player(_, egress) => egress.ready().await,
        }
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

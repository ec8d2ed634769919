//! What the rest of the server knows of a peer: its name and its figures.

use super::line::Share;
use super::path::Path;
use super::picture::Picture;
use super::progress::{End, Progress};
use super::totals::{Counts, Totals};
use crate::codec::{Codec, MediaKind};
use crate::protocol::ice::{Check, Credentials};
use crate::protocol::srtp::Profile;
use crate::stream::StreamName;
use rtc_crypto::RTCCryptoProvider;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::time::Instant;
use tokio::sync::watch;

/// Names a session towards its client: 144 random bits, so that only who got it can end the session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

/// What a peer is here for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionKind {
    /// It publishes (WHIP).
    Publisher,
    /// It watches (WHEP).
    Viewer,
}

/// A session as the API shows it.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Publisher or viewer.
    pub kind: SessionKind,
    /// What is published or watched.
    pub stream: StreamName,
    /// Time since the answer.
    pub age: Duration,
    /// Where the peer is, once a check has come.
    pub remote: Option<SocketAddr>,
    /// `udp` or `tcp`.
    pub transport: Option<&'static str>,
    /// The DTLS cipher suite, once connected.
    pub dtls: Option<String>,
    /// The SRTP profile, once connected.
    pub srtp: Option<&'static str>,
    /// From the answer to media keys, once connected.
    pub connect_time: Option<Duration>,
    /// The codecs that are received or sent.
    pub codecs: Vec<Codec>,
    /// RTP payload bytes received or sent.
    pub bytes: u64,
    /// RTP packets received or sent.
    pub packets: u64,
    /// RTP packets that were missing: to us, or to the viewer by its reports.
    pub lost: u64,
    /// RTP packets that came as retransmissions, or were sent as such.
    pub retransmitted: u64,
    /// Requests for lost packets (NACK) sent to a publisher, or got from a viewer.
    pub nacks: u64,
    /// Keyframe requests sent to a publisher, or got from a viewer.
    pub keyframe_requests: u64,
    /// Media bits a second over the last seconds.
    pub bitrate: u64,
    /// Round trip, where a report has told it.
    pub round_trip: Option<Duration>,
    /// What the line to a viewer is estimated to carry, in bits a second; `None` while nothing has shown a bound.
    pub estimate: Option<u64>,
    /// Bytes of padding sent to a viewer, to find that out.
    pub padding: u64,
    /// What a viewer gets of the picture.
    pub picture: Picture,
}

/// Shared between the shard that owns the peer and whoever asks.
pub(super) struct Session {
    pub(super) id: SessionId,
    /// What the answer told the peer for its checks.
    pub(super) credentials: Credentials,
    /// The peer's own user name fragment, by its offer.
    pub(super) peer_ufrag: String,
    pub(super) kind: SessionKind,
    pub(super) stream: StreamName,
    pub(super) created: Instant,
    pub(super) figures: Figures,
    pub(super) totals: Totals,
    facts: Mutex<Facts>,
    progress: watch::Sender<Progress>,
    picture: watch::Sender<Picture>,
    /// A viewer's share of the line to its client.
    pub(super) share: Option<Arc<Share>>,
    /// Its shard is still to hear that the viewer shows the stream otherwise.
    is_adapted: AtomicBool,
}

/// What counts up; written by the shard alone.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) bytes: AtomicU64,
    pub(super) packets: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) retransmitted: AtomicU64,
    pub(super) nacks: AtomicU64,
    pub(super) keyframe_requests: AtomicU64,
    pub(super) bitrate: AtomicU64,
    /// Bits a second; 0: nothing has shown a bound.
    pub(super) estimate: AtomicU64,
    /// Bytes of padding sent to find out what the line carries.
    pub(super) padding: AtomicU64,
    /// Microseconds; 0: not known.
    pub(super) round_trip: AtomicU32,
}

/// What changes seldom.
#[derive(Default)]
struct Facts {
    path: Option<Path>,
    dtls: Option<String>,
    srtp: Option<Profile>,
    connect_time: Option<Duration>,
    audio: Option<Codec>,
    video: Option<Codec>,
    measured: Option<(Instant, u64)>,
    /// What the totals have of this session already.
    added: Counts,
}

impl SessionId {
    pub(super) fn generate() -> Self {
        let mut bytes = [0; 18];
        aws_lc_rs::rand::fill(&mut bytes)
            .expect("the system's random generator cannot fail once it has started");
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id as it stands in a URL: hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a client gives as an id, which may be of no session.
    pub fn from_client(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Session {
    pub(super) fn new(
        credentials: Credentials,
        peer_ufrag: String,
        kind: SessionKind,
        stream: StreamName,
        created: Instant,
        share: Option<Arc<Share>>,
    ) -> Self {
        Self {
            id: SessionId::generate(),
            credentials,
            peer_ufrag,
            kind,
            stream,
            created,
            figures: Figures::default(),
            totals: Totals::new(kind),
            facts: Mutex::default(),
            progress: watch::Sender::new(Progress::Waiting),
            picture: watch::Sender::default(),
            share,
            is_adapted: AtomicBool::new(false),
        }
    }

    /// The viewer shows the stream otherwise. True if the shard is to be told: it has not yet looked at what it was told before.
    pub(super) fn adapts(&self) -> bool {
        !self.is_adapted.swap(true, Ordering::AcqRel)
    }

    /// The shard looks at it now.
    pub(super) fn adapted(&self) {
        self.is_adapted.store(false, Ordering::Release);
    }

    /// Where its progress is told.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Where a viewer's picture is told.
    pub(super) fn picture(&self) -> watch::Receiver<Picture> {
        self.picture.subscribe()
    }

    /// The viewer gets this picture from now on.
    pub(super) fn shows(&self, picture: Picture) {
        let is_changed = self.picture.send_if_modified(|shown| std::mem::replace(shown, picture) != picture);
        if is_changed {
            metrics::counter!("commonroom_webrtc_picture_changes_total", "limit" => picture.limit.as_str())
                .increment(1);
            tracing::debug!(
                session = ?self.id,
                height = picture.height,
                limit = picture.limit.as_str(),
                audio_only = picture.audio_only,
                estimate = self.figures.estimate.load(Ordering::Relaxed),
                "picture"
            );
        }
    }

    /// It is over. Only the first call counts.
    pub(super) fn end(&self, end: End) {
        self.totals.leave(end.as_str());
        self.progress.send_if_modified(|progress| {
            let is_first = progress.end().is_none();
            if is_first {
                *progress = Progress::Ended(end);
            }
            is_first
        });
    }

    /// Whether a check has the password of this session.
    pub(super) fn is_authentic(&self, check: &Check, crypto: &dyn RTCCryptoProvider) -> bool {
        check.is_authentic(&self.credentials.password, crypto)
    }

    pub(super) fn moved(&self, path: Path) {
        self.facts().path = Some(path);
    }

    /// Media can flow, in these codecs as far as they are known.
    pub(super) fn connected(
        &self,
        dtls: Option<String>,
        srtp: Profile,
        codecs: [Option<Codec>; 2],
        now: Instant,
    ) {
        let [audio, video] = codecs;
        self.progress.send_if_modified(|progress| {
            let waited = *progress == Progress::Waiting;
            if waited {
                *progress = Progress::Connected { audio, video };
            }
            waited
        });
        let mut facts = self.facts();
        facts.dtls = dtls;
        facts.srtp = Some(srtp);
        let time = now.saturating_duration_since(self.created);
        facts.connect_time = Some(time);
        self.totals.connected(time);
    }

    pub(super) fn carries(&self, codec: Codec) {
        let mut facts = self.facts();
        match codec.kind() {
            MediaKind::Audio => facts.audio = Some(codec),
            MediaKind::Video => facts.video = Some(codec),
        }
    }

    /// Adds what has been counted since the last call to the totals of all sessions.
    pub(super) fn add_to_totals(&self) {
        self.totals.add(&mut self.facts().added, self.figures.counts());
    }

    /// Sets the bitrate by what has been counted since the last call, and adds to the totals.
    pub(super) fn measure(&self, now: Instant) {
        self.add_to_totals();
        let bytes = self.figures.bytes.load(Ordering::Relaxed);
        let Some((then, before)) = self.facts().measured.replace((now, bytes)) else { return };
        let millis = now.saturating_duration_since(then).as_millis().max(1);
        let bitrate = u128::from(bytes.saturating_sub(before)) * 8_000 / millis;
        self.figures.bitrate.store(u64::try_from(bitrate).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn info(&self, now: Instant) -> SessionInfo {
        let (facts, counts) = (self.facts(), self.figures.counts());
        let round_trip = self.figures.round_trip.load(Ordering::Relaxed);
        SessionInfo {
            kind: self.kind,
            stream: self.stream.clone(),
            age: now.saturating_duration_since(self.created),
            remote: facts.path.map(|path| path.remote),
            transport: facts.path.map(|path| path.transport()),
            dtls: facts.dtls.clone(),
            srtp: facts.srtp.map(Profile::as_str),
            connect_time: facts.connect_time,
            codecs: facts.audio.into_iter().chain(facts.video).collect(),
            bytes: counts.bytes,
            packets: counts.packets,
            lost: counts.lost,
            retransmitted: counts.retransmitted,
            nacks: counts.nacks,
            keyframe_requests: counts.keyframe_requests,
            bitrate: self.figures.bitrate.load(Ordering::Relaxed),
            estimate: Some(self.figures.estimate.load(Ordering::Relaxed)).filter(|estimate| *estimate > 0),
            padding: self.figures.padding.load(Ordering::Relaxed),
            picture: *self.picture.borrow(),
            round_trip: (round_trip > 0).then(|| Duration::from_micros(round_trip.into())),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    /// Whatever took it away, whoever waits is told.
    fn drop(&mut self) {
        self.end(End::Failed);
    }
}

impl Figures {
    fn counts(&self) -> Counts {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Counts {
            bytes: read(&self.bytes),
            packets: read(&self.packets),
            lost: read(&self.lost),
            retransmitted: read(&self.retransmitted),
            nacks: read(&self.nacks),
            keyframe_requests: read(&self.keyframe_requests),
        }
    }
}

impl SessionKind {
    /// Lower case, for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    /// The first digits only: who knows the whole may end the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}...", self.0.get(..6).unwrap_or_default())
    }
}

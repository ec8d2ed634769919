//! Offers and answers: from a request, by whatever signalling, to a peer that waits for its first check.

use super::Inner;
use super::peer::{ESTABLISH, Purpose, Seed};
use super::picture::Picture;
use super::progress::Progress;
use super::session::{Session, SessionId, SessionKind};
use super::wall::Wall;
use crate::bridge::{Refusal, packet_codecs};
use crate::codec::{Codec, MediaKind};
use crate::media::CodecParams;
use crate::protocol::ice;
use crate::protocol::rtp::Ssrc;
use crate::protocol::sdp::{
    self, Local, Negotiated, Offer, ProfileLevelId, SdpError, Sending, Track, TransportKind, Want,
};
use crate::protocol::whip::{Fragment, FragmentError};
use crate::room::Publication;
use crate::stream::{Form, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use tokio::sync::watch;

/// What a client wants beside what its offer says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// By which candidates it is to come.
    pub transport: Transport,
    /// The id of the stream that both tracks of a play answer belong to (`a=msid`), if it is a token of 1 to 64 bytes;
    /// otherwise it is the name under which the stream is published.
    pub stream_id: Option<Arc<str>>,
    /// The player shows nothing before each medium of the answer has come, so that one which the publisher has not sent
    /// so far ([`Stream::settled`]) is rather left out. Other players get what comes later.
    pub only_present: bool,
    /// Names the client to whom the session goes: sessions of the same name share one line, and its room is shared out
    /// among them. `None`: a line of its own.
    pub line: Option<Arc<str>>,
}

/// Which of our candidates an answer has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// All.
    #[default]
    Any,
    /// UDP alone.
    Udp,
    /// TCP alone.
    Tcp,
}

/// What a client gets for its offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Names the session; whoever knows it may end it.
    pub session: SessionId,
    /// The answer.
    pub sdp: String,
    /// The entity tag of the ICE session, its quotes included.
    pub etag: String,
    /// How the session goes on. It always ends in [`Progress::Ended`].
    pub progress: watch::Receiver<Progress>,
    /// Which picture a viewer gets.
    pub picture: watch::Receiver<Picture>,
}

impl Transport {
    const fn allows(self, kind: TransportKind) -> bool {
        match self {
            Self::Any => true,
            Self::Udp => matches!(kind, TransportKind::Udp),
            Self::Tcp => matches!(kind, TransportKind::Tcp),
        }
    }
}

/// Why there is no session.
#[derive(Clone, Debug, Error)]
pub enum SignallingError {
    /// The offer is malformed, or asks for what this server does not do: 400.
    #[error(transparent)]
    Offer(SdpError),
    /// Nothing that both sides know: 406.
    #[error(transparent)]
    NoCommonCodec(SdpError),
    /// There is no such session, or no more: 404.
    #[error("there is no such session")]
    NoSession,
    /// No room for more: 503.
    #[error("the server has reached its limit of {0} WebRTC sessions (webrtc.max_sessions)")]
    TooManySessions(usize),
    /// No name to announce has an address: 503.
    #[error(
        "no host of webrtc.announce has an address at the moment, so that no peer could reach this server"
    )]
    NoAddress,
    /// The fragment of candidates is malformed: 400.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// The fragment is of another ICE session of the client: 422 (RFC 9725, section 4.3.1).
    #[error("ICE restarts are not needed here: a client that changes its address stays connected")]
    IceRestart,
}

impl From<SdpError> for SignallingError {
    fn from(error: SdpError) -> Self {
        match error {
            SdpError::NoCommonCodec { .. } => Self::NoCommonCodec(error),
            error => Self::Offer(error),
        }
    }
}

pub(super) fn publish(
    server: &Inner,
    publication: Publication,
    offer: &str,
    options: &Options,
) -> Result<Answer, SignallingError> {
    let offer = Offer::parse(offer)?;
    let credentials = ice::Credentials::generate();
    let (sdp, negotiated) = answer(server, &offer, &credentials, options.transport, &Want::Receive)?;
    let kinds: Vec<_> = negotiated.sections.iter().map(|section| section.kind).collect();
    publication.publisher().declare(&kinds);
    enter(server, sdp, credentials, negotiated, Purpose::Publish(publication))
}

pub(super) fn play(
    server: &Inner,
    stream: Stream,
    offer: &str,
    options: &Options,
) -> Result<Answer, SignallingError> {
    let offer = Offer::parse(offer)?;
    let credentials = ice::Credentials::generate();
    // The name of this viewer's side of the session.
    let cname: Arc<str> =
        format!("{}-{}", stream.name().participant, credentials.ufrag.replace(['+', '/'], "-")).into();
    // Both tracks carry it, so that they are played in step.
    let names = [options.stream_id.as_deref(), Some(&*stream.name().stream)];
    let stream_id =
        names.into_iter().flatten().find(|name| sdp::is_msid(name)).unwrap_or("stream").to_owned();
    let [audio, video, video_rtx] = sources();
    let tracks = tracks(&stream);
    let is_lacking = |kind: &MediaKind| !stream.sends(*kind).unwrap_or(!options.only_present);
    let lacks: Vec<_> = [MediaKind::Audio, MediaKind::Video].into_iter().filter(is_lacking).collect();
    let sending = Sending {
        tracks: &tracks,
        lacks: &lacks,
        stream_id: &stream_id,
        cname: &cname,
        audio,
        video,
        video_rtx,
    };
    let want = Want::Send(sending);
    let (sdp, negotiated) = answer(server, &offer, &credentials, options.transport, &want)?;
    let refused = offers_single_nal_alone(&offer, &tracks, &negotiated)
        .then(|| server.common.bridge.refuse(&stream, Refusal::PacketizationMode));
    let share = Arc::new(server.common.lines.join(options.line.as_ref()));
    let purpose = Purpose::Watch { stream, cname, share, refused };
    enter(server, sdp, credentials, negotiated, purpose)
}

pub(super) fn trickle(server: &Inner, session: &SessionId, fragment: &str) -> Result<(), SignallingError> {
    let session = server.common.registry.get(session).ok_or(SignallingError::NoSession)?;
    match Fragment::parse(fragment)?.credentials {
        Some(credentials) if credentials.ufrag != session.peer_ufrag => Err(SignallingError::IceRestart),
        _ => Ok(()),
    }
}

/// The entity tag of a session's answer: there is one ICE session in each, and its user name is its own.
pub(super) fn etag(session: &Session) -> String {
    format!("\"{}\"", session.credentials.ufrag)
}

fn answer(
    server: &Inner,
    offer: &Offer,
    credentials: &ice::Credentials,
    transport: Transport,
    want: &Want<'_>,
) -> Result<(String, Negotiated), SignallingError> {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let mut candidates = server.addresses.candidates();
    candidates.retain(|candidate| transport.allows(candidate.transport));
    if candidates.is_empty() {
        return Err(SignallingError::NoAddress);
    }
    let local = Local {
        ufrag: &credentials.ufrag,
        password: &credentials.password,
        fingerprint: server.common.identity.fingerprint(),
        candidates: &candidates,
        session_id: SESSIONS.fetch_add(1, Ordering::Relaxed),
    };
    Ok(sdp::answer(offer, &local, want)?)
}

fn enter(
    server: &Inner,
    sdp: String,
    credentials: ice::Credentials,
    negotiated: Negotiated,
    purpose: Purpose,
) -> Result<Answer, SignallingError> {
    let (wall, kind) = (Wall::of(&purpose.stream()), SessionKind::from(&purpose));
    let now = tokio::time::Instant::now().into_std();
    let stream = purpose.stream().name().clone();
    let peer_ufrag = negotiated.remote.credentials.ufrag.clone();
    let share = purpose.share().cloned();
    let session = Arc::new(Session::new(credentials, peer_ufrag, kind, stream, now, share));
    let (id, etag) = (session.id.clone(), etag(&session));
    let (progress, picture) = (session.progress(), session.picture());
    let seed = Box::new(Seed { session: session.clone(), negotiated, purpose, wall });
    let registry = &server.common.registry;
    if !registry.insert(session, seed, now + ESTABLISH) {
        return Err(SignallingError::TooManySessions(registry.max_sessions()));
    }
    Ok(Answer { session: id, sdp, etag, progress, picture })
}

/// What a viewer could get of a stream: of each kind what is published, or the bridge makes of it with the least work, first.
fn tracks(stream: &Stream) -> Vec<Track> {
    let tracks = |kind| {
        let feed = stream.track(kind);
        feed.into_iter().flat_map(|feed| {
            let profile = match feed.params {
                Some(CodecParams::H264(config)) => {
                    let [profile, constraints, level] = config.profile_level_id();
                    Some(ProfileLevelId { profile, constraints, level })
                }
                _ => None,
            };
            packet_codecs(feed.key).into_iter().map(move |codec| {
                let profile = profile.filter(|_| codec == feed.key.codec);
                Track { codec, profile, single_nal: feed.key.form == Form::SingleNal }
            })
        })
    };
    [MediaKind::Audio, MediaKind::Video].into_iter().flat_map(tracks).collect()
}

/// Whether the picture is not sent because of the packetization mode: the answer has nothing of the stream's although the
/// offer has H.264.
fn offers_single_nal_alone(offer: &Offer, tracks: &[Track], negotiated: &Negotiated) -> bool {
    let is_track = |codec: Codec| tracks.iter().any(|track| track.codec == codec);
    let is_sent = |section: &sdp::Accepted| section.codecs.iter().any(|codec| is_track(codec.codec));
    tracks.iter().any(|track| track.codec == Codec::H264 && !track.single_nal)
        && !negotiated.section(MediaKind::Video).is_some_and(is_sent)
        && offer
            .sections
            .iter()
            .any(|section| section.formats.iter().any(|f| f.format.codec() == Some(Codec::H264)))
}

/// Three different random numbers.
fn sources() -> [Ssrc; 3] {
    let mut random = [0; 4];
    aws_lc_rs::rand::fill(&mut random)
        .expect("the system's random generator cannot fail once it has started");
    let first = u32::from_be_bytes(random);
    [0, 1, 2].map(|n| Ssrc(first.wrapping_add(n)))
}

//! Offers and answers: from a WHIP or WHEP request to a peer that waits for its first check.

use super::Inner;
use super::peer::{ESTABLISH, Purpose, Seed};
use super::session::{Session, SessionId, SessionKind};
use super::wall::Wall;
use crate::bridge::Refusal;
use crate::codec::{Codec, MediaKind};
use crate::media::CodecParams;
use crate::protocol::ice;
use crate::protocol::rtp::Ssrc;
use crate::protocol::sdp::{self, Local, Negotiated, Offer, ProfileLevelId, SdpError, Sending, Track, Want};
use crate::protocol::whip::{Fragment, FragmentError};
use crate::room::{self, Name, Protocol};
use crate::stream::{Form, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;

/// What a client gets for its offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Names the session; whoever knows it may end it.
    pub session: SessionId,
    /// The answer.
    pub sdp: String,
    /// The entity tag of the ICE session, its quotes included.
    pub etag: String,
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
    /// Nobody publishes under this name: 404.
    #[error("{room}/{participant} is not being published")]
    NoStream {
        /// The room.
        room: Name,
        /// The participant.
        participant: Name,
    },
    /// There is no such session, or no more: 404.
    #[error("there is no such session")]
    NoSession,
    /// The name is in use: 409.
    #[error(transparent)]
    InUse(room::Refusal),
    /// No room for more: 503.
    #[error("the server has reached its limit of {0} WebRTC sessions (webrtc.max_sessions)")]
    TooManySessions(usize),
    /// No name to announce has an address: 503.
    #[error(
        "no host of webrtc.announce has an address at the moment, so that no peer could reach this server"
    )]
    NoAddress,
    /// A limit of the rooms, or the end of the server: 503.
    #[error(transparent)]
    Refused(room::Refusal),
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

impl From<room::Refusal> for SignallingError {
    fn from(refusal: room::Refusal) -> Self {
        match refusal {
            room::Refusal::InUse(_) => Self::InUse(refusal),
            refusal => Self::Refused(refusal),
        }
    }
}

pub(super) fn publish(
    server: &Inner,
    room: Name,
    participant: Name,
    offer: &str,
) -> Result<Answer, SignallingError> {
    let offer = Offer::parse(offer)?;
    let credentials = ice::Credentials::generate();
    let (sdp, negotiated) = answer(server, &offer, &credentials, &Want::Receive)?;
    let wall = Wall::read();
    let origin = wall.at(wall.instant());
    let publication = server.rooms.reserve(room, participant, Protocol::Whip, origin)?;
    enter(server, sdp, credentials, negotiated, Purpose::Publish(publication), wall)
}

pub(super) fn play(
    server: &Inner,
    room: Name,
    participant: Name,
    offer: &str,
) -> Result<Answer, SignallingError> {
    let offer = Offer::parse(offer)?;
    let Some(stream) = server.rooms.find(&room, &participant) else {
        return Err(SignallingError::NoStream { room, participant });
    };
    let credentials = ice::Credentials::generate();
    // The name of this viewer's side of the session: both tracks carry it, so that they are played in step.
    let name: Arc<str> =
        format!("{}-{}", participant.as_str(), credentials.ufrag.replace(['+', '/'], "-")).into();
    let [audio, video, video_rtx] = sources();
    let tracks = tracks(&stream);
    let sending = Sending { tracks: &tracks, stream_id: &name, cname: &name, audio, video, video_rtx };
    let (sdp, negotiated) = answer(server, &offer, &credentials, &Want::Send(sending))?;
    let refused = offers_single_nal_alone(&offer, &tracks, &negotiated)
        .then(|| server.common.bridge.refuse(&stream, Refusal::PacketizationMode));
    let purpose = Purpose::Watch { stream, cname: name, refused };
    enter(server, sdp, credentials, negotiated, purpose, Wall::read())
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
    want: &Want<'_>,
) -> Result<(String, Negotiated), SignallingError> {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let candidates = server.addresses.candidates();
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
    wall: Wall,
) -> Result<Answer, SignallingError> {
    let kind = SessionKind::from(&purpose);
    let stream = purpose.stream().name().clone();
    let peer_ufrag = negotiated.remote.credentials.ufrag.clone();
    let session = Session::new(credentials, peer_ufrag, kind, stream, wall.instant());
    let session = Arc::new(session);
    let answer = Answer { session: session.id.clone(), sdp, etag: etag(&session) };
    let seed = Box::new(Seed { session: session.clone(), negotiated, purpose, wall });
    let registry = &server.common.registry;
    if !registry.insert(session, seed, wall.instant() + ESTABLISH) {
        return Err(SignallingError::TooManySessions(registry.max_sessions()));
    }
    Ok(answer)
}

/// What a viewer would get of a stream: the bridge turns AAC into Opus.
fn tracks(stream: &Stream) -> Vec<Track> {
    let track = |kind| {
        let feed = stream.track(kind)?;
        let profile = match feed.params {
            Some(CodecParams::H264(config)) => {
                let [profile, constraints, level] = config.profile_level_id();
                Some(ProfileLevelId { profile, constraints, level })
            }
            _ => None,
        };
        let codec = match feed.key.codec {
            Codec::Aac => Codec::Opus,
            codec => codec,
        };
        Some(Track { codec, profile, single_nal: feed.key.form == Form::SingleNal })
    };
    [MediaKind::Audio, MediaKind::Video].into_iter().filter_map(track).collect()
}

/// Whether the picture is not sent because of the packetization mode: the answer lacks the stream's H.264 although the
/// offer has some.
fn offers_single_nal_alone(offer: &Offer, tracks: &[Track], negotiated: &Negotiated) -> bool {
    let is_sent = |section: &sdp::Accepted| section.codecs.iter().any(|codec| codec.codec == Codec::H264);
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

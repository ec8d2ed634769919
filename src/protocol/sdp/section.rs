//! One media section of an offer.

use super::format::{Format, PayloadFormat};
use super::is_token;
use super::transport::{Candidate, Credentials, Fingerprint, Setup};
use crate::codec::MediaKind;
use crate::protocol::rtp::{Extension, Ssrc};
use std::fmt;

/// No client has a longer one; packets carry at most 16 bytes of it.
const MAX_MID_LEN: usize = 64;
/// What a header extension of the one-byte form holds (RFC 8285, section 4.2).
const MAX_RID_LEN: usize = 16;

/// The name of a media section (`a=mid`, RFC 5888).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Mid(Box<str>);

impl Mid {
    /// `None` unless it is a token of 1 to 64 bytes.
    pub fn new(name: &str) -> Option<Self> {
        (is_token(name) && name.len() <= MAX_MID_LEN).then(|| Self(name.into()))
    }

    /// The name.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of one encoding of a picture that is sent in several (`a=rid`, RFC 8851).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rid(Box<str>);

impl Rid {
    /// `None` unless it is 1 to 16 letters, digits, `-` and `_`: as much as a packet's header carries.
    pub fn new(name: &str) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (matches!(name.len(), 1..=MAX_RID_LEN) && name.bytes().all(is_name)).then(|| Self(name.into()))
    }

    /// The name.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a section carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectionKind {
    /// Sound or picture.
    Media(MediaKind),
    /// `application` (data channels) and whatever else there is, by its name.
    Other(String),
}

impl SectionKind {
    pub(super) fn new(name: &str) -> Self {
        match name {
            "audio" => Self::Media(MediaKind::Audio),
            "video" => Self::Media(MediaKind::Video),
            other => Self::Other(other.to_owned()),
        }
    }

    /// As the `m=` line has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Media(kind) => kind.as_str(),
            Self::Other(name) => name,
        }
    }
}

/// Which way media flows, as seen by the side that says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// Both ways; what holds when nothing is said.
    #[default]
    SendRecv,
    /// From this side.
    SendOnly,
    /// To this side.
    RecvOnly,
    /// Not at all.
    Inactive,
}

impl Direction {
    /// By the attribute's name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let all = [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive];
        all.into_iter().find(|direction| direction.as_str() == name)
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the side that says it sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the side that says it receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// The sources a section announces (`a=ssrc`, RFC 5576). Clients may announce none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    /// The source of the media; of several, the first.
    pub media: Option<Ssrc>,
    /// The source of its retransmissions (`a=ssrc-group:FID`).
    pub rtx: Option<Ssrc>,
}

/// A header extension on offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OfferedExtension {
    /// 1 to 255.
    pub id: u8,
    /// Which one.
    pub extension: Extension,
    /// Which way the offerer would use it.
    pub direction: Direction,
}

/// Those that RFC 9429, section 5.1.2, has accepted.
const PROFILES: [&str; 8] = [
    "UDP/TLS/RTP/SAVPF",
    "TCP/DTLS/RTP/SAVPF",
    "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVP",
    "RTP/SAVPF",
    "RTP/SAVP",
    "RTP/AVPF",
    "RTP/AVP",
];

/// A media section of an offer; attributes of the session level hold where it has none of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferedSection {
    /// What it carries.
    pub kind: SectionKind,
    /// 0: the offerer has given it up, unless it is `bundle_only`.
    pub port: u16,
    /// Whether it lives in the bundle alone (`a=bundle-only`).
    pub bundle_only: bool,
    /// e.g. `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The first format of the `m=` line, which a refusal repeats.
    pub first_format: String,
    /// Its name; clients without bundling may have none.
    pub mid: Option<Mid>,
    /// As the offerer sees it.
    pub direction: Direction,
    /// Whether RTCP may share the port of RTP.
    pub rtcp_mux: bool,
    /// Whether RTCP packets may stand alone (RFC 5506).
    pub rtcp_rsize: bool,
    /// In the order of the `m=` line: the offerer's preference.
    pub formats: Vec<PayloadFormat>,
    /// Those known here.
    pub extensions: Vec<OfferedExtension>,
    /// Its sources.
    pub sources: Sources,
    /// The encodings of one picture that its owner would send (`a=simulcast:send`), in its order, the first four; of
    /// alternatives the first.
    pub encodings: Vec<Rid>,
    /// Its ICE credentials.
    pub credentials: Option<Credentials>,
    /// Hashes of the certificates that its owner may use.
    pub fingerprints: Vec<Fingerprint>,
    /// Its side of DTLS.
    pub setup: Option<Setup>,
    /// Its candidates, the first 32.
    pub candidates: Vec<Candidate>,
}

impl OfferedSection {
    /// Sound or picture.
    pub const fn media_kind(&self) -> Option<MediaKind> {
        match self.kind {
            SectionKind::Media(kind) => Some(kind),
            SectionKind::Other(_) => None,
        }
    }

    /// Whether the offerer wants it at all.
    pub(super) const fn is_live(&self) -> bool {
        self.port != 0 || self.bundle_only
    }

    /// Whether its profile may be meant as RTP over DTLS. RFC 9429, section 5.1.2: some clients write a plainer one, what
    /// counts is the fingerprint, and without one there is no session.
    pub(super) fn is_rtp(&self) -> bool {
        PROFILES.contains(&self.protocol.as_str())
    }

    /// The payload type that repeats packets of `payload_type`.
    pub(super) fn rtx_for(&self, payload_type: u8) -> Option<u8> {
        let repeats = |format: &&PayloadFormat| format.format == Format::Rtx { apt: payload_type };
        self.formats.iter().find(repeats).map(|format| format.payload_type)
    }
}

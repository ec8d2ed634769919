//! SDP offers (RFC 8866) and our answers to them, as JSEP (RFC 9429), WHIP (RFC 9725) and WHEP have them.
//!
//! [`Offer::parse`] takes what a client posted, [`answer()`] writes the answer and says what was agreed. Both are pure. The
//! answerer is ICE-lite, the passive side of DTLS wherever it may choose, and takes one bundle only: everything travels over one address.

mod answer;
mod choice;
mod format;
mod missing;
mod negotiated;
mod offer;
mod section;
mod transport;
mod writer;

pub use answer::{HostCandidate, Local, Sending, Track, Want, answer};
pub use format::{Feedback, Format, H264Format, OpusFormat, PayloadFormat, ProfileLevelId};
pub use negotiated::{Accepted, AcceptedCodec, DtlsRole, LocalSources, Negotiated, Remote};
pub use offer::{MAX_OFFER_LEN, Offer};
pub use section::{Direction, Mid, OfferedExtension, OfferedSection, Rid, SectionKind, Sources};
pub use transport::{Candidate, CandidateKind, Credentials, Fingerprint, HashKind, Setup, TransportKind};

pub(super) use transport::{is_password, is_ufrag};

use thiserror::Error;

/// Why an offer is not answered.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SdpError {
    /// It is longer than [`MAX_OFFER_LEN`].
    #[error("the offer is longer than {MAX_OFFER_LEN} bytes")]
    TooLong,
    /// A line breaks the grammar, or a limit; lines count from 1.
    #[error("line {line} of the offer: {why}")]
    Malformed {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Well-formed, and lacking or asking for something that rules a session out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No media section can be agreed on.
    #[error("no common codec: the offer has {offered}, needed is one of {needed}")]
    NoCommonCodec {
        /// The offer's codec names, comma-separated.
        offered: String,
        /// Ours.
        needed: String,
    },
}

/// What rules a session out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// Several media sections without a bundle group that holds them.
    #[error("the media sections must be bundled (a=group:BUNDLE)")]
    NotBundled,
    /// RTCP on an address of its own.
    #[error("RTCP must share the address of RTP (a=rtcp-mux)")]
    NoRtcpMux,
    /// An offer of no connection for now.
    #[error("the offer holds the connection back (a=setup:holdconn)")]
    HoldConn,
    /// Two ICE-lite agents, of which neither would check.
    #[error("the offerer is ICE-lite, as this server is (a=ice-lite)")]
    IceLite,
    /// No `a=ice-ufrag` or `a=ice-pwd`.
    #[error("no ICE credentials (a=ice-ufrag and a=ice-pwd)")]
    NoIce,
    /// No `a=fingerprint` of SHA-256, SHA-384 or SHA-512.
    #[error("no certificate fingerprint of SHA-256, SHA-384 or SHA-512")]
    NoFingerprint,
    /// Both sides only send, or both only receive.
    #[error("no media section has the direction that this endpoint needs")]
    Direction,
    /// No media section has a profile of RTP.
    #[error("no media section is RTP over DTLS (UDP/TLS/RTP/SAVPF)")]
    Profile,
    /// There is no audio and no video section.
    #[error("there is no audio and no video section")]
    NoMedia,
}

/// Whether the text can name a stream in `a=msid` (RFC 8830, section 2).
pub fn is_msid(text: &str) -> bool {
    is_token(text) && text.len() <= 64
}

/// Whether the text can stand where SDP wants a `token` (RFC 8866, section 9): printable, without separators.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&b))
}

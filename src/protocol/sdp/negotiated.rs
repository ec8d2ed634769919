//! What offer and answer agreed on: all that a peer needs to know of them.

use super::format::{Feedback, Format, ProfileLevelId};
use super::section::{Direction, Mid, Rid, Sources};
use super::transport::{Credentials, Fingerprint};
use crate::codec::{Codec, MediaKind};
use crate::protocol::rtp::{Extension, ExtensionIds, Ssrc};
use crate::time::ClockRate;
use bytes::Bytes;

/// The outcome of a negotiation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Negotiated {
    /// The other side's transport.
    pub remote: Remote,
    /// Our side of DTLS.
    pub dtls: DtlsRole,
    /// The sections over which media flows, at most one of each kind, in the offer's order. Never empty.
    pub sections: Vec<Accepted>,
}

/// The other side of the one transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// Its ICE credentials.
    pub credentials: Credentials,
    /// Its certificate has one of these hashes. Never empty.
    pub fingerprints: Vec<Fingerprint>,
}

/// Who begins the DTLS handshake (RFC 8842, section 5.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DtlsRole {
    /// The other side; so wherever the offer leaves the choice.
    Server,
    /// We do, as soon as ICE has an address: the offer says `a=setup:passive`, as ffmpeg's does.
    Client,
}

/// A section over which media flows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Its name; `None` only for a lone section of a client that does not bundle.
    pub mid: Option<Mid>,
    /// Sound or picture.
    pub kind: MediaKind,
    /// Ours: [`Direction::SendOnly`] or [`Direction::RecvOnly`].
    pub direction: Direction,
    /// The codecs agreed on, best first. Never empty; exactly one when receiving.
    pub codecs: Vec<AcceptedCodec>,
    /// H.264 parameter sets that the offer announces, when receiving: those of the codec's payload type.
    pub parameter_sets: Vec<Bytes>,
    /// The encodings of the picture that the other side sends at a time, each named in its packets, in the offer's order;
    /// empty where it sends one alone, without a name.
    pub encodings: Vec<Rid>,
    /// Header extensions under the offer's ids.
    pub extensions: ExtensionIds,
    /// The sources the other side has announced; when receiving, packets may come from others too.
    pub remote: Sources,
    /// Our sources, when sending: media, and retransmissions where the offer has a payload type for them.
    pub local: Option<LocalSources>,
    /// Whether RTCP packets may stand alone (RFC 5506) instead of behind a report.
    pub reduced_size_rtcp: bool,
}

/// The sources of a section that we send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalSources {
    /// The media's.
    pub media: Ssrc,
    /// The retransmissions'; `None`: lost packets are repeated as they were.
    pub rtx: Option<Ssrc>,
}

/// A codec under the offer's payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcceptedCodec {
    /// Which.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of its retransmissions.
    pub rtx: Option<u8>,
    /// Its parameters as offered.
    pub format: Format,
    /// RTCP feedback agreed on.
    pub feedback: Feedback,
}

impl Accepted {
    /// The clock of the section's RTP timestamps, whichever of its codecs they are of.
    pub fn clock_rate(&self) -> ClockRate {
        match (self.codecs.first(), self.kind) {
            (Some(codec), _) => codec.format.clock_rate(),
            (None, MediaKind::Audio) => ClockRate::OPUS,
            (None, MediaKind::Video) => ClockRate::VIDEO,
        }
    }
}

impl Negotiated {
    /// The section of a kind.
    pub fn section(&self, kind: MediaKind) -> Option<&Accepted> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The header extensions of all sections together: within a bundle an id means the same in each (RFC 9143, section 9.2).
    pub fn extensions(&self) -> ExtensionIds {
        let mut all = ExtensionIds::default();
        for extension in Extension::ALL {
            let id = self.sections.iter().find_map(|section| section.extensions.get(extension));
            id.map(|id| all.insert(extension, id));
        }
        all
    }
}

impl Accepted {
    /// Whether its packets carry transport-wide sequence numbers, and feedback comes of them.
    pub fn is_numbered(&self) -> bool {
        self.extensions.get(Extension::TransportCc).is_some()
            && self.codecs.iter().all(|codec| codec.feedback.transport_cc)
    }

    /// Its packets carry no such numbers.
    pub(super) fn unnumber(&mut self) {
        self.extensions.remove(Extension::TransportCc);
        self.codecs.iter_mut().for_each(|codec| codec.feedback.transport_cc = false);
    }

    /// The codec of a payload type, and whether that is the payload type of its retransmissions.
    pub fn by_payload_type(&self, payload_type: u8) -> Option<(&AcceptedCodec, bool)> {
        self.codecs.iter().find_map(|codec| {
            let rtx = codec.rtx == Some(payload_type);
            (rtx || codec.payload_type == payload_type).then_some((codec, rtx))
        })
    }

    /// What to send `codec` as: of several payload types of H.264 the one that suits the stream's profile best.
    pub fn best(&self, codec: Codec, profile: Option<ProfileLevelId>) -> Option<&AcceptedCodec> {
        let candidates = self.codecs.iter().filter(|accepted| accepted.codec == codec);
        candidates.min_by_key(|accepted| accepted.misfit(profile))
    }
}

impl AcceptedCodec {
    /// How badly it suits a stream of the profile; 0 for all but H.264 and while the profile is not known.
    pub(super) const fn misfit(&self, profile: Option<ProfileLevelId>) -> u8 {
        match (&self.format, profile) {
            (Format::H264(offered), Some(profile)) => profile.misfit(offered.profile),
            _ => 0,
        }
    }
}

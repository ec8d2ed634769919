//! Deciding on an offer, section by section in its order.
//!
//! Payload types, extension ids and names are the offer's. A section whose codecs or kind nobody here knows is refused
//! (port 0); one that is known but has nothing to carry, e.g. a second video, stays as `inactive`. Simulcast is agreed to
//! where the packets' encodings can be told apart. Video orientation is not: a publisher then turns the picture itself, as
//! RTMP players need it.

use super::choice::{extensions, to_receive, to_send};
use super::format::{PayloadFormat, ProfileLevelId};
use super::missing::check;
use super::negotiated::{Accepted, AcceptedCodec, DtlsRole, LocalSources, Negotiated, Remote};
use super::offer::Offer;
use super::section::{Direction, OfferedSection};
use super::transport::{Fingerprint, Setup, TransportKind};
use super::writer::Writer;
use super::{Refusal, SdpError};
use crate::codec::{Codec, MediaKind};
use crate::protocol::rtp::{Extension, Ssrc};
use std::net::SocketAddr;

/// Our side of the transport.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Our ICE user name fragment.
    pub ufrag: &'a str,
    /// Our ICE password.
    pub password: &'a str,
    /// The hash of our certificate.
    pub fingerprint: &'a Fingerprint,
    /// Where we can be reached, best first.
    pub candidates: &'a [HostCandidate],
    /// Names the session in `o=`; any number.
    pub session_id: u64,
}

/// An address of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostCandidate {
    /// The address.
    pub address: SocketAddr,
    /// UDP, or TCP to which the client connects.
    pub transport: TransportKind,
}

/// What this side is to do.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    /// WHIP: the client publishes. Of each kind one codec is taken.
    Receive,
    /// WHEP: the client watches. All codecs known are kept, so that a later track finds its own.
    Send(Sending<'a>),
}

/// What we send.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// What the stream has now, in the codecs that a viewer would get; may be empty. The offer must have one of them.
    pub tracks: &'a [Track],
    /// The kinds that the stream will not have: their sections are `inactive`, as a player waits for what it was promised.
    pub lacks: &'a [MediaKind],
    /// Names the stream, for both tracks alike, so that the client plays them in step (`a=msid`).
    pub stream_id: &'a str,
    /// Our canonical name (RFC 3550, section 6.5.1).
    pub cname: &'a str,
    /// The source of sound.
    pub audio: Ssrc,
    /// The source of the picture.
    pub video: Ssrc,
    /// The source of the picture's retransmissions.
    pub video_rtx: Ssrc,
}

/// A track as a viewer would get it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Track {
    /// Its codec.
    pub codec: Codec,
    /// The profile of an H.264 track, when known.
    pub profile: Option<ProfileLevelId>,
    /// H.264 of which every packet is one NAL unit, so that a viewer of packetization mode 0 can have it.
    pub single_nal: bool,
}

impl Sending<'_> {
    /// Whether there is something to send in one of the codecs, or may be later.
    fn fills(&self, kind: MediaKind, codecs: &[AcceptedCodec]) -> bool {
        let mut tracks = self.tracks.iter().filter(|track| track.codec.kind() == kind).peekable();
        match tracks.peek() {
            None => !self.lacks.contains(&kind),
            Some(_) => tracks.any(|track| codecs.iter().any(|codec| codec.codec == track.codec)),
        }
    }
}

/// Answers an offer: the text, and what was agreed on.
pub fn answer(offer: &Offer, local: &Local<'_>, want: &Want<'_>) -> Result<(String, Negotiated), SdpError> {
    let (remote, dtls) = remote(offer)?;
    let mut sections: Vec<Accepted> = Vec::new();
    let mut verdicts: Vec<Verdict> = offer
        .sections
        .iter()
        .map(|section| match judge(offer, section, want, &sections) {
            Verdict::Accept(accepted) => {
                sections.push(accepted.clone());
                Verdict::Accept(accepted)
            }
            verdict => verdict,
        })
        .collect();
    // The line is judged by all that is numbered: sound alone would make it look as narrow as sound is.
    let is_unnumbered = |section: &Accepted| section.kind == MediaKind::Video && !section.is_numbered();
    if matches!(want, Want::Send(_)) && sections.iter().any(is_unnumbered) {
        let accepted = verdicts.iter_mut().filter_map(|verdict| match verdict {
            Verdict::Accept(accepted) => Some(accepted),
            _ => None,
        });
        accepted.chain(&mut sections).for_each(Accepted::unnumber);
    }
    check(offer, want, &sections, &verdicts)?;
    let text = Writer::new(local, want, dtls).write(offer, &verdicts);
    Ok((text, Negotiated { remote, dtls, sections }))
}

/// What becomes of a section.
pub(super) enum Verdict {
    Accept(Accepted),
    /// Known, but nothing flows.
    Idle(Vec<AcceptedCodec>),
    /// Something could flow, but there is nothing that this client can be sent.
    Empty(Vec<AcceptedCodec>),
    Refuse,
}

/// The transport of the bundle, or of the only section.
fn remote(offer: &Offer) -> Result<(Remote, DtlsRole), Refusal> {
    let live = || offer.sections.iter().filter(|section| section.is_live());
    let media = live().filter(|section| section.media_kind().is_some()).count();
    if media == 0 {
        return Err(Refusal::NoMedia);
    }
    if !live().any(|section| section.media_kind().is_some() && section.is_rtp()) {
        return Err(Refusal::Profile);
    }
    if offer.bundle.is_empty() && media > 1 {
        return Err(Refusal::NotBundled);
    }
    if offer.ice_lite {
        return Err(Refusal::IceLite);
    }
    // Sections other than the first of the bundle may leave out what they share with it (RFC 9143, section 7.1.3).
    let bundled = || live().filter(|section| in_bundle(offer, section));
    let first = bundled().next().ok_or(Refusal::NotBundled)?;
    let credentials = bundled().find_map(|section| section.credentials.clone()).ok_or(Refusal::NoIce)?;
    let fingerprints = bundled().map(|section| &section.fingerprints).find(|list| !list.is_empty());
    let fingerprints = fingerprints.ok_or(Refusal::NoFingerprint)?.clone();
    if !bundled().any(|section| section.rtcp_mux) {
        return Err(Refusal::NoRtcpMux);
    }
    let dtls = match first.setup {
        Some(Setup::ActPass | Setup::Active) | None => DtlsRole::Server,
        Some(Setup::Passive) => DtlsRole::Client,
        Some(Setup::HoldConn) => return Err(Refusal::HoldConn),
    };
    Ok((Remote { credentials, fingerprints }, dtls))
}

fn in_bundle(offer: &Offer, section: &OfferedSection) -> bool {
    offer.bundle.is_empty() || section.mid.as_ref().is_some_and(|mid| offer.bundle.contains(mid))
}

/// Decides on one section, given those accepted before it.
fn judge(offer: &Offer, section: &OfferedSection, want: &Want<'_>, before: &[Accepted]) -> Verdict {
    let is_possible = section.is_live() && section.is_rtp() && in_bundle(offer, section);
    let Some(kind) = section.media_kind().filter(|_| is_possible) else {
        return Verdict::Refuse;
    };
    let codecs = match want {
        Want::Receive => to_receive(section, kind).into_iter().collect(),
        Want::Send(sending) => to_send(section, kind, sending),
    };
    if codecs.is_empty() {
        return Verdict::Refuse;
    }
    let direction = match want {
        Want::Receive if section.direction.sends() => Direction::RecvOnly,
        Want::Send(_) if section.direction.receives() => Direction::SendOnly,
        _ => return Verdict::Idle(codecs),
    };
    if let Want::Send(sending) = want
        && !sending.fills(kind, &codecs)
    {
        return Verdict::Empty(codecs);
    }
    if before.iter().any(|accepted| accepted.kind == kind) {
        return Verdict::Idle(codecs);
    }
    let local = match want {
        Want::Receive => None,
        Want::Send(sending) => {
            let rtx = codecs.iter().any(|codec| codec.rtx.is_some());
            Some(match kind {
                MediaKind::Audio => LocalSources { media: sending.audio, rtx: None },
                MediaKind::Video => {
                    LocalSources { media: sending.video, rtx: rtx.then_some(sending.video_rtx) }
                }
            })
        }
    };
    let received = |format: &&PayloadFormat| {
        direction.receives() && codecs.iter().any(|codec| codec.payload_type == format.payload_type)
    };
    let parameter_sets =
        section.formats.iter().find(received).map_or_else(Vec::new, |format| format.parameter_sets.clone());
    let extensions = extensions(section, kind, direction, &codecs);
    // Without names in the packets there is no telling which encoding is which.
    let is_named = [Extension::Mid, Extension::Rid].iter().all(|name| extensions.get(*name).is_some());
    let encodings = if direction.receives() && kind == MediaKind::Video && is_named {
        section.encodings.clone()
    } else {
        Vec::new()
    };
    Verdict::Accept(Accepted {
        parameter_sets,
        encodings,
        mid: section.mid.clone(),
        kind,
        direction,
        codecs,
        extensions,
        remote: section.sources,
        local,
        reduced_size_rtcp: section.rtcp_rsize,
    })
}

#[cfg(test)]
mod tests;

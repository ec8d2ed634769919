//! Writing the answer, section by section in the offer's order.
//!
//! Payload types, extension ids and names are the offer's. A section whose codecs or kind nobody here knows is refused
//! (port 0); one that is known but has nothing to carry, e.g. a second video, stays as `inactive`. Simulcast is not
//! agreed to, upon which a client sends its first encoding alone. Neither is video orientation: a publisher then turns the
//! picture itself, as RTMP players need it.

use super::format::{Feedback, Format, PayloadFormat, ProfileLevelId};
use super::negotiated::{Accepted, AcceptedCodec, LocalSources, Negotiated, Remote};
use super::offer::Offer;
use super::section::{Direction, OfferedSection};
use super::transport::{Fingerprint, Setup, TransportKind};
use super::{Refusal, SdpError};
use crate::codec::{Codec, MediaKind};
use crate::protocol::rtp::{Extension, ExtensionIds, Ssrc};
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What can be received and sent, and the needs named when an offer has none of them.
const CODECS: [Codec; 3] = [Codec::Opus, Codec::H264, Codec::Vp8];
/// Type preferences of candidates (RFC 8445, section 5.1.2.2): host over UDP before host over TCP.
const UDP_PREFERENCE: u32 = 126;
const TCP_PREFERENCE: u32 = 90;
/// What stands for a port where there is none yet.
const DISCARD_PORT: u16 = 9;

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
    /// WHIP: the client publishes. Of each kind the offer's first codec that is known is taken.
    Receive,
    /// WHEP: the client watches. All codecs known are kept, so that a later track finds its own.
    Send(Sending<'a>),
}

/// What we send.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// What the stream has now, in the codecs that a viewer would get; may be empty. The offer must have one of them.
    pub tracks: &'a [Track],
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
}

/// Answers an offer: the text, and what was agreed on.
pub fn answer(offer: &Offer, local: &Local<'_>, want: &Want<'_>) -> Result<(String, Negotiated), SdpError> {
    let remote = remote(offer)?;
    let mut sections: Vec<Accepted> = Vec::new();
    let verdicts: Vec<Verdict> = offer
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
    check(offer, want, &sections)?;
    let text = Writer::new(local, want).write(offer, &verdicts);
    Ok((text, Negotiated { remote, sections }))
}

/// What becomes of a section.
enum Verdict {
    Accept(Accepted),
    /// Known, but nothing flows.
    Idle(Vec<AcceptedCodec>),
    Refuse,
}

/// The transport of the bundle, or of the only section.
fn remote(offer: &Offer) -> Result<Remote, Refusal> {
    let live = || offer.sections.iter().filter(|section| section.is_live());
    let media = live().filter(|section| section.media_kind().is_some()).count();
    if media == 0 {
        return Err(Refusal::NoMedia);
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
    match first.setup {
        Some(Setup::Passive | Setup::HoldConn) => Err(Refusal::PassiveSetup),
        Some(Setup::ActPass | Setup::Active) | None => Ok(Remote { credentials, fingerprints }),
    }
}

fn in_bundle(offer: &Offer, section: &OfferedSection) -> bool {
    offer.bundle.is_empty() || section.mid.as_ref().is_some_and(|mid| offer.bundle.contains(mid))
}

/// Decides on one section, given those accepted before it.
fn judge(offer: &Offer, section: &OfferedSection, want: &Want<'_>, before: &[Accepted]) -> Verdict {
    let Some(kind) = section.media_kind().filter(|_| section.is_live() && in_bundle(offer, section)) else {
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
    Verdict::Accept(Accepted {
        mid: section.mid.clone(),
        kind,
        direction,
        codecs,
        extensions: extensions(section, kind, direction),
        remote: section.sources,
        local,
        reduced_size_rtcp: section.rtcp_rsize,
    })
}

/// The offer's first known codec. Of several payload types of H.264, one that all browsers decode and that may be
/// fragmented (packetization mode 1) comes first.
fn to_receive(section: &OfferedSection, kind: MediaKind) -> Option<AcceptedCodec> {
    let known = |codec: Option<Codec>| {
        section.formats.iter().filter(move |format| {
            let offered = format.format.codec().filter(|codec| codec.kind() == kind);
            offered.is_some() && (codec.is_none() || offered == codec)
        })
    };
    let first = known(None).next()?;
    let rank = |format: &&PayloadFormat| match format.format {
        Format::H264(h264) => (!h264.profile.is_common(), h264.packetization_mode != 1),
        _ => (false, false),
    };
    known(first.format.codec()).min_by_key(rank).and_then(|format| accept(section, format, kind))
}

/// All known codecs: those of the stream's tracks first, of H.264 the payload type that suits the stream best; then in
/// the offer's order. Packetization mode 0 only where there is no mode 1.
fn to_send(section: &OfferedSection, kind: MediaKind, sending: &Sending<'_>) -> Vec<AcceptedCodec> {
    let mode = |codec: &AcceptedCodec| match codec.format {
        Format::H264(h264) => Some(h264.packetization_mode),
        _ => None,
    };
    let mut codecs: Vec<AcceptedCodec> =
        section.formats.iter().filter_map(|format| accept(section, format, kind)).collect();
    if codecs.iter().any(|codec| mode(codec) == Some(1)) {
        codecs.retain(|codec| mode(codec) != Some(0));
    }
    let track = |codec: &AcceptedCodec| sending.tracks.iter().find(|track| track.codec == codec.codec);
    // A stable sort keeps the offer's order among equals.
    codecs.sort_by_key(|codec| match track(codec) {
        Some(track) => (false, codec.misfit(track.profile)),
        None => (true, 0),
    });
    codecs
}

fn accept(section: &OfferedSection, format: &PayloadFormat, kind: MediaKind) -> Option<AcceptedCodec> {
    let codec = format.format.codec().filter(|codec| codec.kind() == kind)?;
    let all = Feedback { nack: true, pli: true, fir: true, transport_cc: true };
    let ours = match kind {
        MediaKind::Video => all,
        MediaKind::Audio => Feedback { pli: false, fir: false, ..all },
    };
    let mut feedback = format.feedback.and(ours);
    // Feedback without the sequence number that it speaks of would be empty.
    feedback.transport_cc &= section.extensions.iter().any(|e| e.extension == Extension::TransportCc);
    let rtx = section.rtx_for(format.payload_type).filter(|_| kind == MediaKind::Video && feedback.nack);
    Some(AcceptedCodec { codec, payload_type: format.payload_type, rtx, format: format.format, feedback })
}

/// The header extensions that somebody here reads or writes.
fn extensions(section: &OfferedSection, kind: MediaKind, direction: Direction) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for offered in &section.extensions {
        let useful = match offered.extension {
            Extension::Mid | Extension::TransportCc => true,
            Extension::AudioLevel => kind == MediaKind::Audio,
            Extension::AbsSendTime => direction.sends(),
            Extension::Rid | Extension::RepairedRid | Extension::Orientation => false,
        };
        let flows = if direction.sends() { offered.direction.receives() } else { offered.direction.sends() };
        if useful && flows && ids.get(offered.extension).is_none() && ids.extension(offered.id).is_none() {
            ids.insert(offered.extension, offered.id);
        }
    }
    ids
}

/// Whether what was accepted makes a session.
fn check(offer: &Offer, want: &Want<'_>, accepted: &[Accepted]) -> Result<(), SdpError> {
    let tracks = match want {
        Want::Receive => &[][..],
        Want::Send(sending) => sending.tracks,
    };
    let has = |codec| accepted.iter().any(|section| section.codecs.iter().any(|c| c.codec == codec));
    if !accepted.is_empty() && (tracks.is_empty() || tracks.iter().any(|track| has(track.codec))) {
        return Ok(());
    }
    let sections = || offer.sections.iter().filter(|section| section.media_kind().is_some());
    let known = |section: &OfferedSection| section.formats.iter().any(|f| f.format.codec().is_some());
    if accepted.is_empty() && sections().any(known) {
        return Err(Refusal::Direction.into());
    }
    let mut offered: Vec<&str> =
        sections().flat_map(|section| &section.formats).map(|format| format.name.as_str()).collect();
    offered.retain(|name| !name.is_empty() && !name.eq_ignore_ascii_case("rtx"));
    offered.dedup();
    let needed: Vec<&str> = match tracks {
        [] => CODECS.map(Codec::as_str).to_vec(),
        tracks => tracks.iter().map(|track| track.codec.as_str()).collect(),
    };
    Err(SdpError::NoCommonCodec { offered: offered.join(", "), needed: needed.join(", ") })
}

/// Writes lines.
struct Writer<'a> {
    out: String,
    local: &'a Local<'a>,
    want: &'a Want<'a>,
    candidates_written: bool,
}

impl<'a> Writer<'a> {
    const fn new(local: &'a Local<'a>, want: &'a Want<'a>) -> Self {
        Self { out: String::new(), local, want, candidates_written: false }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.out.write_fmt(line);
        self.out.push_str("\r\n");
    }

    fn write(mut self, offer: &Offer, verdicts: &[Verdict]) -> String {
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {} 1 IN IP4 0.0.0.0", self.local.session_id));
        self.line(format_args!("s=-"));
        self.line(format_args!("t=0 0"));
        self.bundle(offer, verdicts);
        self.line(format_args!("a=ice-lite"));
        if let Want::Send(_) = self.want {
            self.line(format_args!("a=msid-semantic:WMS *"));
        }
        for (section, verdict) in offer.sections.iter().zip(verdicts) {
            match verdict {
                Verdict::Accept(accepted) => self.accepted(section, accepted),
                Verdict::Idle(codecs) => {
                    self.transport(section, codecs);
                    self.line(format_args!("a=inactive"));
                    self.codecs(codecs);
                }
                Verdict::Refuse => self.refused(section),
            }
        }
        self.out
    }

    /// The offer's group without what was refused, in the group's order.
    fn bundle(&mut self, offer: &Offer, verdicts: &[Verdict]) {
        if offer.bundle.is_empty() {
            return;
        }
        let refused = |mid| {
            let mut pairs = offer.sections.iter().zip(verdicts);
            !pairs.any(|(section, v)| section.mid.as_ref() == Some(mid) && !matches!(v, Verdict::Refuse))
        };
        let kept: Vec<&str> =
            offer.bundle.iter().filter(|mid| !refused(mid)).map(|mid| mid.as_str()).collect();
        self.line(format_args!("a=group:BUNDLE {}", kept.join(" ")));
    }

    fn accepted(&mut self, section: &OfferedSection, accepted: &Accepted) {
        self.transport(section, &accepted.codecs);
        self.line(format_args!("a={}", accepted.direction.as_str()));
        if accepted.reduced_size_rtcp {
            self.line(format_args!("a=rtcp-rsize"));
        }
        for offered in &section.extensions {
            if accepted.extensions.get(offered.extension) == Some(offered.id) {
                let direction = match offered.direction {
                    Direction::SendRecv | Direction::Inactive => "",
                    Direction::SendOnly => "/recvonly",
                    Direction::RecvOnly => "/sendonly",
                };
                self.line(format_args!("a=extmap:{}{direction} {}", offered.id, offered.extension.uri()));
            }
        }
        self.codecs(&accepted.codecs);
        if let (Want::Send(sending), Some(local)) = (self.want, accepted.local) {
            self.sources(sending, accepted.kind, local);
        }
    }

    /// A refusal repeats kind, protocol and one format (RFC 3264, section 6).
    fn refused(&mut self, section: &OfferedSection) {
        let OfferedSection { kind, protocol, first_format, .. } = section;
        self.line(format_args!("m={} 0 {protocol} {first_format}", kind.as_str()));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        if let Some(mid) = &section.mid {
            self.line(format_args!("a=mid:{mid}"));
        }
        self.line(format_args!("a=inactive"));
    }

    /// The `m=` line and what is said of the transport, in each section alike: not every client looks in the first.
    fn transport(&mut self, section: &OfferedSection, codecs: &[AcceptedCodec]) {
        let udp = self.local.candidates.iter().find(|c| c.transport == TransportKind::Udp);
        let (ip, port) = match udp {
            Some(candidate) => (candidate.address.ip(), candidate.address.port()),
            None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), DISCARD_PORT),
        };
        let mut formats = String::new();
        for pt in codecs.iter().flat_map(|codec| [Some(codec.payload_type), codec.rtx]).flatten() {
            let _ = write!(formats, " {pt}");
        }
        self.line(format_args!("m={} {port} {}{formats}", section.kind.as_str(), section.protocol));
        self.line(format_args!("c=IN {} {ip}", if ip.is_ipv4() { "IP4" } else { "IP6" }));
        if let Some(mid) = &section.mid {
            self.line(format_args!("a=mid:{mid}"));
        }
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=ice-ufrag:{}", self.local.ufrag));
        self.line(format_args!("a=ice-pwd:{}", self.local.password));
        self.line(format_args!("a=fingerprint:{}", self.local.fingerprint));
        self.line(format_args!("a=setup:passive"));
        if !std::mem::replace(&mut self.candidates_written, true) {
            self.candidates();
        }
    }

    fn candidates(&mut self) {
        for (index, candidate) in self.local.candidates.iter().enumerate() {
            // At most a handful of addresses; past 8191 priorities would only stop to differ.
            let rank = u32::try_from(index).unwrap_or(u32::MAX).min(8_191);
            let (ip, port) = (candidate.address.ip(), candidate.address.port());
            let (name, kind, preference, suffix) = match candidate.transport {
                TransportKind::Udp => ("udp", UDP_PREFERENCE, 65_535 - rank, ""),
                // RFC 6544, section 4.2: direction preference 4 for passive hosts, in the three top bits.
                TransportKind::Tcp => ("tcp", TCP_PREFERENCE, (4 << 13) + 8_191 - rank, " tcptype passive"),
            };
            let priority = kind << 24 | preference << 8 | 255;
            let foundation = index + 1;
            self.line(format_args!(
                "a=candidate:{foundation} 1 {name} {priority} {ip} {port} typ host{suffix}"
            ));
        }
        self.line(format_args!("a=end-of-candidates"));
    }

    fn codecs(&mut self, codecs: &[AcceptedCodec]) {
        for codec in codecs {
            let pt = codec.payload_type;
            match codec.format {
                Format::H264(format) => {
                    self.line(format_args!("a=rtpmap:{pt} H264/90000"));
                    self.line(format_args!("a=fmtp:{pt} {format}"));
                }
                Format::Vp8 => self.line(format_args!("a=rtpmap:{pt} VP8/90000")),
                Format::Opus(format) => {
                    self.line(format_args!("a=rtpmap:{pt} opus/48000/2"));
                    match self.want {
                        // Sound from the other side may end as stereo AAC, and gaps are mended from FEC.
                        Want::Receive => {
                            self.line(format_args!("a=fmtp:{pt} minptime=10;stereo=1;useinbandfec=1"))
                        }
                        Want::Send(_) if format.stereo => {
                            self.line(format_args!(
                                "a=fmtp:{pt} minptime=10;sprop-stereo=1;stereo=1;useinbandfec=1"
                            ));
                        }
                        Want::Send(_) => self.line(format_args!("a=fmtp:{pt} minptime=10;useinbandfec=1")),
                    }
                }
                Format::Rtx { .. } | Format::Other => {} // never accepted as codecs
            }
            for value in codec.feedback.values() {
                self.line(format_args!("a=rtcp-fb:{pt} {value}"));
            }
            if let Some(rtx) = codec.rtx {
                self.line(format_args!("a=rtpmap:{rtx} rtx/90000"));
                self.line(format_args!("a=fmtp:{rtx} apt={pt}"));
            }
        }
    }

    fn sources(&mut self, sending: &Sending<'_>, kind: MediaKind, local: LocalSources) {
        let stream = sending.stream_id;
        self.line(format_args!("a=msid:{stream} {kind}"));
        if let Some(rtx) = local.rtx {
            self.line(format_args!("a=ssrc-group:FID {} {rtx}", local.media));
        }
        for ssrc in [Some(local.media), local.rtx].into_iter().flatten() {
            self.line(format_args!("a=ssrc:{ssrc} cname:{}", sending.cname));
            self.line(format_args!("a=ssrc:{ssrc} msid:{stream} {kind}"));
        }
    }
}

//! The text of an answer.

use super::answer::{Local, Sending, Verdict, Want};
use super::format::Format;
use super::negotiated::{Accepted, AcceptedCodec, DtlsRole, LocalSources};
use super::offer::Offer;
use super::section::{Direction, OfferedSection, Rid};
use super::transport::TransportKind;
use crate::codec::MediaKind;
use crate::codec::g711::Law;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};

/// Type preferences of candidates (RFC 8445, section 5.1.2.2): host over UDP before host over TCP.
const UDP_PREFERENCE: u32 = 126;
const TCP_PREFERENCE: u32 = 90;
/// What stands for a port where there is none yet.
const DISCARD_PORT: u16 = 9;

/// Writes lines.
pub(super) struct Writer<'a> {
    out: String,
    local: &'a Local<'a>,
    want: &'a Want<'a>,
    dtls: DtlsRole,
    candidates_written: bool,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(local: &'a Local<'a>, want: &'a Want<'a>, dtls: DtlsRole) -> Self {
        Self { out: String::new(), local, want, dtls, candidates_written: false }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.out.write_fmt(line);
        self.out.push_str("\r\n");
    }

    pub(super) fn write(mut self, offer: &Offer, verdicts: &[Verdict]) -> String {
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
                Verdict::Idle(codecs) | Verdict::Empty(codecs) => {
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
        for rid in &accepted.encodings {
            self.line(format_args!("a=rid:{rid} recv"));
        }
        if !accepted.encodings.is_empty() {
            let names: Vec<_> = accepted.encodings.iter().map(Rid::as_str).collect();
            self.line(format_args!("a=simulcast:recv {}", names.join(";")));
        }
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
        self.line(format_args!(
            "a=setup:{}",
            match self.dtls {
                DtlsRole::Server => "passive",
                DtlsRole::Client => "active",
            }
        ));
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
                Format::G711(Law::Mu) => self.line(format_args!("a=rtpmap:{pt} PCMU/8000")),
                Format::G711(Law::A) => self.line(format_args!("a=rtpmap:{pt} PCMA/8000")),
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

//! Reading an offer, line by line. What is not known is passed over; what is known must be right.

use super::format::{Feedback, Format, PayloadFormat, parameter_sets};
use super::section::{Direction, Mid, OfferedExtension, OfferedSection, Rid, SectionKind, Sources};
use super::transport::{Candidate, Credentials, Fingerprint, FingerprintValue, Setup, is_password, is_ufrag};
use super::{SdpError, is_token};
use crate::protocol::rtp::{Extension, Ssrc};
use crate::time::ClockRate;

/// The longest offer that is read, in bytes. Browsers' are 4 to 10 KB.
pub const MAX_OFFER_LEN: usize = 64 * 1024;

const MAX_SECTIONS: usize = 64;
/// More candidates than that are passed over: nothing is sent to them anyway.
const MAX_CANDIDATES: usize = 32;
/// Of the extensions known here; more than that repeat themselves.
const MAX_EXTENSIONS: usize = 16;
const MAX_FINGERPRINTS: usize = 8;
/// Browsers send up to three encodings of a picture.
const MAX_ENCODINGS: usize = 4;
/// Payload types have seven bits.
const MAX_FORMATS: usize = 128;

/// What a client offers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The names of the sections that share one transport (`a=group:BUNDLE`); of several groups, the first.
    pub bundle: Vec<Mid>,
    /// Whether the offerer is ICE-lite itself; two such never connect.
    pub ice_lite: bool,
    /// In order.
    pub sections: Vec<OfferedSection>,
}

impl Offer {
    /// Reads an offer of at most [`MAX_OFFER_LEN`] bytes. Lines may end in CR LF or LF.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_OFFER_LEN {
            return Err(SdpError::TooLong);
        }
        let mut parser = Parser::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            parser.line(index, line).map_err(|why| SdpError::Malformed { line: index + 1, why })?;
        }
        parser.finish()
    }
}

/// Why a line is refused.
type Why = &'static str;

/// Attributes that may stand at the session level and hold for each section without its own.
#[derive(Clone, Default)]
struct Shared {
    ufrag: Option<String>,
    password: Option<String>,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    direction: Option<Direction>,
    extensions: Vec<OfferedExtension>,
}

/// `a=rtpmap`, `a=fmtp` and `a=rtcp-fb` may come in any order; they are joined at the end.
#[derive(Default)]
struct RawFormat {
    payload_type: u8,
    map: Option<(String, ClockRate, u8)>,
    fmtp: String,
    feedback: Feedback,
}

struct RawSection {
    kind: SectionKind,
    port: u16,
    protocol: String,
    first_format: String,
    formats: Vec<RawFormat>,
    feedback_for_all: Feedback,
    shared: Shared,
    mid: Option<Mid>,
    bundle_only: bool,
    rtcp_mux: bool,
    rtcp_rsize: bool,
    sources: Sources,
    /// Those that it can send, and those that it would send at a time.
    rids: Vec<Rid>,
    simulcast: Vec<Rid>,
    candidates: Vec<Candidate>,
}

#[derive(Default)]
struct Parser {
    bundle: Option<Vec<Mid>>,
    ice_lite: bool,
    session: Shared,
    sections: Vec<RawSection>,
}

impl Parser {
    fn line(&mut self, index: usize, line: &str) -> Result<(), Why> {
        if index == 0 {
            return if line == "v=0" { Ok(()) } else { Err("the first line must be v=0") };
        }
        if line.is_empty() {
            return Ok(());
        }
        // Parts of the offer are repeated in the answer: no control character may pass.
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err("a control character");
        }
        match line.split_once('=') {
            Some(("m", value)) => {
                if self.sections.len() == MAX_SECTIONS {
                    return Err("too many media sections");
                }
                self.sections.push(RawSection::parse(value)?);
                Ok(())
            }
            Some(("a", value)) => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                match self.sections.last_mut() {
                    Some(section) => section.attribute(name, value).and_then(|()| self.no_name_twice()),
                    None => self.attribute(name, value),
                }
            }
            Some((kind, _)) if kind.len() == 1 && kind.as_bytes()[0].is_ascii_lowercase() => Ok(()),
            _ => Err("not of the form <letter>=<value>"),
        }
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Why> {
        match name {
            "ice-lite" => self.ice_lite = true,
            "group" => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("BUNDLE") && self.bundle.is_none() {
                    let mids: Option<Vec<Mid>> = words.take(MAX_SECTIONS + 1).map(Mid::new).collect();
                    self.bundle = Some(mids.ok_or("the bundle group names what is no section")?);
                }
            }
            _ => return self.session.attribute(name, value),
        }
        Ok(())
    }

    /// Checks the name of the last section: who sends by it must be told from the others.
    fn no_name_twice(&self) -> Result<(), Why> {
        match self.sections.split_last() {
            Some((last, others)) if last.mid.is_some() && others.iter().any(|s| s.mid == last.mid) => {
                Err("the mid of another section")
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Offer, SdpError> {
        let session = self.session;
        let sections: Vec<OfferedSection> =
            self.sections.into_iter().map(|section| section.finish(&session)).collect();
        Ok(Offer { bundle: self.bundle.unwrap_or_default(), ice_lite: self.ice_lite, sections })
    }
}

impl Shared {
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Why> {
        match name {
            "ice-ufrag" if is_ufrag(value) => self.ufrag = Some(value.to_owned()),
            "ice-ufrag" => return Err("ice-ufrag is not 4 to 256 letters, digits, + or /"),
            "ice-pwd" if is_password(value) => self.password = Some(value.to_owned()),
            "ice-pwd" => return Err("ice-pwd is not 22 to 256 letters, digits, + or /"),
            "fingerprint" => match Fingerprint::parse(value) {
                FingerprintValue::Known(fingerprint) if self.fingerprints.len() < MAX_FINGERPRINTS => {
                    self.fingerprints.push(fingerprint);
                }
                FingerprintValue::Known(_) | FingerprintValue::OtherHash => {}
                FingerprintValue::Malformed => return Err("not a fingerprint"),
            },
            "setup" => {
                self.setup = Some(Setup::parse(value).ok_or("not a setup role")?);
            }
            "extmap" if self.extensions.len() < MAX_EXTENSIONS => self.extensions.extend(extension(value)),
            _ => {
                if let Some(direction) = Direction::parse(name) {
                    self.direction = Some(direction);
                }
            }
        }
        Ok(())
    }
}

impl RawSection {
    /// `<kind> <port>[/<count>] <protocol> <format> ...`
    fn parse(value: &str) -> Result<Self, Why> {
        let mut words = value.split_ascii_whitespace();
        let kind = words.next().filter(|kind| is_token(kind)).ok_or("no media kind")?;
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).ok_or("no port")?;
        let protocol = words.next().ok_or("no transport protocol")?;
        if !protocol.split('/').all(is_token) {
            return Err("not a transport protocol");
        }
        let first_format = words.clone().next().filter(|format| is_token(format)).ok_or("no format")?;
        let mut section = Self {
            kind: SectionKind::new(kind),
            port,
            protocol: protocol.to_owned(),
            first_format: first_format.to_owned(),
            formats: Vec::new(),
            feedback_for_all: Feedback::default(),
            shared: Shared::default(),
            mid: None,
            bundle_only: false,
            rtcp_mux: false,
            rtcp_rsize: false,
            sources: Sources::default(),
            rids: Vec::new(),
            simulcast: Vec::new(),
            candidates: Vec::new(),
        };
        if let SectionKind::Media(_) = section.kind {
            for word in words {
                let payload_type = payload_type(word).ok_or("a format that is no payload type")?;
                if section.format(payload_type).is_none() && section.formats.len() < MAX_FORMATS {
                    section.formats.push(RawFormat { payload_type, ..RawFormat::default() });
                }
            }
        }
        Ok(section)
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Why> {
        match name {
            "mid" => self.mid = Some(Mid::new(value).ok_or("mid is not a token of 1 to 64 bytes")?),
            "bundle-only" => self.bundle_only = true,
            "rtcp-mux" => self.rtcp_mux = true,
            "rtcp-rsize" => self.rtcp_rsize = true,
            "rtpmap" => {
                let (pt, map) = split_payload_type(value).ok_or("rtpmap without a payload type")?;
                if let Some(format) = self.format(pt) {
                    format.map = Some(rtpmap(map).ok_or("rtpmap is not <name>/<clock rate>[/<channels>]")?);
                }
            }
            "fmtp" => {
                if let Some((pt, parameters)) = split_payload_type(value)
                    && let Some(format) = self.format(pt)
                {
                    parameters.clone_into(&mut format.fmtp);
                }
            }
            "rtcp-fb" => {
                if let Some(feedback) = value.strip_prefix("* ") {
                    self.feedback_for_all.add(feedback);
                } else if let Some((pt, feedback)) = split_payload_type(value)
                    && let Some(format) = self.format(pt)
                {
                    format.feedback.add(feedback);
                }
            }
            "ssrc" => {
                let ssrc = value.split(' ').next().and_then(|id| id.parse().ok()).map(Ssrc);
                self.sources.media = self.sources.media.or(ssrc);
            }
            "ssrc-group" => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("FID") && self.sources.rtx.is_none() {
                    let ids: Vec<Option<u32>> = words.take(3).map(|id| id.parse().ok()).collect();
                    if let [Some(media), Some(rtx)] = ids[..] {
                        self.sources = Sources { media: Some(Ssrc(media)), rtx: Some(Ssrc(rtx)) };
                    }
                }
            }
            "rid" if self.rids.len() < MAX_ENCODINGS => {
                let mut words = value.split_ascii_whitespace();
                let rid = words.next().and_then(Rid::new).filter(|_| words.next() == Some("send"));
                self.rids.extend(rid);
            }
            "simulcast" if self.simulcast.is_empty() => self.simulcast = simulcast(value),
            "candidate" if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.extend(Candidate::parse(value));
            }
            _ => return self.shared.attribute(name, value),
        }
        Ok(())
    }

    fn format(&mut self, payload_type: u8) -> Option<&mut RawFormat> {
        self.formats.iter_mut().find(|format| format.payload_type == payload_type)
    }

    fn finish(self, session: &Shared) -> OfferedSection {
        let shared = self.shared;
        let ufrag = shared.ufrag.or_else(|| session.ufrag.clone());
        let password = shared.password.or_else(|| session.password.clone());
        let fingerprints =
            if shared.fingerprints.is_empty() { session.fingerprints.clone() } else { shared.fingerprints };
        let mut extensions = shared.extensions;
        extensions.extend(&session.extensions);
        let all = self.feedback_for_all;
        let mut encodings = self.simulcast;
        encodings.retain(|rid| self.rids.contains(rid));
        OfferedSection {
            kind: self.kind,
            port: self.port,
            protocol: self.protocol,
            first_format: self.first_format,
            mid: self.mid,
            direction: shared.direction.or(session.direction).unwrap_or_default(),
            bundle_only: self.bundle_only,
            rtcp_mux: self.rtcp_mux,
            rtcp_rsize: self.rtcp_rsize,
            formats: self.formats.into_iter().map(|format| format.finish(all)).collect(),
            extensions,
            sources: self.sources,
            encodings,
            credentials: ufrag.zip(password).map(|(ufrag, password)| Credentials { ufrag, password }),
            fingerprints,
            setup: shared.setup.or(session.setup),
            candidates: self.candidates,
        }
    }
}

impl RawFormat {
    fn finish(self, feedback_for_all: Feedback) -> PayloadFormat {
        let (name, clock_rate, channels) = match self.map {
            Some((name, rate, channels)) => (name, Some(rate), channels),
            None => (String::new(), None, 1),
        };
        let format = match clock_rate {
            Some(rate) => Format::new(&name, rate, channels, &self.fmtp),
            None => Format::of_static(self.payload_type),
        };
        let parameter_sets = match format {
            Format::H264(_) => parameter_sets(&self.fmtp),
            _ => Vec::new(),
        };
        PayloadFormat {
            payload_type: self.payload_type,
            name,
            clock_rate,
            channels,
            format,
            feedback: self.feedback.or(feedback_for_all),
            parameter_sets,
        }
    }
}

fn payload_type(word: &str) -> Option<u8> {
    word.parse().ok().filter(|pt| *pt < 128)
}

/// `<payload type> <rest>`
fn split_payload_type(value: &str) -> Option<(u8, &str)> {
    let (pt, rest) = value.split_once(' ')?;
    Some((payload_type(pt)?, rest.trim()))
}

/// `<name>/<clock rate>[/<channels>]`
fn rtpmap(value: &str) -> Option<(String, ClockRate, u8)> {
    let mut parts = value.split('/');
    let name = parts.next().filter(|name| is_token(name))?;
    let rate = ClockRate::new(parts.next()?.trim().parse().ok()?)?;
    let channels = match parts.next() {
        Some(count) => count.trim().parse().ok()?,
        None => 1,
    };
    Some((name.to_owned(), rate, channels))
}

/// `send <encodings> [recv <encodings>]` in either order (RFC 8853, section 5.1): those that are sent. They stand apart by
/// `;`, alternatives by `,`; one that is paused has a `~` in front.
fn simulcast(value: &str) -> Vec<Rid> {
    let mut words = value.split_ascii_whitespace();
    let list = words.find(|word| *word == "send").and_then(|_| words.next()).unwrap_or_default();
    let first =
        |alternatives: &str| alternatives.split(',').next().map(|id| id.trim_start_matches('~').to_owned());
    let rids = list.split(';').filter_map(first).filter_map(|id| Rid::new(&id));
    let mut encodings: Vec<Rid> = Vec::new();
    for rid in rids {
        if encodings.len() < MAX_ENCODINGS && !encodings.contains(&rid) {
            encodings.push(rid);
        }
    }
    encodings
}

/// `<id>[/<direction>] <uri> ...`; `None` for one that is not known here.
fn extension(value: &str) -> Option<OfferedExtension> {
    let mut words = value.split_ascii_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, direction)) => (id, Direction::parse(direction)?),
        None => (value.split_ascii_whitespace().next()?, Direction::SendRecv),
    };
    Some(OfferedExtension {
        id: id.parse().ok().filter(|id| *id > 0)?,
        extension: Extension::from_uri(words.next()?)?,
        direction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, MediaKind};

    fn fails_at(text: &str) -> Option<(usize, Why)> {
        match Offer::parse(text) {
            Err(SdpError::Malformed { line, why }) => Some((line, why)),
            _ => None,
        }
    }

    #[test]
    fn session_level_attributes_hold_for_sections_without_their_own() {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v\r\na=ice-ufrag:sess\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {hash}\r\na=setup:active\r\na=sendonly\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:a\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-mux\r\n\
             m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\na=ice-ufrag:mine\r\na=recvonly\r\n\
             a=rtcp-fb:* nack pli\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
            hash = ["00"; 32].join(":")
        );
        let offer = Offer::parse(&text).unwrap();
        let [audio, video] = &offer.sections[..] else { panic!("{offer:?}") };
        let ufrag = |section: &OfferedSection| section.credentials.clone().unwrap().ufrag;
        assert_eq!((ufrag(audio), ufrag(video)), ("sess".into(), "mine".into()));
        assert_eq!((audio.direction, video.direction), (Direction::SendOnly, Direction::RecvOnly));
        assert_eq!((audio.media_kind(), video.port), (Some(MediaKind::Audio), 0));
        assert!(audio.rtcp_mux && !video.rtcp_mux);
        assert_eq!((video.setup, video.fingerprints.len()), (Some(Setup::Active), 1));
        assert_eq!(video.formats[0].format.codec(), Some(Codec::Vp8));
        assert!(video.formats[0].feedback.pli && !audio.formats[0].feedback.pli);
        assert_eq!((video.rtx_for(96), video.rtx_for(97)), (Some(97), None));
        assert_eq!(offer.bundle.iter().map(Mid::as_str).collect::<Vec<_>>(), ["a", "v"]);
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(fails_at(""), Some((1, "the first line must be v=0")));
        assert_eq!(fails_at("v=0\nhello"), Some((2, "not of the form <letter>=<value>")));
        assert_eq!(fails_at("v=0\n\nÄ=0"), Some((3, "not of the form <letter>=<value>")));
        for (line, why) in [
            ("m=audio", "no port"),
            ("m=audio 65536 RTP/SAVPF 1", "no port"),
            ("m=audio 9 RTP/SAVPF", "no format"),
            ("m=audio 9 RTP//SAVPF 1", "not a transport protocol"),
            ("m=audio 9 RTP/SAVPF 128", "a format that is no payload type"),
            ("m=<x> 9 RTP/SAVPF 128", "no media kind"),
            ("a=ice-ufrag:abc", "ice-ufrag is not 4 to 256 letters, digits, + or /"),
            ("a=ice-pwd:short", "ice-pwd is not 22 to 256 letters, digits, + or /"),
            ("a=setup:sideways", "not a setup role"),
            ("a=fingerprint:sha-256 00", "not a fingerprint"),
            ("s=a\rb", "a control character"),
        ] {
            assert_eq!(fails_at(&format!("v=0\r\n{line}\r\n")), Some((2, why)), "{line}");
        }
        for (line, why) in [
            ("a=mid:", "mid is not a token of 1 to 64 bytes"),
            ("a=mid:a b", "mid is not a token of 1 to 64 bytes"),
            ("a=rtpmap:96", "rtpmap without a payload type"),
            ("a=rtpmap:96 VP8/0", "rtpmap is not <name>/<clock rate>[/<channels>]"),
        ] {
            let text = format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n{line}\r\n");
            assert_eq!(fails_at(&text), Some((3, why)), "{line}");
        }
    }

    #[test]
    fn no_two_sections_have_one_name() {
        let sections = "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:x\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:";
        assert_eq!(fails_at(&format!("v=0\n{sections}x\n")), Some((5, "the mid of another section")));
        assert_eq!(fails_at(&format!("v=0\n{sections}y\na=mid:y\n")), None);
    }

    #[test]
    fn the_limits() {
        let long = format!("v=0\r\ns={}", "x".repeat(MAX_OFFER_LEN));
        assert_eq!(Offer::parse(&long), Err(SdpError::TooLong));
        let section = "m=audio 9 UDP/TLS/RTP/SAVPF 0\n";
        let offer = Offer::parse(&format!("v=0\n{}", section.repeat(MAX_SECTIONS))).unwrap();
        assert_eq!(offer.sections.len(), MAX_SECTIONS);
        let many = format!("v=0\n{}", section.repeat(MAX_SECTIONS + 1));
        assert_eq!(fails_at(&many), Some((MAX_SECTIONS + 2, "too many media sections")));
        let candidates = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\n".repeat(MAX_CANDIDATES + 9);
        let offer = Offer::parse(&format!("v=0\n{section}{candidates}")).unwrap();
        assert_eq!(offer.sections[0].candidates.len(), MAX_CANDIDATES);
        let repeated = "0 ".repeat(2_000);
        let offer = Offer::parse(&format!("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF {repeated}")).unwrap();
        assert_eq!(offer.sections[0].formats.len(), 1);
    }

    #[test]
    fn encodings_of_one_picture() {
        let encodings = |lines: &str| {
            let text = format!("v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n{lines}");
            let section = Offer::parse(&text).unwrap().sections.remove(0);
            section.encodings.iter().map(|rid| rid.as_str().to_owned()).collect::<Vec<_>>()
        };
        let rids = "a=rid:h send\na=rid:m send pt=96;max-width=640\na=rid:l send\na=rid:x recv\n";
        assert_eq!(encodings(&format!("{rids}a=simulcast:send h;m;l\n")), ["h", "m", "l"]);
        assert_eq!(encodings(&format!("a=simulcast:recv x send l,m;~h;h;x;!;y\n{rids}")), ["l", "h"]);
        for none in
            ["a=simulcast:recv x\n", "a=simulcast:send\n", "a=simulcast:\n", "a=simulcast:send ;;,\n", ""]
        {
            assert!(encodings(&format!("{rids}{none}")).is_empty(), "{none}");
        }
        let long = "x".repeat(17);
        assert!(encodings(&format!("a=rid:{long} send\na=simulcast:send {long}\n")).is_empty());
        let many: String = (0..9).map(|n| format!("a=rid:{n} send\n")).collect();
        assert_eq!(encodings(&format!("{many}a=simulcast:send 0;1;2;3;4;5;6;7;8\n")).len(), MAX_ENCODINGS);
    }

    #[test]
    fn sources_and_extensions() {
        let text = "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=ssrc:7 cname:x\na=ssrc:8 cname:x\na=ssrc-group:FID 7 8\n\
                    a=ssrc-group:FID 1 2\na=extmap:3/recvonly urn:3gpp:video-orientation\n\
                    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\na=extmap:5 urn:example:unknown\na=extmap:x y\n";
        let section = Offer::parse(text).unwrap().sections.remove(0);
        assert_eq!(section.sources, Sources { media: Some(Ssrc(7)), rtx: Some(Ssrc(8)) });
        assert_eq!(
            section.extensions,
            [
                OfferedExtension { id: 3, extension: Extension::Orientation, direction: Direction::RecvOnly },
                OfferedExtension { id: 4, extension: Extension::Mid, direction: Direction::SendRecv },
            ]
        );
        let plain = "v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=ssrc:x\na=ssrc:9 cname:x\na=ssrc:10 cname:x\n";
        let section = Offer::parse(plain).unwrap().sections.remove(0);
        assert_eq!(section.sources, Sources { media: Some(Ssrc(9)), rtx: None });
    }
}

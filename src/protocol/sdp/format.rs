//! Payload formats: `a=rtpmap`, `a=fmtp` and `a=rtcp-fb` of one payload type.

use crate::codec::Codec;
use crate::codec::g711::Law;
use crate::codec::h264::NalKind;
use crate::time::ClockRate;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use std::fmt;

/// Encoders send one SPS and one PPS; more sets than these are passed over.
const MAX_PARAMETER_SETS: usize = 8;
/// Some senders leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an offer says of one payload type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayloadFormat {
    /// 0 to 127.
    pub payload_type: u8,
    /// The encoding name as offered; empty for a static payload type without `a=rtpmap`.
    pub name: String,
    /// The clock of its RTP timestamps; `None` without `a=rtpmap`.
    pub clock_rate: Option<ClockRate>,
    /// Channels of sound; 1 where nothing is said.
    pub channels: u8,
    /// What it is, with its parameters.
    pub format: Format,
    /// Which feedback the offerer takes and gives.
    pub feedback: Feedback,
    /// The H.264 parameter sets that the offerer announces (`sprop-parameter-sets`), SPS and PPS as NAL units.
    pub parameter_sets: Vec<Bytes>,
}

/// The formats known here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// RFC 6184.
    H264(H264Format),
    /// RFC 7741.
    Vp8,
    /// RFC 7587.
    Opus(OpusFormat),
    /// RFC 3551, section 4.5.14.
    G711(Law),
    /// Retransmissions of another payload type (RFC 4588).
    Rtx {
        /// That payload type.
        apt: u8,
    },
    /// Not known, or with parameters that rule it out.
    Other,
}

impl Format {
    /// The codec; `None` for retransmissions and what is not known.
    pub const fn codec(&self) -> Option<Codec> {
        match self {
            Self::H264(_) => Some(Codec::H264),
            Self::Vp8 => Some(Codec::Vp8),
            Self::Opus(_) => Some(Codec::Opus),
            Self::G711(Law::Mu) => Some(Codec::Pcmu),
            Self::G711(Law::A) => Some(Codec::Pcma),
            Self::Rtx { .. } | Self::Other => None,
        }
    }

    /// Of a payload type without `a=rtpmap` (RFC 3551, table 4).
    pub(super) const fn of_static(payload_type: u8) -> Self {
        match payload_type {
            0 => Self::G711(Law::Mu),
            8 => Self::G711(Law::A),
            _ => Self::Other,
        }
    }

    /// The clock of its RTP timestamps.
    pub const fn clock_rate(&self) -> ClockRate {
        match self {
            Self::Opus(_) => ClockRate::OPUS,
            Self::G711(_) => ClockRate::TELEPHONE,
            Self::H264(_) | Self::Vp8 | Self::Rtx { .. } | Self::Other => ClockRate::VIDEO,
        }
    }

    /// By `a=rtpmap` and `a=fmtp` (empty when there is none).
    pub(super) fn new(name: &str, clock_rate: ClockRate, channels: u8, fmtp: &str) -> Self {
        let is = |wanted: &str, rate| name.eq_ignore_ascii_case(wanted) && clock_rate == rate;
        if is("H264", ClockRate::VIDEO) {
            H264Format::parse(fmtp).map_or(Self::Other, Self::H264)
        } else if is("VP8", ClockRate::VIDEO) {
            Self::Vp8
        } else if is("opus", ClockRate::OPUS) && channels == 2 {
            Self::Opus(OpusFormat::parse(fmtp)) // RFC 7587, section 7: always 48000/2, whatever is sent
        } else if is("PCMU", ClockRate::TELEPHONE) && channels == 1 {
            Self::G711(Law::Mu)
        } else if is("PCMA", ClockRate::TELEPHONE) && channels == 1 {
            Self::G711(Law::A)
        } else if name.eq_ignore_ascii_case("rtx") {
            parameter(fmtp, "apt")
                .and_then(|apt| apt.parse().ok())
                .map_or(Self::Other, |apt| Self::Rtx { apt })
        } else {
            Self::Other
        }
    }
}

/// Parameters of H.264 (RFC 6184, section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct H264Format {
    /// `profile-level-id`.
    pub profile: ProfileLevelId,
    /// 0: single NAL units only; 1: also STAP-A and FU-A.
    pub packetization_mode: u8,
    /// Whether the two directions may have different levels.
    pub level_asymmetry: bool,
}

impl H264Format {
    /// `None` for interleaved mode, which nobody here speaks, and for values that are none.
    fn parse(fmtp: &str) -> Option<Self> {
        let packetization_mode = match parameter(fmtp, "packetization-mode") {
            None | Some("0") => 0,
            Some("1") => 1,
            Some(_) => return None,
        };
        let profile = match parameter(fmtp, "profile-level-id") {
            Some(value) => ProfileLevelId::parse(value)?,
            None => ProfileLevelId::DEFAULT,
        };
        let level_asymmetry = parameter(fmtp, "level-asymmetry-allowed") == Some("1");
        Some(Self { profile, packetization_mode, level_asymmetry })
    }

    /// Whether every packet is one whole NAL unit: packetization mode 0 (RFC 6184, section 6.2).
    pub const fn is_single_nal(&self) -> bool {
        self.packetization_mode == 0
    }
}

impl fmt::Display for H264Format {
    /// As `a=fmtp` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level_asymmetry {
            f.write_str("level-asymmetry-allowed=1;")?;
        }
        write!(f, "packetization-mode={};profile-level-id={}", self.packetization_mode, self.profile)
    }
}

/// The first three bytes of an SPS behind its header: profile, constraint flags, level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProfileLevelId {
    /// `profile_idc`.
    pub profile: u8,
    /// `constraint_set0_flag` in the top bit, and so on.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
}

impl ProfileLevelId {
    /// What WebRTC implementations take when nothing is said: Constrained Baseline 3.1.
    pub const DEFAULT: Self = Self { profile: 0x42, constraints: 0xe0, level: 0x1f };

    /// From an SPS NAL unit, its header byte included; `None` when it is shorter than 4 bytes.
    pub const fn from_sps(sps: &[u8]) -> Option<Self> {
        match sps {
            [_, profile, constraints, level, ..] => {
                Some(Self { profile: *profile, constraints: *constraints, level: *level })
            }
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let [_, profile, constraints, level] =
            u32::from_str_radix(text, 16).ok().filter(|_| hex)?.to_be_bytes();
        Some(Self { profile, constraints, level })
    }

    /// How badly a stream of profile `self` suits a decoder that was offered with `decoder`: 0 is exact. A decoder of a
    /// larger profile comes before one of a smaller; within a profile, one of a sufficient level comes first.
    pub const fn misfit(self, decoder: Self) -> u8 {
        let (stream, offered) = (self.power(), decoder.power());
        let profile = if offered >= stream { offered - stream } else { 16 + stream - offered };
        profile * 2 + (decoder.level < self.level) as u8
    }

    /// Whether browsers can be expected to decode it: 8 bits, 4:2:0.
    pub const fn is_common(self) -> bool {
        self.power() <= 5
    }

    /// Profiles by what a decoder of theirs understands (RFC 6184, table 5).
    const fn power(self) -> u8 {
        match (self.profile, self.constraints) {
            (0x42, c) if c & 0x40 != 0 => 1,    // Constrained Baseline
            (0x4d, c) if c & 0x80 != 0 => 1,    // the same
            (0x58, c) if c & 0xc0 == 0xc0 => 1, // the same
            (0x42, _) => 2,                     // Baseline: with tools that nobody uses
            (0x4d, _) => 3,                     // Main
            (0x64, c) if c & 0x0c == 0x0c => 4, // Constrained High
            (0x64, _) => 5,                     // High
            (0x6e, _) => 6,                     // High 10
            (0x7a, _) => 7,                     // High 4:2:2
            (0xf4, _) => 8,                     // High 4:4:4 Predictive
            _ => 9,                             // Extended, scalable, multiview
        }
    }
}

impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }
}

/// Parameters of Opus (RFC 7587, section 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpusFormat {
    /// `stereo`: it prefers two channels.
    pub stereo: bool,
    /// `sprop-stereo`: it may send two channels. False only where the offer says so: browsers say nothing and send two
    /// when they are asked to, as our answers do.
    pub sends_stereo: bool,
    /// `useinbandfec`: it can use forward error correction.
    pub in_band_fec: bool,
}

impl OpusFormat {
    fn parse(fmtp: &str) -> Self {
        let flag = |name| parameter(fmtp, name) == Some("1");
        Self {
            stereo: flag("stereo"),
            sends_stereo: parameter(fmtp, "sprop-stereo") != Some("0"),
            in_band_fec: flag("useinbandfec"),
        }
    }
}

/// The SPS and PPS of `sprop-parameter-sets` (RFC 6184, section 8.1); what is none is passed over.
pub(super) fn parameter_sets(fmtp: &str) -> Vec<Bytes> {
    let Some(list) = parameter(fmtp, "sprop-parameter-sets") else { return Vec::new() };
    let units = list.split(',').filter_map(|text| BASE64.decode(text.trim()).ok());
    let is_set = |unit: &Vec<u8>| matches!(NalKind::of(unit), Some(NalKind::Sps | NalKind::Pps));
    units.filter(is_set).map(Bytes::from).take(MAX_PARAMETER_SETS).collect()
}

/// The value of one parameter of `a=fmtp`; names are case-insensitive.
fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Kinds of RTCP feedback for one payload type (RFC 4585, RFC 5104).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Feedback {
    /// `nack`: lost packets are named.
    pub nack: bool,
    /// `nack pli`: a picture was lost.
    pub pli: bool,
    /// `ccm fir`: a key frame is needed.
    pub fir: bool,
    /// `transport-cc`: arrival times of all packets.
    pub transport_cc: bool,
}

impl Feedback {
    /// Adds one `a=rtcp-fb` value, payload type taken off; what is not known is passed over.
    pub(super) fn add(&mut self, value: &str) {
        match value.trim() {
            "nack" => self.nack = true,
            "nack pli" => self.pli = true,
            "ccm fir" => self.fir = true,
            "transport-cc" => self.transport_cc = true,
            _ => {}
        }
    }

    /// What both have.
    pub const fn and(self, other: Self) -> Self {
        Self {
            nack: self.nack && other.nack,
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            transport_cc: self.transport_cc && other.transport_cc,
        }
    }

    /// What either has.
    pub const fn or(self, other: Self) -> Self {
        Self {
            nack: self.nack || other.nack,
            pli: self.pli || other.pli,
            fir: self.fir || other.fir,
            transport_cc: self.transport_cc || other.transport_cc,
        }
    }

    /// The values of `a=rtcp-fb`.
    pub(super) fn values(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.nack, "nack"),
            (self.pli, "nack pli"),
            (self.fir, "ccm fir"),
            (self.transport_cc, "transport-cc"),
        ];
        all.into_iter().filter_map(|(has, value)| has.then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProfileLevelId {
        ProfileLevelId::parse(text).unwrap()
    }

    #[test]
    fn formats_by_name_clock_and_parameters() {
        let video = |name, fmtp| Format::new(name, ClockRate::VIDEO, 1, fmtp);
        let h264 = H264Format { profile: id("42e01f"), packetization_mode: 1, level_asymmetry: true };
        let fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        assert_eq!(video("h264", fmtp), Format::H264(h264));
        assert_eq!(h264.to_string(), fmtp);
        assert_eq!(video("H264", "Packetization-Mode=1; profile-level-id=42E01F").codec(), Some(Codec::H264));
        assert_eq!(
            video("H264", ""),
            Format::H264(H264Format { packetization_mode: 0, level_asymmetry: false, ..h264 })
        );
        for bad in ["packetization-mode=2", "profile-level-id=42e0", "profile-level-id=+2e01f"] {
            assert_eq!(video("H264", bad), Format::Other, "{bad}");
        }
        assert_eq!(video("rtx", "apt=96"), Format::Rtx { apt: 96 });
        assert_eq!(video("rtx", "apt=960"), Format::Other);
        assert_eq!(Format::new("VP8", ClockRate::OPUS, 1, ""), Format::Other);
        let opus = OpusFormat { stereo: true, in_band_fec: true, sends_stereo: true };
        assert_eq!(
            Format::new("OPUS", ClockRate::OPUS, 2, "minptime=10;useinbandfec=1;stereo=1"),
            Format::Opus(opus)
        );
        let mono = Format::new("opus", ClockRate::OPUS, 2, "sprop-stereo=0");
        assert!(matches!(mono, Format::Opus(OpusFormat { sends_stereo: false, stereo: false, .. })));
        assert_eq!(Format::new("opus", ClockRate::OPUS, 1, ""), Format::Other);
        assert_eq!(Format::new("pcma", ClockRate::TELEPHONE, 1, ""), Format::G711(Law::A));
        assert_eq!(Format::new("PCMU", ClockRate::OPUS, 1, ""), Format::Other);
        assert_eq!(
            [0, 8, 9].map(|pt| Format::of_static(pt).codec()),
            [Some(Codec::Pcmu), Some(Codec::Pcma), None]
        );
    }

    #[test]
    fn the_decoder_that_fits_best() {
        let browser = ["42001f", "42e01f", "4d001f", "f4001f"].map(id);
        let best = |stream: &str| {
            let stream = id(stream);
            browser.into_iter().min_by_key(|decoder| stream.misfit(*decoder)).unwrap().to_string()
        };
        assert_eq!(best("42c01f"), "42e01f", "Constrained Baseline by its flags");
        assert_eq!(best("42001e"), "42001f");
        assert_eq!(best("4d4028"), "4d001f");
        assert_eq!(best("640028"), "f4001f", "the only one that contains High");
        assert_eq!(id("640028").misfit(id("640028")), 0);
        assert!(id("640028").misfit(id("4d001f")) < id("640028").misfit(id("42e01f")));
        assert!(id("42e028").misfit(id("42e01f")) > id("42e028").misfit(id("42e02a")), "level");
    }

    #[test]
    fn announced_parameter_sets() {
        let sets = |fmtp| parameter_sets(fmtp).iter().map(|set| set[0]).collect::<Vec<_>>();
        assert_eq!(sets("packetization-mode=1; sprop-parameter-sets=Z0LAFdk=,aMuMsg=="), [0x67, 0x68]);
        assert_eq!(sets("sprop-parameter-sets=Z0LAFdk,aMuMsg"), [0x67, 0x68], "without padding");
        assert_eq!(sets("sprop-parameter-sets=Z0LAFdk=,ZYiEAA==,!,,aMuMsg=="), [0x67, 0x68], "no IDR slice");
        assert!(sets("packetization-mode=1").is_empty());
        let many = ["aMuMsg=="; 20].join(",");
        assert_eq!(sets(&format!("sprop-parameter-sets={many}")).len(), MAX_PARAMETER_SETS);
    }

    #[test]
    fn feedback_adds_up() {
        let mut feedback = Feedback::default();
        for value in ["nack", "nack pli", "goog-remb", "transport-cc", "nack sli"] {
            feedback.add(value);
        }
        assert_eq!(feedback, Feedback { nack: true, pli: true, fir: false, transport_cc: true });
        assert_eq!(feedback.values().collect::<Vec<_>>(), ["nack", "nack pli", "transport-cc"]);
    }
}

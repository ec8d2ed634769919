//! The table of what can become what, and the shortest way through it.

use crate::codec::sound::SoundConfig;
use crate::media::Codec;
use crate::stream::{FeedKey, Form, Warning};
use std::fmt;

/// One converter: a feed of one kind becomes one of another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Conversion {
    /// H.264 access units into RTP packets.
    PacketiseH264,
    /// Opus packets into RTP packets.
    PacketiseOpus,
    /// RTP packets of H.264 into access units.
    DepacketiseH264,
    /// The same, of packets that are one NAL unit each.
    DepacketiseSingleNal,
    /// RTP packets of VP8 into frames.
    DepacketiseVp8,
    /// RTP packets of Opus into Opus packets.
    DepacketiseOpus,
    /// AAC into Opus.
    AacToOpus,
    /// Opus into AAC.
    OpusToAac,
    /// VP8 frames into RTP packets.
    PacketiseVp8,
    /// Pictures of this codec into H.264.
    ToH264(Codec),
    /// Pictures of this codec into VP8.
    ToVp8(Codec),
    /// G.711 into RTP packets.
    PacketiseG711(Codec),
    /// RTP packets of G.711 into frames.
    DepacketiseG711(Codec),
    /// Sound into G.711.
    ToG711 {
        /// What is published.
        from: Codec,
        /// Which of the two.
        to: Codec,
    },
    /// One of [`SoundConfig::CODECS`] into Opus.
    SoundToOpus(Codec),
    /// The same into AAC.
    SoundToAac(Codec),
}

/// Why a subscriber does not simply get what the publisher sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The subscriber takes RTP packets and the publisher sends frames; the codec stays.
    Packetised,
    /// The subscriber takes whole frames and the publisher sends RTP packets; the codec stays.
    Depacketised,
    /// WebRTC has no AAC.
    AacToOpus,
    /// RTMP has no Opus.
    OpusToAac,
    /// The viewer has no other sound than that of telephones.
    ToG711 {
        /// What is published.
        from: Codec,
        /// Which of the two.
        to: Codec,
    },
    /// The sound is in a codec that browsers do not have, or have for telephones alone.
    SoundToOpus(Codec),
    /// The sound is in a codec that few players have.
    SoundToAac(Codec),
    /// Pictures of a codec that the subscriber does not take are decoded, and encoded in one that it takes.
    Transcoded {
        /// What is published.
        from: Codec,
        /// What is made of it.
        to: Codec,
    },
    /// Somebody has just come, and the publisher's next keyframe is far away: until then a picture is made for whoever waits.
    FirstPicture,
    /// Browsers show pictures in the order in which they come, so a stream with B-frames is decoded and encoded without.
    BFramesTranscoded,
    /// Browsers decode 4:2:0 with 8 bits, and show what is interlaced as it is, so others are decoded and encoded.
    ProfileTranscoded,
    /// As with B-frames, but no transcoder is free, so the pictures that are out of order are left out.
    BFrames,
    /// The same, but other pictures need them, so that little more than the keyframes is left.
    BFrameReferences,
}

/// Why a subscriber gets nothing of a track.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// There is no converter from what is published to what is accepted.
    NoConverter {
        /// What is published.
        from: Codec,
    },
    /// There would be one, had this program been built with FFmpeg's libraries.
    NotBuilt {
        /// What is published.
        from: Codec,
    },
    /// The viewer takes H.264 in packetization-mode 0 alone, and the publisher's NAL units may be larger than a packet.
    PacketizationMode,
    /// It would have to be transcoded, and the server transcodes as many streams as it is allowed to.
    TranscodersBusy,
}

impl Conversion {
    /// All there are but those of [`SoundConfig::CODECS`].
    const FIXED: [Self; 21] = [
        Self::PacketiseH264,
        Self::PacketiseOpus,
        Self::DepacketiseH264,
        Self::DepacketiseSingleNal,
        Self::DepacketiseVp8,
        Self::DepacketiseOpus,
        Self::AacToOpus,
        Self::OpusToAac,
        Self::PacketiseVp8,
        Self::ToH264(Codec::Vp8),
        Self::ToH264(Codec::Hevc),
        Self::ToH264(Codec::Av1),
        Self::ToH264(Codec::Vp9),
        Self::ToH264(Codec::Sorenson),
        Self::ToH264(Codec::Vp6),
        Self::ToVp8(Codec::H264),
        Self::ToVp8(Codec::Hevc),
        Self::ToVp8(Codec::Av1),
        Self::ToVp8(Codec::Vp9),
        Self::ToVp8(Codec::Sorenson),
        Self::ToVp8(Codec::Vp6),
    ];

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let sound = SoundConfig::CODECS
            .into_iter()
            .flat_map(|codec| [Self::SoundToOpus(codec), Self::SoundToAac(codec)]);
        let telephone = TELEPHONE.into_iter().flat_map(|to| {
            let packets = [Self::PacketiseG711(to), Self::DepacketiseG711(to)];
            let sources = [Codec::Aac, Codec::Opus].into_iter().chain(SoundConfig::CODECS);
            let others = sources.filter(move |from| *from != to).map(move |from| Self::ToG711 { from, to });
            packets.into_iter().chain(others)
        });
        Self::FIXED.into_iter().chain(sound).chain(telephone)
    }

    /// Whether this program has it: FFmpeg's libraries are a feature.
    pub const fn is_built(self) -> bool {
        match self {
            Self::SoundToOpus(from) | Self::SoundToAac(from) | Self::ToG711 { from, .. } => {
                let takes_library =
                    !matches!(from, Codec::Pcmu | Codec::Pcma | Codec::Pcm | Codec::Aac | Codec::Opus);
                cfg!(feature = "transcode") || !takes_library
            }
            _ => cfg!(feature = "transcode") || !self.is_of_pictures(),
        }
    }

    /// Whether it decodes and encodes pictures, which takes a place among those who do.
    pub const fn is_of_pictures(self) -> bool {
        matches!(self, Self::ToH264(_) | Self::ToVp8(_))
    }

    /// What it reads.
    pub const fn from(self) -> FeedKey {
        match self {
            Self::PacketiseH264 => FeedKey::new(Codec::H264, Form::Frames),
            Self::PacketiseOpus | Self::OpusToAac => FeedKey::new(Codec::Opus, Form::Frames),
            Self::DepacketiseH264 => FeedKey::new(Codec::H264, Form::Packets),
            Self::DepacketiseSingleNal => FeedKey::new(Codec::H264, Form::SingleNal),
            Self::DepacketiseVp8 => FeedKey::new(Codec::Vp8, Form::Packets),
            Self::DepacketiseOpus => FeedKey::new(Codec::Opus, Form::Packets),
            Self::AacToOpus => FeedKey::new(Codec::Aac, Form::Frames),
            Self::PacketiseVp8 => FeedKey::new(Codec::Vp8, Form::Frames),
            Self::ToH264(from) | Self::ToVp8(from) => FeedKey::new(from, Form::Frames),
            Self::SoundToOpus(codec) | Self::SoundToAac(codec) | Self::PacketiseG711(codec) => {
                FeedKey::new(codec, Form::Frames)
            }
            Self::DepacketiseG711(codec) => FeedKey::new(codec, Form::Packets),
            Self::ToG711 { from, .. } => FeedKey::new(from, Form::Frames),
        }
    }

    /// What it writes.
    pub const fn to(self) -> FeedKey {
        match self {
            Self::PacketiseH264 => FeedKey::new(Codec::H264, Form::Packets),
            Self::PacketiseOpus => FeedKey::new(Codec::Opus, Form::Packets),
            Self::DepacketiseH264 | Self::DepacketiseSingleNal => FeedKey::new(Codec::H264, Form::Frames),
            Self::DepacketiseVp8 => FeedKey::new(Codec::Vp8, Form::Frames),
            Self::DepacketiseOpus | Self::AacToOpus | Self::SoundToOpus(_) => {
                FeedKey::new(Codec::Opus, Form::Frames)
            }
            Self::OpusToAac | Self::SoundToAac(_) => FeedKey::new(Codec::Aac, Form::Frames),
            Self::PacketiseVp8 => FeedKey::new(Codec::Vp8, Form::Packets),
            Self::ToH264(_) => FeedKey::new(Codec::H264, Form::Frames),
            Self::ToVp8(_) => FeedKey::new(Codec::Vp8, Form::Frames),
            Self::PacketiseG711(codec) => FeedKey::new(codec, Form::Packets),
            Self::DepacketiseG711(to) | Self::ToG711 { to, .. } => FeedKey::new(to, Form::Frames),
        }
    }

    /// Why it is needed.
    pub const fn reason(self) -> Reason {
        match self {
            Self::PacketiseH264 | Self::PacketiseOpus | Self::PacketiseVp8 | Self::PacketiseG711(_) => {
                Reason::Packetised
            }
            Self::DepacketiseH264
            | Self::DepacketiseSingleNal
            | Self::DepacketiseVp8
            | Self::DepacketiseG711(_)
            | Self::DepacketiseOpus => Reason::Depacketised,
            Self::AacToOpus => Reason::AacToOpus,
            Self::OpusToAac => Reason::OpusToAac,
            Self::ToH264(Codec::H264) => Reason::FirstPicture,
            Self::ToH264(from) => Reason::Transcoded { from, to: Codec::H264 },
            Self::ToVp8(from) => Reason::Transcoded { from, to: Codec::Vp8 },
            Self::ToG711 { from, to } => Reason::ToG711 { from, to },
            Self::SoundToOpus(codec) => Reason::SoundToOpus(codec),
            Self::SoundToAac(codec) => Reason::SoundToAac(codec),
        }
    }

    /// How dear it is, beside the others: a transcoder costs quality and a hundred times the work.
    const fn cost(self) -> u32 {
        match self {
            Self::PacketiseH264
            | Self::PacketiseOpus
            | Self::DepacketiseH264
            | Self::DepacketiseSingleNal
            | Self::DepacketiseVp8
            | Self::DepacketiseOpus
            | Self::PacketiseG711(_)
            | Self::DepacketiseG711(_)
            | Self::PacketiseVp8 => 1,
            Self::AacToOpus | Self::OpusToAac | Self::SoundToOpus(_) | Self::SoundToAac(_) => 100,
            // Little of the sound is left.
            Self::ToG711 { .. } => 200,
            // Browsers decode H.264 with less work, where both would do.
            Self::ToH264(_) => 1_000,
            Self::ToVp8(_) => 1_100,
        }
    }
}

/// The cheapest way from what is published to one of the accepted feeds, the first of equally cheap ones: which feed, and
/// the converters that lead to it, none when it is published as it is. `None` when there is no way.
pub fn plan(published: &[FeedKey], accepted: &[FeedKey]) -> Option<(FeedKey, Vec<Conversion>)> {
    cheapest(published, accepted, Conversion::is_built)
}

/// Why there is no way from what is published, of which `first` is one, to any of the accepted feeds.
pub(super) fn refusal(first: FeedKey, published: &[FeedKey], accepted: &[FeedKey]) -> Refusal {
    let from = first.codec;
    match cheapest(published, accepted, |_| true) {
        Some(_) => Refusal::NotBuilt { from },
        None => Refusal::NoConverter { from },
    }
}

fn cheapest(
    published: &[FeedKey],
    accepted: &[FeedKey],
    is_there: fn(Conversion) -> bool,
) -> Option<(FeedKey, Vec<Conversion>)> {
    let ways = accepted.iter().filter_map(|wanted| Some((*wanted, way(published, *wanted, is_there)?)));
    ways.min_by_key(|(_, way)| cost(way))
}

/// The codecs in which RTP packets of a published feed can be had, the cheapest first.
pub fn packet_codecs(published: FeedKey) -> Vec<Codec> {
    let codecs = [Codec::H264, Codec::Vp8, Codec::Opus, Codec::Pcmu, Codec::Pcma].into_iter();
    let ways = codecs.filter(|codec| codec.kind() == published.kind()).filter_map(|codec| {
        // Whoever takes packets takes those of one NAL unit each as well.
        let accepted = [Form::Packets, Form::SingleNal].map(|form| FeedKey::new(codec, form));
        let (_, way) = plan(&[published], &accepted)?;
        Some((cost(&way), codec))
    });
    let mut ways: Vec<_> = ways.collect();
    ways.sort_by_key(|(cost, _)| *cost);
    ways.into_iter().map(|(_, codec)| codec).collect()
}

/// The cheapest chain of converters that ends in `wanted`, found from its end. The table has no cycle that a cheapest
/// way would take, so the depth is bounded by the number of feeds.
fn way(published: &[FeedKey], wanted: FeedKey, is_there: fn(Conversion) -> bool) -> Option<Vec<Conversion>> {
    fn search(
        published: &[FeedKey],
        wanted: FeedKey,
        is_there: fn(Conversion) -> bool,
        depth: usize,
    ) -> Option<Vec<Conversion>> {
        if published.contains(&wanted) {
            return Some(Vec::new());
        }
        let depth = depth.checked_sub(1)?;
        let last = Conversion::all().filter(|conversion| conversion.to() == wanted && is_there(*conversion));
        let ways = last.filter_map(|conversion| {
            let mut way = search(published, conversion.from(), is_there, depth)?;
            way.push(conversion);
            Some(way)
        });
        ways.min_by_key(|way| cost(way))
    }
    search(published, wanted, is_there, MAX_STEPS)
}

/// What telephones have.
const TELEPHONE: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];
/// Depacketise, transcode, packetise.
const MAX_STEPS: usize = 3;

fn cost(way: &[Conversion]) -> u32 {
    way.iter().map(|conversion| conversion.cost()).sum()
}

/// Why a way is needed: what its dearest step does. `None` for a way without steps.
pub(super) fn reason(way: &[Conversion]) -> Option<Reason> {
    way.iter().max_by_key(|conversion| conversion.cost()).map(|conversion| conversion.reason())
}

impl Reason {
    /// A word for metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Packetised => "packetised",
            Self::Depacketised => "depacketised",
            Self::AacToOpus => "aac_to_opus",
            Self::OpusToAac => "opus_to_aac",
            Self::Transcoded { from: Codec::Vp8, to: Codec::H264 } => "vp8_to_h264",
            Self::Transcoded { from: Codec::Hevc, to: Codec::H264 } => "hevc_to_h264",
            Self::Transcoded { from: Codec::Av1, to: Codec::H264 } => "av1_to_h264",
            Self::Transcoded { from: Codec::Vp9, to: Codec::H264 } => "vp9_to_h264",
            Self::Transcoded { from: Codec::Sorenson, to: Codec::H264 } => "sorenson_to_h264",
            Self::Transcoded { from: Codec::Vp6, to: Codec::H264 } => "vp6_to_h264",
            Self::Transcoded { from: Codec::Sorenson, to: Codec::Vp8 } => "sorenson_to_vp8",
            Self::Transcoded { from: Codec::Vp6, to: Codec::Vp8 } => "vp6_to_vp8",
            Self::Transcoded { from: Codec::H264, to: Codec::Vp8 } => "h264_to_vp8",
            Self::Transcoded { from: Codec::Hevc, to: Codec::Vp8 } => "hevc_to_vp8",
            Self::Transcoded { from: Codec::Av1, to: Codec::Vp8 } => "av1_to_vp8",
            Self::Transcoded { from: Codec::Vp9, to: Codec::Vp8 } => "vp9_to_vp8",
            Self::Transcoded { .. } => "transcoded",
            Self::FirstPicture => "first_picture",
            Self::BFramesTranscoded => Warning::BFramesTranscoded.as_str(),
            Self::ProfileTranscoded => Warning::ProfileTranscoded.as_str(),
            Self::ToG711 { .. } => "sound_to_g711",
            Self::SoundToOpus(_) => "sound_to_opus",
            Self::SoundToAac(_) => "sound_to_aac",
            Self::BFrames => Warning::BFrames.as_str(),
            Self::BFrameReferences => Warning::BFrameReferences.as_str(),
        }
    }

    /// What the publisher should know, where somebody gets less than was sent.
    pub const fn warning(self) -> Option<Warning> {
        match self {
            Self::Transcoded { from, to } => Some(Warning::Transcoded { from, to }),
            Self::BFramesTranscoded => Some(Warning::BFramesTranscoded),
            Self::ProfileTranscoded => Some(Warning::ProfileTranscoded),
            Self::BFrames => Some(Warning::BFrames),
            Self::BFrameReferences => Some(Warning::BFrameReferences),
            Self::Packetised
            | Self::Depacketised
            | Self::AacToOpus
            | Self::OpusToAac
            | Self::FirstPicture
            | Self::ToG711 { .. }
            | Self::SoundToOpus(_)
            | Self::SoundToAac(_) => None,
        }
    }
}

impl Refusal {
    /// The same for the publisher, with its words.
    pub const fn warning(self) -> Warning {
        match self {
            Self::NoConverter { from } => Warning::NoConverter { from },
            Self::NotBuilt { from } => Warning::NotBuilt { from },
            Self::PacketizationMode => Warning::PacketizationMode,
            Self::TranscodersBusy => Warning::TranscodersBusy,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packetised => "the viewer takes RTP packets; the codec is kept",
            Self::Depacketised => "the viewer takes whole frames; the codec is kept",
            Self::AacToOpus => "WebRTC has no AAC; the sound is coded as Opus",
            Self::OpusToAac => "RTMP has no Opus; the sound is coded as AAC",
            Self::Transcoded { from, to } => return Warning::Transcoded { from: *from, to: *to }.fmt(f),
            Self::FirstPicture => {
                "the next keyframe is far away; who has just come gets a picture made for the time until then"
            }
            Self::BFramesTranscoded => return Warning::BFramesTranscoded.fmt(f),
            Self::ProfileTranscoded => return Warning::ProfileTranscoded.fmt(f),
            Self::ToG711 { from, to } => {
                return write!(
                    f,
                    "the viewer takes no {from}; the sound is coded as {to}, as on a telephone"
                );
            }
            Self::SoundToOpus(codec) => {
                return write!(f, "the viewer does not take {codec}; the sound is coded as Opus");
            }
            Self::SoundToAac(codec) => {
                return write!(f, "few players know {codec}; the sound is coded as AAC");
            }
            Self::BFrames => return Warning::BFrames.fmt(f),
            Self::BFrameReferences => return Warning::BFrameReferences.fmt(f),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn frames(codec: Codec) -> FeedKey {
        FeedKey::new(codec, Form::Frames)
    }

    const fn packets(codec: Codec) -> FeedKey {
        FeedKey::new(codec, Form::Packets)
    }

    #[test]
    fn what_is_published_passes() {
        let accepted = [packets(Codec::H264), packets(Codec::Vp8)];
        assert_eq!(plan(&[packets(Codec::Vp8)], &accepted), Some((packets(Codec::Vp8), vec![])));
        assert_eq!(plan(&[packets(Codec::H264)], &accepted), Some((packets(Codec::H264), vec![])));
    }

    #[test]
    fn an_rtmp_publisher_towards_webrtc() {
        use Conversion::{AacToOpus, PacketiseH264, PacketiseOpus};
        let video = plan(&[frames(Codec::H264)], &[packets(Codec::Vp8), packets(Codec::H264)]);
        assert_eq!(video, Some((packets(Codec::H264), vec![PacketiseH264])));
        let audio = plan(&[frames(Codec::Aac)], &[packets(Codec::Opus)]);
        assert_eq!(audio, Some((packets(Codec::Opus), vec![AacToOpus, PacketiseOpus])));
    }

    #[test]
    fn a_webrtc_publisher_towards_rtmp() {
        use Conversion::{DepacketiseH264, DepacketiseOpus, OpusToAac};
        let video = plan(&[packets(Codec::H264)], &[frames(Codec::H264)]);
        assert_eq!(video, Some((frames(Codec::H264), vec![DepacketiseH264])));
        let audio = plan(&[packets(Codec::Opus)], &[frames(Codec::Aac)]);
        assert_eq!(audio, Some((frames(Codec::Aac), vec![DepacketiseOpus, OpusToAac])));
        let recorder = plan(&[packets(Codec::Opus)], &[frames(Codec::Aac), frames(Codec::Opus)]);
        assert_eq!(recorder, Some((frames(Codec::Opus), vec![DepacketiseOpus])), "the cheaper one");
    }

    #[test]
    fn single_nal_units_suit_everybody_and_nothing_becomes_them() {
        let single = FeedKey::new(Codec::H264, Form::SingleNal);
        let both = [packets(Codec::H264), single];
        assert_eq!(plan(&[single], &[single]), Some((single, vec![])));
        assert_eq!(plan(&[single], &both), Some((single, vec![])));
        assert_eq!(
            plan(&[single], &[frames(Codec::H264)]),
            Some((frames(Codec::H264), vec![Conversion::DepacketiseSingleNal]))
        );
        assert_eq!(plan(&[packets(Codec::H264)], &both), Some((packets(Codec::H264), vec![])));
        let rtmp = plan(&[frames(Codec::H264)], &both).unwrap();
        assert_eq!(rtmp, (packets(Codec::H264), vec![Conversion::PacketiseH264]));
        for fragmented in [frames(Codec::H264), packets(Codec::H264)] {
            assert_eq!(plan(&[fragmented], &[single]), None);
        }
    }

    #[test]
    fn what_a_viewer_may_be_sent() {
        assert_eq!(packet_codecs(frames(Codec::Aac)), [Codec::Opus, Codec::Pcmu, Codec::Pcma]);
        assert_eq!(packet_codecs(packets(Codec::Pcma)), [Codec::Pcma, Codec::Opus, Codec::Pcmu]);
        let single = FeedKey::new(Codec::H264, Form::SingleNal);
        for (published, codecs) in [
            (frames(Codec::H264), [Codec::H264, Codec::Vp8]),
            (single, [Codec::H264, Codec::Vp8]),
            (packets(Codec::Vp8), [Codec::Vp8, Codec::H264]),
            (frames(Codec::Av1), [Codec::H264, Codec::Vp8]),
        ] {
            let codecs = if cfg!(feature = "transcode") { &codecs[..] } else { &codecs[..1] };
            let is_alone = !cfg!(feature = "transcode") && published.codec == Codec::Av1;
            assert_eq!(packet_codecs(published), if is_alone { &[] } else { codecs }, "{published}");
        }
    }

    #[test]
    fn a_way_is_needed_for_its_dearest_step() {
        use Conversion::{AacToOpus, DepacketiseOpus, OpusToAac, PacketiseOpus};
        assert_eq!(reason(&[AacToOpus, PacketiseOpus]), Some(Reason::AacToOpus));
        assert_eq!(reason(&[DepacketiseOpus, OpusToAac]), Some(Reason::OpusToAac));
        assert_eq!(reason(&[PacketiseOpus]), Some(Reason::Packetised));
        assert_eq!(reason(&[]), None);
    }

    #[test]
    fn nothing_leads_nowhere() {
        assert_eq!(plan(&[packets(Codec::Vp8)], &[packets(Codec::Hevc)]), None);
        assert_eq!(plan(&[], &[frames(Codec::H264)]), None);
        assert_eq!(plan(&[packets(Codec::Vp8)], &[]), None);
    }

    #[test]
    fn legacy_sound_goes_everywhere() {
        use Conversion::{PacketiseOpus, SoundToAac, SoundToOpus};
        for codec in SoundConfig::CODECS.into_iter().filter(|codec| SoundToOpus(*codec).is_built()) {
            let browser = plan(&[frames(codec)], &[packets(Codec::Opus)]).unwrap();
            assert_eq!(browser, (packets(Codec::Opus), vec![SoundToOpus(codec), PacketiseOpus]));
            assert_eq!(reason(&browser.1), Some(Reason::SoundToOpus(codec)));
            let player = plan(&[frames(codec)], &[frames(Codec::Aac)]);
            assert_eq!(player, Some((frames(Codec::Aac), vec![SoundToAac(codec)])));
            assert_eq!(plan(&[frames(codec)], &[frames(Codec::Aac), frames(codec)]).unwrap().1, []);
        }
    }

    #[test]
    fn telephones_are_heard_and_hear() {
        use Conversion::{
            DepacketiseG711, DepacketiseOpus, PacketiseG711, PacketiseOpus, SoundToAac, SoundToOpus, ToG711,
        };
        let (pcma, opus) = (packets(Codec::Pcma), packets(Codec::Opus));
        let way = |from, to| plan(&[from], &[to]).unwrap().1;
        let to_pcma = |from| ToG711 { from, to: Codec::Pcma };
        assert_eq!(way(frames(Codec::Aac), pcma), [to_pcma(Codec::Aac), PacketiseG711(Codec::Pcma)]);
        assert_eq!(way(opus, pcma), [DepacketiseOpus, to_pcma(Codec::Opus), PacketiseG711(Codec::Pcma)]);
        let (unpacked, to_opus) = (DepacketiseG711(Codec::Pcma), SoundToOpus(Codec::Pcma));
        assert_eq!(way(pcma, opus), [unpacked, to_opus, PacketiseOpus]);
        assert_eq!(way(pcma, frames(Codec::Aac)), [unpacked, SoundToAac(Codec::Pcma)]);
        assert_eq!(plan(&[pcma], &[opus, pcma]), Some((pcma, vec![])), "as it is");
        assert_eq!(way(packets(Codec::Pcmu), pcma)[1], to_pcma(Codec::Pcmu));
        let both = plan(&[frames(Codec::Aac)], &[pcma, opus]).unwrap();
        assert_eq!(both.0, opus, "the better one");
        assert_eq!(packet_codecs(frames(Codec::Aac))[0], Codec::Opus);
    }

    #[test]
    fn what_was_not_built_is_told_from_what_cannot_be() {
        let (speex, h264) = (frames(Codec::Speex), frames(Codec::H264));
        let accepted = [packets(Codec::Opus)];
        assert_eq!(refusal(speex, &[speex], &accepted), Refusal::NotBuilt { from: Codec::Speex });
        assert_eq!(refusal(h264, &[h264], &accepted), Refusal::NoConverter { from: Codec::H264 });
        assert_eq!(plan(&[speex], &accepted).is_some(), cfg!(feature = "transcode"));
        assert!(plan(&[frames(Codec::Pcmu)], &accepted).is_some(), "G.711 takes no library");
    }

    #[test]
    fn every_converter_changes_something_within_its_kind() {
        for conversion in Conversion::all() {
            assert_ne!(conversion.from(), conversion.to());
            assert_eq!(conversion.from().kind(), conversion.to().kind());
        }
    }
}

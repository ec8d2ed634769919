//! What a track carries.

use crate::codec::Codec;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::av1::Av1Config;
use crate::codec::h264::{AvcConfig, Sps};
use crate::codec::hevc::HevcConfig;
use crate::codec::opus::OpusConfig;
use crate::codec::sound::SoundConfig;
use crate::codec::vp9::Vp9Config;
use crate::time::ClockRate;
use bytes::Bytes;

/// A codec with all that a decoder must know before the first frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodecParams {
    /// Parameter sets.
    H264(AvcConfig),
    /// VP8 says everything in its key frames.
    Vp8,
    /// Parameter sets.
    Hevc(HevcConfig),
    /// The sequence header.
    Av1(Av1Config),
    /// What its key frames say of themselves.
    Vp9(Vp9Config),
    /// Sorenson's H.263 says everything in its pictures.
    Sorenson,
    /// VP6 in its key frames.
    Vp6,
    /// The AudioSpecificConfig.
    Aac(AudioSpecificConfig),
    /// Channels.
    Opus(OpusConfig),
    /// Any other sound.
    Sound(SoundConfig),
}

impl CodecParams {
    /// Which codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::Vp8 => Codec::Vp8,
            Self::Hevc(_) => Codec::Hevc,
            Self::Av1(_) => Codec::Av1,
            Self::Vp9(_) => Codec::Vp9,
            Self::Sorenson => Codec::Sorenson,
            Self::Vp6 => Codec::Vp6,
            Self::Aac(_) => Codec::Aac,
            Self::Opus(_) => Codec::Opus,
            Self::Sound(config) => config.codec,
        }
    }

    /// The clock of the codec's RTP payload format; for sound that has none its sample rate.
    pub const fn clock_rate(&self) -> ClockRate {
        match self {
            Self::H264(_)
            | Self::Vp8
            | Self::Hevc(_)
            | Self::Av1(_)
            | Self::Vp9(_)
            | Self::Sorenson
            | Self::Vp6 => ClockRate::VIDEO,
            Self::Aac(config) => config.sample_rate(),
            Self::Opus(_) => ClockRate::OPUS,
            Self::Sound(config) => config.rate,
        }
    }

    /// What it holds in memory beyond its own size, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::H264(config) => {
                let sets = config.sps().iter().chain(config.pps());
                sets.map(|set| set.len() + size_of_val(set)).sum()
            }
            Self::Hevc(config) => config.sets().map(|set| set.len() + size_of_val(set)).sum(),
            Self::Av1(config) => config.header().len(),
            Self::Aac(config) => config.bytes().len(),
            Self::Sound(config) => config.record.len(),
            Self::Vp8 | Self::Vp9(_) | Self::Sorenson | Self::Vp6 | Self::Opus(_) => 0,
        }
    }

    /// The decoder configuration record of a picture, as FLV and MP4 have it; VP8 has none there.
    pub fn record(&self) -> Option<Bytes> {
        match self {
            Self::H264(config) => Some(config.to_record()),
            Self::Hevc(config) => Some(config.to_record()),
            Self::Av1(config) => Some(config.to_record()),
            Self::Vp9(config) => Some(config.to_record()),
            Self::Vp8 | Self::Sorenson | Self::Vp6 | Self::Aac(_) | Self::Opus(_) | Self::Sound(_) => None,
        }
    }

    /// Columns and lines of the picture, where the parameters say so.
    pub fn picture_size(&self) -> Option<(u32, u32)> {
        match self {
            Self::H264(config) => {
                let sps = Sps::parse(config.sps().first()?).ok()?;
                Some((sps.width, sps.height))
            }
            Self::Hevc(config) => Some((config.said().width, config.said().height)),
            Self::Av1(config) => Some((config.said().width, config.said().height)),
            Self::Vp9(config) => Some((config.key().width, config.key().height)),
            Self::Vp8 | Self::Sorenson | Self::Vp6 | Self::Aac(_) | Self::Opus(_) | Self::Sound(_) => None,
        }
    }

    /// The string by which browsers and players know such a track (RFC 6381), as `hvc1.1.6.L93.B0`.
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264(config) => {
                let [profile, constraints, level] = config.profile_level_id();
                format!("avc1.{profile:02X}{constraints:02X}{level:02X}")
            }
            Self::Vp8 => "vp8".to_owned(),
            Self::Hevc(config) => config.said().codec_string(),
            Self::Av1(config) => config.said().codec_string(),
            Self::Vp9(config) => config.codec_string(),
            Self::Aac(config) => format!("mp4a.40.{}", config.profile()),
            Self::Sorenson => "flv1".to_owned(),
            Self::Vp6 => "vp6f".to_owned(),
            Self::Opus(_) => "opus".to_owned(),
            Self::Sound(config) => config.codec_string().to_owned(),
        }
    }
}

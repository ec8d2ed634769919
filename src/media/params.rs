//! What a track carries.

use crate::codec::Codec;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::h264::AvcConfig;
use crate::codec::opus::OpusConfig;
use crate::time::ClockRate;

/// A codec with all that a decoder must know before the first frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodecParams {
    /// Parameter sets.
    H264(AvcConfig),
    /// VP8 says everything in its key frames.
    Vp8,
    /// The AudioSpecificConfig.
    Aac(AudioSpecificConfig),
    /// Channels.
    Opus(OpusConfig),
}

impl CodecParams {
    /// Which codec.
    pub const fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::Vp8 => Codec::Vp8,
            Self::Aac(_) => Codec::Aac,
            Self::Opus(_) => Codec::Opus,
        }
    }

    /// The clock of the codec's RTP payload format; for AAC its sample rate.
    pub const fn clock_rate(&self) -> ClockRate {
        match self {
            Self::H264(_) | Self::Vp8 => ClockRate::VIDEO,
            Self::Aac(config) => config.sample_rate(),
            Self::Opus(_) => ClockRate::OPUS,
        }
    }

    /// What it holds in memory beyond its own size, in bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::H264(config) => {
                let sets = config.sps().iter().chain(config.pps());
                sets.map(|set| set.len() + size_of_val(set)).sum()
            }
            Self::Aac(config) => config.bytes().len(),
            Self::Vp8 | Self::Opus(_) => 0,
        }
    }
}

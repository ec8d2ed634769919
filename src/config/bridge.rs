//! Section `[bridge]`.

use super::units::Span;
use serde::{Deserialize, Serialize};
use std::thread::available_parallelism;
use std::time::Duration;

/// Conversions between codecs and forms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bridge {
    /// How long a conversion goes on after the last one who needed it has left.
    pub linger: Span,
    /// The encoder of H.264 to try first.
    pub video_encoder: VideoEncoder,
    /// Streams whose picture is decoded and encoded at the same time; 0 means one less than there are cores, at least one.
    pub max_video_transcodes: usize,
    /// The most that is made of one picture, in thousands of bits a second.
    pub max_video_kbps: u32,
    /// The largest picture that is decoded, in samples.
    pub max_pixels: u32,
}

/// What encodes H.264, by its name in FFmpeg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum VideoEncoder {
    /// What is there and works: hardware first.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Nothing: no picture is transcoded.
    #[serde(rename = "none")]
    None,
    /// x264, on the processor.
    #[serde(rename = "libx264")]
    Libx264,
    /// Cisco's OpenH264, on the processor.
    #[serde(rename = "libopenh264")]
    Libopenh264,
    /// NVIDIA's encoders.
    #[serde(rename = "h264_nvenc")]
    Nvenc,
    /// Intel's Quick Sync Video.
    #[serde(rename = "h264_qsv")]
    Qsv,
    /// AMD's encoders.
    #[serde(rename = "h264_amf")]
    Amf,
    /// Apple's encoders.
    #[serde(rename = "h264_videotoolbox")]
    VideoToolbox,
    /// Those of small boards, by Video4Linux.
    #[serde(rename = "h264_v4l2m2m")]
    V4l2m2m,
}

impl Default for Bridge {
    fn default() -> Self {
        Self {
            linger: Span(Duration::from_secs(5)),
            video_encoder: VideoEncoder::default(),
            max_video_transcodes: 0,
            max_video_kbps: 8_000,
            max_pixels: 4_096 * 2_304,
        }
    }
}

impl Bridge {
    /// How many streams are transcoded at the same time.
    pub fn video_transcodes(&self) -> usize {
        match (self.video_encoder, self.max_video_transcodes) {
            (VideoEncoder::None, _) => 0,
            (_, 0) => available_parallelism().map_or(1, |cores| cores.get() - 1).max(1),
            (_, count) => count,
        }
    }
}

impl VideoEncoder {
    /// Its name in FFmpeg; `None` where none is named.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Auto | Self::None => return None,
            Self::Libx264 => "libx264",
            Self::Libopenh264 => "libopenh264",
            Self::Nvenc => "h264_nvenc",
            Self::Qsv => "h264_qsv",
            Self::Amf => "h264_amf",
            Self::VideoToolbox => "h264_videotoolbox",
            Self::V4l2m2m => "h264_v4l2m2m",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_a_time() {
        let count = |video_encoder, max_video_transcodes| {
            Bridge { video_encoder, max_video_transcodes, ..Bridge::default() }.video_transcodes()
        };
        assert!(count(VideoEncoder::Auto, 0) >= 1);
        assert_eq!((count(VideoEncoder::Libx264, 7), count(VideoEncoder::None, 7)), (7, 0));
    }
}

//! Which encoders there are, and under which options they hold no picture back.

use super::encoder::Encoder;
use super::{Picture, VideoError};
use crate::config::VideoEncoder;
use crate::media::Codec;
use crate::time::{BitRate, Timestamp};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use std::sync::{Mutex, PoisonError};

/// One encoder of FFmpeg.
#[derive(Clone, Copy, Debug)]
pub(in crate::bridge) struct Kind(&'static Row);

#[derive(Debug)]
struct Row {
    /// Its name in FFmpeg.
    name: &'static str,
    codec: Codec,
    pixels: Pixel,
    options: &'static [(&'static str, &'static str)],
}

/// Those for H.264, the cheapest for the processor first. All write the constrained baseline profile, which every peer takes.
static H264: [Row; 7] = [
    Row {
        name: "h264_nvenc",
        codec: Codec::H264,
        pixels: Pixel::YUV420P,
        options: &[
            ("preset", "p3"),
            ("tune", "ull"),
            ("zerolatency", "1"),
            ("delay", "0"),
            ("forced-idr", "1"),
            ("rc", "vbr"),
            ("profile", "baseline"),
        ],
    },
    Row {
        name: "h264_qsv",
        codec: Codec::H264,
        pixels: Pixel::NV12,
        options: &[
            ("preset", "veryfast"),
            ("async_depth", "1"),
            ("forced_idr", "1"),
            ("profile", "baseline"),
            ("low_delay_brc", "1"),
        ],
    },
    Row {
        name: "h264_amf",
        codec: Codec::H264,
        pixels: Pixel::NV12,
        options: &[("usage", "ultralowlatency"), ("profile", "constrained_baseline"), ("quality", "speed")],
    },
    Row {
        name: "h264_videotoolbox",
        codec: Codec::H264,
        pixels: Pixel::NV12,
        options: &[("realtime", "1"), ("profile", "baseline"), ("allow_sw", "0")],
    },
    Row { name: "h264_v4l2m2m", codec: Codec::H264, pixels: Pixel::YUV420P, options: &[] },
    Row {
        name: "libx264",
        codec: Codec::H264,
        pixels: Pixel::YUV420P,
        options: &[
            ("preset", "veryfast"),
            ("tune", "zerolatency"),
            ("forced-idr", "1"),
            ("profile", "baseline"),
            ("crf", "23"),
            ("x264-params", "scenecut=0"),
        ],
    },
    Row {
        name: "libopenh264",
        codec: Codec::H264,
        pixels: Pixel::YUV420P,
        options: &[("rc_mode", "bitrate"), ("allow_skip_frames", "1"), ("profile", "constrained_baseline")],
    },
];

static VP8: [Row; 1] = [Row {
    name: "libvpx",
    codec: Codec::Vp8,
    pixels: Pixel::YUV420P,
    options: &[("deadline", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0"), ("auto-alt-ref", "0")],
}];

/// Those for H.264 that have failed here: they are not tried again.
static FAILED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

impl Kind {
    /// Those to try for a codec, best first.
    pub(in crate::bridge) fn of(codec: Codec, wanted: VideoEncoder) -> impl Iterator<Item = Self> {
        let rows: &'static [Row] = match codec {
            Codec::H264 => &H264,
            Codec::Vp8 => &VP8,
            _ => &[],
        };
        let wanted = wanted.name().filter(|_| codec == Codec::H264);
        // The wanted one goes first, and the others stand in for it.
        let (first, others): (Vec<_>, Vec<_>) = rows.iter().partition(|row| Some(row.name) == wanted);
        let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        first.into_iter().chain(others).filter(move |row| !failed.contains(&row.name)).map(Self)
    }

    /// Its name in FFmpeg.
    pub(in crate::bridge) const fn name(self) -> &'static str {
        self.0.name
    }

    pub(super) const fn codec(self) -> Codec {
        self.0.codec
    }

    pub(super) const fn pixels(self) -> Pixel {
        self.0.pixels
    }

    pub(super) const fn options(self) -> &'static [(&'static str, &'static str)] {
        self.0.options
    }

    /// Whether what it promises by its name is there: it makes a keyframe of one picture, and another when it is asked to.
    fn test(self) -> Result<(), VideoError> {
        let mut encoder = Encoder::open(self, 320, 192, BitRate::from_kbps(500))?;
        for at in 0..2 {
            let mut grey = ffmpeg::frame::Video::new(self.pixels(), 320, 192);
            (0..grey.planes()).for_each(|plane| grey.data_mut(plane).fill(128));
            encoder.encode(Picture(grey), Timestamp::from_millis(40 * at), true)?;
            let made = encoder.next().filter(|made| made.frame.keyframe);
            made.filter(|made| at > 0 || made.params.is_some()).ok_or(VideoError::HoldsBack)?;
        }
        Ok(())
    }

    /// Notes that it has failed here.
    fn give_up(self, error: &VideoError) {
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed.contains(&self.name()) {
            failed.push(self.name());
        }
        // A missing encoder is what most builds and machines have of most of them.
        if matches!(error, VideoError::NoCodec(_)) {
            tracing::debug!(encoder = self.name(), %error, "this encoder is not there");
        } else {
            tracing::info!(encoder = self.name(), %error, "this encoder does not work here; the next is tried");
        }
    }
}

/// An encoder for pictures of this size: the first of those to try that passes a test of its own and opens.
pub(in crate::bridge) fn open(
    codec: Codec,
    wanted: VideoEncoder,
    (width, height): (u32, u32),
    rate: BitRate,
) -> Result<Encoder, VideoError> {
    let mut last = VideoError::NoCodec(codec.as_str());
    for kind in Kind::of(codec, wanted) {
        if let Err(error) = kind.test() {
            if wanted.name() == Some(kind.name()) {
                tracing::warn!(encoder = kind.name(), %error, "bridge.video_encoder cannot be had; another takes its place");
            }
            kind.give_up(&error);
            last = error;
            continue;
        }
        // One that works may still not take this size, or have no session left: no reason never to try it again.
        match Encoder::open(kind, width, height, rate) {
            Ok(encoder) => {
                tracing::debug!(encoder = kind.name(), width, height, rate = rate.bps(), "encoder opened");
                return Ok(encoder);
            }
            Err(error) => {
                tracing::warn!(encoder = kind.name(), width, height, %error, "encoder cannot be opened; the next is tried");
                last = error;
            }
        }
    }
    Err(last)
}

//! Which encoders there are, and under which options they hold no picture back.

use super::encoder::{Encoder, Look};
use super::{Picture, VideoError};
use crate::config::VideoEncoder;
use crate::media::Codec;
use crate::time::{BitRate, Timestamp};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// What is known of encoders here, by name. Those that are not named have not been tried.
static TRIED: Mutex<Vec<(&'static str, Trial)>> = Mutex::new(Vec::new());

/// How an encoder has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trial {
    Passed,
    /// It is not there, or not of use: it is not tried again.
    Failed,
    /// Somebody else may have had all that there is of it: it is tried again later.
    FailedAt(Instant),
}

/// An encoder that has failed for want of something is tried again after so long.
const AGAIN: Duration = Duration::from_secs(60);

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
        first.into_iter().chain(others).map(Self)
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
        let grey = || {
            let mut grey = ffmpeg::frame::Video::new(self.pixels(), 320, 192);
            (0..grey.planes()).for_each(|plane| grey.data_mut(plane).fill(128));
            Picture(grey)
        };
        let mut encoder = Encoder::open(self, &Look::of(&grey()), BitRate::from_kbps(500))?;
        for at in 0..2 {
            encoder.encode(grey(), Timestamp::from_millis(40 * at), true)?;
            let made = encoder.next().filter(|made| made.frame.keyframe);
            made.filter(|made| at > 0 || made.params.is_some()).ok_or(VideoError::HoldsBack)?;
        }
        Ok(())
    }

    /// What is known of it.
    fn trial(self) -> Option<Trial> {
        let tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        tried.iter().find(|(name, _)| *name == self.name()).map(|(_, trial)| *trial)
    }

    fn note(self, trial: Trial) {
        let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|(name, _)| *name != self.name());
        tried.push((self.name(), trial));
    }

    /// Whether it works here, as far as is known or a test tells.
    fn works(self, wanted: VideoEncoder, now: Instant) -> Result<(), VideoError> {
        match self.trial() {
            Some(Trial::Passed) => return Ok(()),
            Some(Trial::Failed) => return Err(VideoError::NoCodec(self.name())),
            Some(Trial::FailedAt(at)) if now.saturating_duration_since(at) < AGAIN => {
                return Err(VideoError::NoCodec(self.name()));
            }
            Some(Trial::FailedAt(_)) | None => {}
        }
        let tested = self.test();
        self.note(match tested {
            Ok(()) => Trial::Passed,
            Err(VideoError::NoCodec(_) | VideoError::HoldsBack) => Trial::Failed,
            Err(_) => Trial::FailedAt(now),
        });
        if let Err(error) = &tested {
            let (encoder, is_wanted) = (self.name(), wanted.name() == Some(self.name()));
            match error {
                _ if is_wanted => {
                    tracing::warn!(encoder, %error, "bridge.video_encoder cannot be had; another takes its place");
                }
                // What most builds lack of most of them.
                VideoError::NoCodec(_) => tracing::debug!(encoder, "this encoder is not there"),
                _ => tracing::info!(encoder, %error, "this encoder does not work here; the next is tried"),
            }
        }
        tested
    }
}

/// An encoder for pictures of this size: the first of those to try that passes a test of its own and opens.
pub(in crate::bridge) fn open(
    codec: Codec,
    wanted: VideoEncoder,
    picture: &Look,
    rate: BitRate,
    now: Instant,
) -> Result<Encoder, VideoError> {
    let mut last = VideoError::NoCodec(codec.as_str());
    for kind in Kind::of(codec, wanted) {
        if let Err(error) = kind.works(wanted, now) {
            last = error;
            continue;
        }
        // One that works may still not take this size, or have no session left: no reason never to try it again.
        match Encoder::open(kind, picture, rate) {
            Ok(encoder) => {
                tracing::debug!(encoder = kind.name(), ?picture, rate = rate.bps(), "encoder opened");
                return Ok(encoder);
            }
            Err(error) => {
                tracing::debug!(encoder = kind.name(), ?picture, %error, "encoder cannot be opened; the next is tried");
                last = error;
            }
        }
    }
    Err(last)
}

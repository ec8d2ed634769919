//! Which container a stream goes into, and what fills its gaps.

use super::timeline::{BlackPictures, Silence};
use crate::bridge::Accepts;

use crate::codec::h264::{AvcConfig, Black, Sps};
use crate::codec::vp8;
use crate::codec::{Codec, opus};
use crate::container::{Sample, Storage, mp4, webm};
use crate::media::{CodecParams, Frame, MediaKind, Payload};
use crate::stream::{FeedKey, Form, Stream};
use crate::time::{ClockRate, MediaDuration};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use thiserror::Error;

/// Pictures a second of black, where the stream does not say how many it has.
const BLACK_RATE: f64 = 25.0;

/// The kind of file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Container {
    Mp4,
    WebM,
}

/// What a decoder must know of a file's tracks; at least one of them is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracks {
    pub(super) audio: Option<CodecParams>,
    pub(super) video: Option<CodecParams>,
    /// The size of the first key picture, where the parameters do not have it.
    pub(super) size: Option<vp8::Size>,
}

/// Why a stream cannot be written to a file.
#[derive(Debug, Error)]
pub(super) enum FormatError {
    /// Neither track can be written.
    #[error("the stream has nothing that can be recorded")]
    Nothing,
    /// The sound is in a codec that WebM does not have.
    #[error("{0} does not go into the same file as the picture")]
    Codec(Codec),
    /// The container refuses.
    #[error(transparent)]
    Mp4(#[from] mp4::WriteError),
    /// The container refuses.
    #[error(transparent)]
    WebM(#[from] webm::WriteError),
}

/// Why a file could not be completed.
#[derive(Debug, Error)]
pub(super) enum FinaliseError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Mp4(#[from] mp4::ReadError),
    #[error(transparent)]
    WebM(#[from] webm::ScanError),
}

/// Makes the bytes of a file that grows.
pub(super) enum Writer {
    Mp4(mp4::Writer),
    WebM(webm::Writer),
}

impl Container {
    /// The one for what a stream publishes, as far as that is known.
    pub(super) fn of(stream: &Stream) -> Self {
        match stream.track(MediaKind::Video) {
            Some(feed) if feed.key.codec == Codec::Vp8 => Self::WebM,
            _ => Self::Mp4,
        }
    }

    /// What of a stream goes into it; `as_published`: without coding the sound anew, where that can be had.
    pub(super) fn accepts(self, as_published: bool) -> Accepts {
        let frames = |codec| FeedKey::new(codec, Form::Frames);
        let (aac, opus) = (frames(Codec::Aac), frames(Codec::Opus));
        match self {
            Self::WebM => Accepts { audio: vec![opus], video: vec![frames(Codec::Vp8)] },
            Self::Mp4 => {
                let audio = if as_published { vec![aac, opus] } else { vec![aac] };
                let video = [Codec::H264, Codec::Hevc, Codec::Av1, Codec::Vp9].map(frames).to_vec();
                Accepts { audio, video }
            }
        }
    }

    /// The ending of its files' names.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::WebM => "webm",
        }
    }

    /// The one whose files have this ending.
    pub(super) fn by_extension(extension: &str) -> Option<Self> {
        [Self::Mp4, Self::WebM].into_iter().find(|container| container.extension() == extension)
    }

    /// Completes a file, be it one that ended in order or one that was cut. Gives its length on its own clock.
    pub(super) fn finalise<F: Storage>(self, file: &mut F) -> Result<MediaDuration, FinaliseError> {
        let end = match self {
            Self::Mp4 => mp4::finalise(file)?.before.tracks.iter().map(|track| track.end).max(),
            Self::WebM => Some(webm::finalise(file)?.end),
        };
        Ok(end.unwrap_or_default().since_origin())
    }
}

impl Writer {
    /// A writer, and the head of its file.
    pub(super) fn new(
        container: Container,
        tracks: &Tracks,
        created: SystemTime,
    ) -> Result<(Self, Vec<Bytes>), FormatError> {
        match container {
            Container::Mp4 => {
                let video = match &tracks.video {
                    Some(CodecParams::H264(config)) => Some(mp4::VideoEntry::H264(with_black(config))),
                    Some(CodecParams::Hevc(config)) => Some(mp4::VideoEntry::Hevc(config.clone())),
                    Some(CodecParams::Av1(config)) => Some(mp4::VideoEntry::Av1(config.clone())),
                    Some(CodecParams::Vp9(config)) => Some(mp4::VideoEntry::Vp9(*config)),
                    Some(other) => return Err(FormatError::Codec(other.codec())),
                    None => None,
                };
                let audio = match &tracks.audio {
                    Some(CodecParams::Aac(config)) => Some(mp4::AudioEntry::Aac(config.clone())),
                    Some(CodecParams::Opus(config)) => Some(mp4::AudioEntry::Opus(*config)),
                    Some(other) => return Err(FormatError::Codec(other.codec())),
                    None => None,
                };
                let (writer, head) = mp4::Writer::new(video.as_ref(), audio.as_ref(), created)?;
                Ok((Self::Mp4(writer), head))
            }
            Container::WebM => {
                let size = tracks.size.unwrap_or(webm::UNKNOWN_SIZE);
                let video = tracks.video.as_ref().map(|_| webm::VideoEntry::Vp8(size));
                let audio = match &tracks.audio {
                    Some(CodecParams::Opus(config)) => Some(webm::AudioEntry::Opus(*config)),
                    Some(other) => return Err(FormatError::Codec(other.codec())),
                    None => None,
                };
                let (writer, head) = webm::Writer::new(video.as_ref(), audio.as_ref(), created)?;
                Ok((Self::WebM(writer), vec![head]))
            }
        }
    }

    /// What of a file these samples are, whole: a fragment, or clusters.
    pub(super) fn chunk(&mut self, samples: &[Sample]) -> Result<Vec<Bytes>, FormatError> {
        match self {
            Self::Mp4(writer) => Ok(writer.fragment(samples)?),
            Self::WebM(writer) => Ok(writer.clusters(samples)?),
        }
    }
}

impl Tracks {
    /// Whether what another stream sends goes on in the same file.
    pub(super) fn continues_with(&self, params: &CodecParams) -> bool {
        match params.codec().kind() {
            MediaKind::Video => self.video.as_ref().is_some_and(|own| own.codec() == params.codec()),
            // The sound's parameters stand at the head of the file.
            MediaKind::Audio => self.audio.as_ref() == Some(params),
        }
    }
}

/// Ticks a second of a track's own clock, and silence on it.
pub(super) fn silence(params: &CodecParams) -> (ClockRate, Option<Silence>) {
    let silence = match params {
        CodecParams::Aac(config) => {
            config.silence().map(|packet| Silence { packet, ticks: i64::from(config.frame_samples()) })
        }
        CodecParams::Opus(config) => {
            Some(Silence { packet: Bytes::from_static(opus::silence(*config)), ticks: 960 })
        }
        _ => None,
    };
    (params.clock_rate(), silence)
}

/// How long a packet of sound plays.
pub(super) fn length(params: &CodecParams, frame: &Frame) -> Option<MediaDuration> {
    match params {
        CodecParams::Aac(config) => {
            Some(MediaDuration::from_ticks(i64::from(config.frame_samples()), config.sample_rate()))
        }
        CodecParams::Opus(_) => opus::duration(frame.payload.bytes()),
        _ => None,
    }
}

/// What of a picture's parameters a file needs beside the pictures.
pub(super) struct Picture {
    /// Columns and lines.
    pub(super) size: (u32, u32),
    pub(super) black: Option<Arc<dyn BlackPictures>>,
    /// How long a black picture lasts.
    pub(super) step: MediaDuration,
    /// The parameter sets as they stand before a key picture.
    pub(super) sets: Bytes,
}

impl Picture {
    /// Under these parameters; `None` where they cannot be read. `coded`: where an encoder's black picture is, or comes to be.
    pub(super) fn of(params: &CodecParams, size: Option<vp8::Size>, coded: &CodedBlack) -> Option<Self> {
        match params {
            CodecParams::H264(config) => {
                let sps = Sps::parse(config.sps().first()?).ok()?;
                let black = Black::new(config).ok();
                let config = black.as_ref().map_or(config, Black::config);
                let sets = config.length_prefixed();
                let black = black.map(|black| Arc::new(black) as Arc<dyn BlackPictures>);
                let rate = sps.frame_rate.filter(|rate| (1.0..=60.0).contains(rate)).unwrap_or(BLACK_RATE);
                Some(Self { size: (sps.width, sps.height), black, step: step(rate), sets })
            }
            CodecParams::Vp8 => {
                let size = size?;
                Some(Self {
                    size: (size.width().into(), size.height().into()),
                    black: Some(Arc::new(BlackVp8(size))),
                    step: step(BLACK_RATE),
                    sets: Bytes::new(),
                })
            }
            CodecParams::Hevc(_) | CodecParams::Av1(_) | CodecParams::Vp9(_) => {
                let sets = match params {
                    CodecParams::Hevc(config) => config.length_prefixed(),
                    // Their key frames have all that they need.
                    _ => Bytes::new(),
                };
                let black = BlackCoded { picture: coded.clone(), sets: sets.clone() };
                Some(Self {
                    size: params.picture_size()?,
                    black: Some(Arc::new(black)),
                    step: step(BLACK_RATE),
                    sets,
                })
            }
            CodecParams::Sorenson
            | CodecParams::Vp6
            | CodecParams::Aac(_)
            | CodecParams::Opus(_)
            | CodecParams::Sound(_) => None,
        }
    }
}

/// The size of a key picture that says so itself.
pub(super) fn size_of(frame: &Frame) -> Option<vp8::Size> {
    match &frame.payload {
        Payload::Packet(packet) if frame.kind == MediaKind::Video && frame.keyframe => {
            vp8::Size::of_keyframe(packet)
        }
        _ => None,
    }
}

/// The parameter sets with those of black pictures, where these can be made.
fn with_black(config: &AvcConfig) -> AvcConfig {
    Black::new(config).map_or_else(|_| config.clone(), |black| black.config().clone())
}

fn step(rate: f64) -> MediaDuration {
    MediaDuration::from_ticks((90_000.0 / rate).round() as i64, ClockRate::VIDEO) // between 1,500 and 90,000
}

impl BlackPictures for Black {
    fn key(&self, count: u64) -> Bytes {
        self.key(count)
    }

    fn repeat(&self, index: u64) -> Bytes {
        self.repeat(index)
    }
}

#[derive(Debug)]
struct BlackVp8(vp8::Size);

impl BlackPictures for BlackVp8 {
    fn key(&self, _: u64) -> Bytes {
        vp8::black(self.0)
    }

    fn repeat(&self, _: u64) -> Bytes {
        vp8::repeat(self.0)
    }
}

/// A black picture that an encoder makes meanwhile, with all parameters that it needs within it.
pub(super) type CodedBlack = Arc<OnceLock<Bytes>>;

#[derive(Debug)]
struct BlackCoded {
    picture: CodedBlack,
    /// Of the stream.
    sets: Bytes,
}

impl BlackPictures for BlackCoded {
    fn key(&self, _: u64) -> Bytes {
        self.picture.get().cloned().unwrap_or_default()
    }

    fn repeat(&self, count: u64) -> Bytes {
        self.key(count)
    }

    fn is_ready(&self) -> bool {
        self.picture.get().is_some()
    }

    fn sets_behind(&self) -> Option<Bytes> {
        Some(self.sets.clone())
    }
}

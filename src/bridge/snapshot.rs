//! The last picture of a stream as an image.
//!
//! Decoded from the frames since the last keyframe, which the stream keeps for those who come late; where a publisher's
//! packets are not put together for anybody yet, it is asked for a keyframe. Only what somebody asks for is decoded, one
//! picture at a time on all cores but one, on threads that may be kept busy.

use super::rendition::Bridge;
use super::subscription::{Accepts, Subscription};
use crate::media::{Codec, CodecParams, Frame, MediaKind};
use crate::stream::{Event, FeedKey, Form, QueueLimits, Start, Stream};
use bytes::Bytes;
use metrics::counter;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// How long a keyframe may take. Whoever can be asked sends one at once; encoders that cannot send one every few seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a request waits for others to be done.
const QUEUE: Duration = Duration::from_secs(2);
/// How long may be decoded for one picture. A longer past than that ends in a picture that is a little older.
#[cfg(feature = "transcode")]
const WORK: Duration = Duration::from_secs(2);

/// What an image is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageFormat {
    /// Every sample as it was decoded.
    Png,
    /// A tenth of the bytes.
    Jpeg,
}

/// Why there is no picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SnapshotError {
    /// The program was built without the feature `transcode`.
    #[error("this server was built without the feature `transcode`, which takes pictures of streams")]
    NotBuilt,
    /// The stream is sound alone.
    #[error("the stream has no picture")]
    NoVideo,
    /// Nothing came that a decoder can start at.
    #[error("no keyframe came within {} s; try again, or set a shorter keyframe interval in the encoder", PATIENCE.as_secs())]
    NoKeyframe,
    /// The publisher has gone.
    #[error("the stream has ended")]
    Ended,
    /// What came is not what its codec says it should be, or too large.
    #[error("the picture cannot be decoded")]
    Undecodable,
    /// Too many ask at once.
    #[error("too many pictures are being taken; try again in a second")]
    Busy,
}

/// The frames from a keyframe on.
#[derive(Default)]
struct Gop {
    params: Option<CodecParams>,
    frames: Vec<Frame>,
}

impl ImageFormat {
    /// A word: `png`, `jpeg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }
}

impl SnapshotError {
    /// A word for metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotBuilt => "not_built",
            Self::NoVideo => "no_video",
            Self::NoKeyframe => "no_keyframe",
            Self::Ended => "ended",
            Self::Undecodable => "undecodable",
            Self::Busy => "busy",
        }
    }
}

impl Bridge {
    /// The last picture of a stream as the bytes of a file, of `lines` lines at most.
    pub async fn snapshot(
        &self,
        stream: &Stream,
        format: ImageFormat,
        lines: Option<u32>,
    ) -> Result<Bytes, SnapshotError> {
        let taken = self.take_snapshot(stream, format, lines).await;
        let result = taken.as_ref().map_or_else(|error| error.as_str(), |_| "ok");
        counter!("commonroom_snapshots_total", "result" => result).increment(1);
        taken
    }

    async fn take_snapshot(
        &self,
        stream: &Stream,
        format: ImageFormat,
        lines: Option<u32>,
    ) -> Result<Bytes, SnapshotError> {
        if !cfg!(feature = "transcode") {
            return Err(SnapshotError::NotBuilt);
        }
        let gop = timeout(PATIENCE, self.collect(stream)).await.map_err(|_| SnapshotError::NoKeyframe)??;
        let place = timeout(QUEUE, self.decoders().acquire_owned()).await.map_err(|_| SnapshotError::Busy)?;
        // The places are never closed.
        let place = place.map_err(|_| SnapshotError::Busy)?;
        // The place goes with the work, which goes on when whoever asked is gone.
        let drawn = tokio::task::spawn_blocking(move || {
            let drawn = gop.draw(format, lines);
            drop(place);
            drawn
        });
        let drawn = drawn.await;
        drawn.map_err(|_| SnapshotError::Undecodable)?.ok_or(SnapshotError::Undecodable)
    }

    async fn collect(&self, stream: &Stream) -> Result<Gop, SnapshotError> {
        stream.settled().await;
        if !stream.feeds().iter().any(|feed| feed.key.kind() == MediaKind::Video) {
            return Err(SnapshotError::NoVideo);
        }
        let video =
            [Codec::H264, Codec::Vp8, Codec::Hevc, Codec::Av1, Codec::Vp9, Codec::Sorenson, Codec::Vp6]
                .map(|codec| FeedKey::new(codec, Form::Frames))
                .to_vec();
        let accepts = Accepts { audio: Vec::new(), video };
        let mut subscription: Subscription =
            self.subscribe(stream, accepts, Start::CachedGop, QueueLimits::default());
        let mut gop = Gop::default();
        loop {
            subscription.ready().await;
            while let Some(event) = subscription.try_next() {
                gop.take(event)?;
            }
            if !gop.frames.is_empty() {
                return Ok(gop);
            }
        }
    }
}

impl Gop {
    fn take(&mut self, event: Event) -> Result<(), SnapshotError> {
        match event {
            Event::Params(params) => {
                self.frames.clear();
                self.params = Some(params);
            }
            Event::Frame(frame) if frame.keyframe => {
                self.frames.clear();
                self.frames.push(frame);
            }
            Event::Frame(frame) if !self.frames.is_empty() => self.frames.push(frame),
            Event::Skipped { .. } | Event::TrackEnded(_) => self.frames.clear(),
            Event::Ended(_) => return Err(SnapshotError::Ended),
            Event::Frame(_) | Event::Packets(..) => {}
        }
        Ok(())
    }

    /// Decodes all of it and writes the last picture; `None` if there is none.
    #[cfg(feature = "transcode")]
    fn draw(&self, format: ImageFormat, lines: Option<u32>) -> Option<Bytes> {
        use super::video::{self, Decoder, VideoError};
        use tracing::debug;

        let began = tokio::time::Instant::now();
        let params = self.params.as_ref()?;
        let draw = || -> Result<Option<Bytes>, VideoError> {
            let mut decoder = Decoder::new(params.codec(), video::MAX_PIXELS)?;
            let mut last = None;
            for frame in self.frames.iter().take_while(|_| began.elapsed() < WORK) {
                if let Err(error) = decoder.decode(params, frame) {
                    debug!(%error, "frame cannot be decoded");
                }
                while let Some(picture) = decoder.next() {
                    last = Some(picture);
                }
            }
            decoder.finish()?;
            while let Some(picture) = decoder.next() {
                last = Some(picture);
            }
            last.map(|picture| video::write(&picture, format, lines)).transpose()
        };
        draw().unwrap_or_else(|error| {
            debug!(%error, "no picture");
            None
        })
    }

    #[cfg(not(feature = "transcode"))]
    fn draw(&self, _format: ImageFormat, _lines: Option<u32>) -> Option<Bytes> {
        None
    }
}

#[cfg(feature = "transcode")]
#[cfg(test)]
mod tests;

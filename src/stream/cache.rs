//! What a late joiner gets at once: the frames since the last video keyframe.

use crate::media::{Frame, MediaKind};
use crate::time::{MediaDuration, Timestamp};
use std::collections::VecDeque;

/// Longer GOPs than this are not kept: a joiner waits for the next keyframe instead.
const MAX_DURATION: MediaDuration = MediaDuration::from_millis(12_000);
const MAX_BYTES: usize = 16 << 20;
/// Without a picture a joiner needs no past at all; a little hides the join.
const AUDIO_ONLY: MediaDuration = MediaDuration::from_millis(500);

/// Frames of one feed in decode order: video from its last keyframe on, audio from the same instant on. Bounded in
/// bytes and time.
#[derive(Default)]
pub(super) struct Cache {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Cache {
    /// Keeps a frame. `video_start` is the decode time of the stream's last video keyframe, if it has any video.
    pub(super) fn push(&mut self, frame: &Frame, video_start: Option<Timestamp>) {
        match frame.kind {
            MediaKind::Video if frame.keyframe => self.clear(),
            MediaKind::Video if self.frames.is_empty() => return, // nothing to decode it with
            MediaKind::Video => {}
            MediaKind::Audio => {
                let keep_from = video_start.unwrap_or(frame.dts - AUDIO_ONLY);
                while self.frames.front().is_some_and(|first| first.dts < keep_from) {
                    self.pop();
                }
            }
        }
        self.bytes += frame.payload.len();
        self.frames.push_back(frame.clone());
        let too_long = |first: &Frame| frame.dts - first.dts > MAX_DURATION;
        match frame.kind {
            MediaKind::Video => {
                if self.bytes > MAX_BYTES || self.frames.front().is_some_and(too_long) {
                    self.clear();
                }
            }
            MediaKind::Audio => {
                while self.bytes > MAX_BYTES || self.frames.front().is_some_and(too_long) {
                    self.pop();
                }
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.payload.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Payload;
    use bytes::Bytes;

    fn video(ms: i64, keyframe: bool) -> Frame {
        let time = Timestamp::from_millis(ms);
        Frame {
            kind: MediaKind::Video,
            dts: time,
            pts: time,
            keyframe,
            payload: Payload::Packet(Bytes::from_static(&[0; 100])),
        }
    }

    fn times(cache: &Cache) -> Vec<i64> {
        cache.frames().map(|f| (f.dts - Timestamp::ZERO).as_millis()).collect()
    }

    #[test]
    fn starts_at_the_last_keyframe() {
        let mut cache = Cache::default();
        for (ms, key) in [(0, false), (40, true), (80, false), (120, true), (160, false)] {
            cache.push(&video(ms, key), None);
        }
        assert_eq!(times(&cache), [120, 160]);
    }

    #[test]
    fn audio_follows_the_video_or_is_short() {
        let (mut with_video, mut alone) = (Cache::default(), Cache::default());
        for ms in (0..2_000).step_by(100) {
            let frame = Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(&[1]));
            with_video.push(&frame, Some(Timestamp::from_millis(700)));
            alone.push(&frame, None);
        }
        assert_eq!(times(&with_video).first(), Some(&700));
        assert_eq!(times(&alone).first(), Some(&1_400));
    }

    #[test]
    fn an_endless_gop_is_given_up() {
        let mut cache = Cache::default();
        for ms in (0..13_000).step_by(40) {
            cache.push(&video(ms, ms == 0), None);
        }
        assert_eq!(times(&cache), [0i64; 0]);
    }
}

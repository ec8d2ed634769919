//! What a late joiner gets at once: the frames since the last video keyframe.

use crate::media::{Frame, MediaKind};
use crate::time::{MediaDuration, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

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

/// All frames of one feed from the very first on, for as long as that takes to become known: a publication is announced when it
/// is known what its publisher sends, and who keeps everything wants what came until then. Bounded as a cache is.
#[derive(Default)]
pub(super) struct Beginning {
    frames: Vec<Frame>,
    bytes: usize,
    since: Option<Instant>,
    is_over: bool,
}

/// For so long: well above the time after which every publication is announced.
const KEPT: Duration = Duration::from_secs(3);

impl Beginning {
    pub(super) fn push(&mut self, frame: &Frame, now: Instant) {
        if self.is_over {
            return;
        }
        let since = *self.since.get_or_insert(now);
        self.bytes += frame.payload.len();
        if now - since > KEPT || self.bytes > MAX_BYTES {
            return self.forget();
        }
        self.frames.push(frame.clone());
    }

    /// What comes now does not go on from there.
    pub(super) fn forget(&mut self) {
        // Nothing before the first frame is forgotten.
        self.is_over = self.since.is_some();
        self.frames = Vec::new();
    }

    /// `None`: nobody knows any more how it began.
    pub(super) fn frames(&self) -> Option<&[Frame]> {
        (!self.is_over).then_some(&self.frames[..])
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

    #[test]
    fn a_beginning_is_kept_whole_for_a_moment() {
        let mut beginning = Beginning::default();
        beginning.forget(); // parameters, for instance
        let now = Instant::now();
        let mut known = Vec::new();
        for ms in (0..=3_000_u64).step_by(1_000) {
            beginning.push(&video(ms as i64, true), now + Duration::from_millis(ms));
            known.push(beginning.frames().map(<[Frame]>::len));
        }
        assert_eq!(known, [Some(1), Some(2), Some(3), Some(4)], "also from before the latest key picture");
        beginning.push(&video(3_001, false), now + Duration::from_millis(3_001));
        assert!(beginning.frames().is_none(), "a part of it is nothing");
        let mut changed = Beginning::default();
        changed.push(&video(0, true), now);
        changed.forget();
        changed.push(&video(40, true), now);
        assert!(changed.frames().is_none());
    }
}

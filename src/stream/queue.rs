//! A subscriber's queue: bounded in bytes, events and time, loses whole GOPs, counts what it lost.

use super::feed::FeedKey;
use super::subscriber::Event;
use crate::media::MediaKind;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much may wait for a subscriber before it loses some.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Bytes of all that waits.
    pub bytes: usize,
    /// Events.
    pub items: usize,
    /// How long media may wait.
    pub age: Duration,
}

impl Default for QueueLimits {
    /// 20 MiB, 4096 events and 10 s: whatever GOP is kept for joiners fits, and what comes while it is sent.
    fn default() -> Self {
        Self { bytes: 20 << 20, items: 4096, age: Duration::from_secs(10) }
    }
}

/// What waits for one subscriber. Over a limit it loses media: all video before the last keyframe or, if too little
/// stands behind that, up to the next to come; and of the sound the oldest. Parameters are never lost, but where no media
/// lies between only the latest are kept, so that they are bounded as well: a few more bytes than the limit at most. The
/// ends of tracks come once for each time a track was attached.
pub(super) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Waiting>,
    bytes: usize,
    /// Video is held back until its next keyframe.
    video_waits: VideoWaits,
    /// Lost since the subscriber was last told.
    lost_video: u64,
    lost_audio: u64,
    /// Lost ever.
    lost: u64,
    attached: Vec<FeedKey>,
    closed: bool,
}

struct Waiting {
    since: Instant,
    event: Event,
}

/// Why video is held back until its next keyframe.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum VideoWaits {
    /// It is not.
    #[default]
    No,
    /// At the start without a cached GOP.
    ToBegin,
    /// After a loss, of which this is part.
    AfterLoss,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), ready: Notify::new() }
    }

    /// Adds an event and, where there is no room, loses media.
    pub(super) fn push(&self, event: Event) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.closed || state.holds_back(&event) {
            return;
        }
        // An end makes no room: what it ends may still be of use.
        if !event.is_end() && !state.has_room(&event, now, &self.limits) {
            state.shed(now, &self.limits);
            if state.holds_back(&event) {
                state.lost_video += 1;
                return;
            }
        }
        let was_empty = state.events.is_empty();
        state.append(Waiting { since: now, event });
        drop(state);
        if was_empty {
            self.ready.notify_one();
        }
    }

    /// Moves what waits, in order, behind the end of `into`. Losses come first, as [`Event::Skipped`].
    pub(super) fn take(&self, into: &mut Vec<Event>) {
        let mut state = self.lock();
        for (kind, frames) in [(MediaKind::Video, state.lost_video), (MediaKind::Audio, state.lost_audio)] {
            if frames > 0 {
                into.push(Event::Skipped { kind, frames });
            }
        }
        (state.lost_video, state.lost_audio, state.bytes) = (0, 0, 0);
        into.extend(state.events.drain(..).map(|waiting| waiting.event));
    }

    pub(super) fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        if state.lost_video > 0 {
            return Some(Event::Skipped {
                kind: MediaKind::Video,
                frames: std::mem::take(&mut state.lost_video),
            });
        }
        if state.lost_audio > 0 {
            return Some(Event::Skipped {
                kind: MediaKind::Audio,
                frames: std::mem::take(&mut state.lost_audio),
            });
        }
        let Waiting { event, .. } = state.events.pop_front()?;
        state.bytes -= event.size();
        Some(event)
    }

    /// Whether there is nothing to take, not even news of a loss.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.events.is_empty() && state.lost_video == 0 && state.lost_audio == 0
    }

    /// Waits until something may be there. Cancel-safe: a wake-up that nobody saw is kept.
    pub(super) async fn wait(&self) {
        self.ready.notified().await;
    }

    pub(super) fn hold_video(&self) {
        self.lock().video_waits = VideoWaits::ToBegin;
    }

    pub(super) fn release_video(&self) {
        self.lock().video_waits = VideoWaits::No;
    }

    pub(super) fn attach(&self, key: FeedKey) {
        self.lock().attached.push(key);
    }

    pub(super) fn detach(&self, key: FeedKey) {
        self.lock().attached.retain(|attached| *attached != key);
    }

    pub(super) fn attached(&self) -> Vec<FeedKey> {
        self.lock().attached.clone()
    }

    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Forgets what waits and takes nothing more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.events.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether an event is not to be queued: video that waits for a keyframe, which ends the waiting.
    fn holds_back(&mut self, event: &Event) -> bool {
        if self.video_waits == VideoWaits::No || !event.is_media_of(MediaKind::Video) {
            return false;
        }
        if event.is_keyframe() {
            self.video_waits = VideoWaits::No;
            return false;
        }
        self.lost += u64::from(self.video_waits == VideoWaits::AfterLoss);
        true
    }

    fn has_room(&self, event: &Event, now: Instant, limits: &QueueLimits) -> bool {
        self.bytes + event.size() <= limits.bytes
            && self.events.len() < limits.items
            && !self.is_overdue(now, limits)
    }

    /// Whether media has waited for too long.
    fn is_overdue(&self, now: Instant, limits: &QueueLimits) -> bool {
        let oldest = self.events.iter().find(|waiting| waiting.event.is_media());
        oldest.is_some_and(|oldest| now.duration_since(oldest.since) > limits.age)
    }

    /// Puts an event behind the others. Parameters and gaps replace or join the one before where no media lies between.
    fn append(&mut self, waiting: Waiting) {
        let Waiting { event, .. } = &waiting;
        let size = event.size();
        if !event.is_media()
            && let Some(last) = self.events.iter_mut().rev().find(|last| last.event.kind() == event.kind())
        {
            match (&mut last.event, event) {
                (Event::Params(old), Event::Params(new)) if old.codec() == new.codec() => {
                    self.bytes -= last.event.size();
                    self.bytes += size;
                    last.event = waiting.event;
                    return;
                }
                (Event::Skipped { frames, .. }, Event::Skipped { frames: more, .. }) => {
                    *frames += more;
                    return;
                }
                _ => {}
            }
        }
        self.bytes += size;
        self.events.push_back(waiting);
    }

    /// Makes room. Video is kept from its last keyframe on where that is little and has not waited for long, else the
    /// next to come must be a keyframe. If that does not make enough room, or has left sound that waits for long, the
    /// oldest sound goes too.
    fn shed(&mut self, now: Instant, limits: &QueueLimits) {
        let (bytes, items) = (self.bytes, self.events.len());
        let is_overdue = self.is_overdue(now, limits);
        let has_aged = |waiting: &Waiting| is_overdue && now.duration_since(waiting.since) > limits.age / 2;
        let keep_from = self
            .events
            .iter()
            .rposition(|w| w.event.is_media_of(MediaKind::Video) && w.event.is_keyframe())
            .filter(|at| {
                let kept: usize = self.events.range(*at..).map(|kept| kept.event.size()).sum();
                kept < bytes / 2 && items - at < items / 2 && !self.events.get(*at).is_some_and(has_aged)
            });
        if keep_from.is_none() {
            self.video_waits = VideoWaits::AfterLoss;
        }
        let keep_from = keep_from.unwrap_or(items);
        let before = std::mem::take(&mut self.events);
        self.bytes = 0;
        for (index, waiting) in before.into_iter().enumerate() {
            if index < keep_from && waiting.event.is_part_of(MediaKind::Video) {
                self.lose(&waiting.event);
            } else {
                self.append(waiting);
            }
        }

        let before = std::mem::take(&mut self.events);
        let (mut left_bytes, mut left_items) = (self.bytes, before.len());
        self.bytes = 0;
        for waiting in before {
            let is_too_much = left_bytes > bytes / 2 || left_items > limits.items / 2;
            if waiting.event.is_part_of(MediaKind::Audio) && (is_too_much || has_aged(&waiting)) {
                left_bytes -= waiting.event.size();
                left_items -= 1;
                self.lose(&waiting.event);
            } else {
                self.append(waiting);
            }
        }
    }

    /// Counts what is lost: media here, gaps elsewhere before.
    fn lose(&mut self, event: &Event) {
        let frames = match event {
            Event::Skipped { frames, .. } => *frames,
            _ => {
                self.lost += 1;
                1
            }
        };
        match event.kind() {
            Some(MediaKind::Video) => self.lost_video += frames,
            _ => self.lost_audio += frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::AvcConfig;
    use crate::media::{CodecParams, Frame, Payload};
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn video(ms: i64, keyframe: bool) -> Event {
        let time = Timestamp::from_millis(ms);
        let payload = Payload::Packet(Bytes::from_static(&[0; 100]));
        Event::Frame(Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload })
    }

    fn sound(ms: i64) -> Event {
        Event::Frame(Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(&[1])))
    }

    fn drain(queue: &Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|event| match event {
                Event::Frame(f) => {
                    format!("{}{}", (f.dts - Timestamp::ZERO).as_millis(), if f.keyframe { "k" } else { "" })
                }
                Event::Skipped { frames, .. } => format!("-{frames}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    /// Room for so many pictures.
    fn room_for(pictures: usize) -> QueueLimits {
        QueueLimits { bytes: pictures * video(0, false).size(), items: 100, ..QueueLimits::default() }
    }

    fn params(pps: u8) -> Event {
        let set = Bytes::copy_from_slice;
        let pps = vec![set(&[0x68]), set(&vec![pps; 4_000])];
        Event::Params(CodecParams::H264(AvcConfig::new(vec![set(&[0x67, 0x42, 0xc0, 0x1e])], pps).unwrap()))
    }

    #[test]
    fn a_full_queue_loses_whole_gops() {
        let queue = Queue::new(room_for(4));
        for ms in 0..4 {
            queue.push(video(ms, ms == 0));
        }
        for (ms, keyframe) in [(4, false), (5, false), (6, true), (7, false)] {
            queue.push(video(ms, keyframe));
        }
        assert_eq!(drain(&queue), ["-5", "6k", "7"]);
        assert_eq!(queue.lost(), 6, "the picture that came before the keyframe too");
    }

    #[test]
    fn a_queued_keyframe_near_the_end_is_kept() {
        let queue = Queue::new(room_for(10));
        for ms in 0..10 {
            queue.push(video(ms, ms == 0 || ms == 8));
        }
        queue.push(video(10, false));
        assert_eq!(drain(&queue), ["-8", "8k", "9", "10"]);
    }

    #[test]
    fn sound_loses_its_oldest() {
        let queue = Queue::new(QueueLimits { items: 8, ..QueueLimits::default() });
        for ms in 0..9 {
            queue.push(sound(ms));
        }
        assert_eq!(drain(&queue), ["-4", "4k", "5k", "6k", "7k", "8k"]);
    }

    #[tokio::test(start_paused = true)]
    async fn media_that_has_waited_for_long_goes() {
        let queue = Queue::new(QueueLimits { age: Duration::from_millis(1_000), ..QueueLimits::default() });
        for ms in (0..1_000).step_by(100) {
            queue.push(video(ms, matches!(ms, 0 | 400 | 800)));
            queue.push(sound(ms + 50));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        queue.push(video(1_000, false));
        assert_eq!(queue.lost(), 0, "still in time");
        tokio::time::advance(Duration::from_millis(1)).await;
        queue.push(video(1_001, false));
        let left =
            ["-8", "-6", "650k", "750k", "800k", "850k", "900", "950k", "1000", "1001"].map(String::from);
        assert_eq!(drain(&queue), left, "close to now, from a keyframe on");
        // With one long GOP alone the rest is of no use.
        for ms in (2_000..3_200).step_by(100) {
            queue.push(video(ms, ms == 2_000));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        queue.push(video(3_200, true));
        assert_eq!(drain(&queue), ["-12", "3200k"]);
    }

    #[test]
    fn of_parameters_only_the_latest_wait() {
        let queue = Queue::new(QueueLimits::default());
        for pps in 0..100 {
            queue.push(params(pps));
            queue.push(sound(pps.into()));
        }
        assert!(queue.lock().bytes < 2 * params(0).size() + 100 * sound(0).size());
        assert!(
            matches!(queue.pop(), Some(Event::Params(CodecParams::H264(config))) if config.pps()[1][0] == 99)
        );
        assert_eq!(drain(&queue).len(), 100);
    }

    #[test]
    fn parameters_between_pictures_count_and_the_latest_stay() {
        let limits = QueueLimits { bytes: 100_000, ..QueueLimits::default() };
        let queue = Queue::new(limits);
        for pps in 0..200 {
            queue.push(params(pps));
            queue.push(video(pps.into(), pps % 50 == 0));
            assert!(queue.lock().bytes <= limits.bytes, "{pps}");
        }
        let mut waiting: Vec<Event> = Vec::new();
        queue.take(&mut waiting);
        assert_eq!(queue.lock().bytes, 0);
        assert!(matches!(waiting[0], Event::Skipped { kind: MediaKind::Video, .. }));
        // Each picture that is left has its own in front of it.
        for pair in waiting[1..].chunks(2) {
            let [Event::Params(CodecParams::H264(config)), Event::Frame(frame)] = pair else { continue };
            assert_eq!(i64::from(config.pps()[1][0]), (frame.dts - Timestamp::ZERO).as_millis());
        }
        let last = waiting.iter().rev().find_map(|event| match event {
            Event::Params(CodecParams::H264(config)) => Some(config.pps()[1][0]),
            _ => None,
        });
        assert_eq!(last, Some(199));
    }

    #[test]
    fn gaps_are_summed() {
        let queue = Queue::new(room_for(1_000));
        let gap = Event::Skipped { kind: MediaKind::Video, frames: 2 };
        for _ in 0..1_000 {
            queue.push(gap.clone());
        }
        queue.push(video(0, true));
        queue.push(gap);
        for ms in 1..120 {
            queue.push(video(ms, false));
        }
        assert_eq!(drain(&queue).first().map(String::as_str), Some("-2101"), "lost here and elsewhere");
    }
}

//! A subscriber's queue: bounded, loses whole GOPs, counts what it lost.

use super::feed::FeedKey;
use super::subscriber::Event;
use crate::media::MediaKind;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How much may wait for a subscriber before it loses some.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Payload bytes.
    pub bytes: usize,
    /// Events.
    pub items: usize,
}

impl Default for QueueLimits {
    /// 8 MiB and 4096 events: some ten seconds of 6 Mbit/s, so that a GOP cached for a joiner fits.
    fn default() -> Self {
        Self { bytes: 8 << 20, items: 4096 }
    }
}

pub(super) struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    bytes: usize,
    /// Video is held back until its next keyframe: at the start without a cached GOP, and after a loss.
    video_waits: bool,
    /// Lost since the subscriber was last told.
    lost_video: u64,
    lost_audio: u64,
    /// Lost ever.
    lost: u64,
    attached: Vec<FeedKey>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), ready: Notify::new() }
    }

    /// Adds an event, or makes room by losing media: all queued video up to the next keyframe, else the oldest audio.
    pub(super) fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if let Some(len) = event.payload_len() {
            if event.kind() == Some(MediaKind::Video) && state.video_waits {
                if !event.is_keyframe() {
                    return;
                }
                state.video_waits = false;
            }
            if state.bytes + len > self.limits.bytes || state.events.len() >= self.limits.items {
                state.shed();
                if event.kind() == Some(MediaKind::Video) && state.video_waits {
                    if !event.is_keyframe() {
                        state.lost_video += 1;
                        state.lost += 1;
                        return;
                    }
                    state.video_waits = false;
                }
            }
            state.bytes += len;
        }
        let was_empty = state.events.is_empty();
        state.events.push_back(event);
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
        into.extend(state.events.drain(..));
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
        let event = state.events.pop_front()?;
        state.bytes -= event.payload_len().unwrap_or(0);
        Some(event)
    }

    /// Waits until something may be there. Cancel-safe: a wake-up that nobody saw is kept.
    pub(super) async fn wait(&self) {
        self.ready.notified().await;
    }

    pub(super) fn hold_video(&self) {
        self.lock().video_waits = true;
    }

    pub(super) fn release_video(&self) {
        self.lock().video_waits = false;
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
    /// Loses every queued picture (the next to come must be a keyframe, unless one is queued: then from that on they
    /// stay) and, if that was not enough to halve the queue, the older half of the sound.
    fn shed(&mut self) {
        let is_video =
            |event: &Event| event.payload_len().is_some() && event.kind() == Some(MediaKind::Video);
        // The first queued picture has a keyframe in front of it that is already gone: keep from the last keyframe only
        // when that is not the very GOP that fills the queue.
        let before = self.bytes;
        let last_key = self.events.iter().rposition(|event| is_video(event) && event.is_keyframe());
        let keep_from = last_key.filter(|at| {
            let kept: usize = self.events.range(*at..).filter_map(Event::payload_len).sum();
            kept < before / 2 && self.events.len() - at < self.events.len() / 2
        });
        self.video_waits = keep_from.is_none();
        let keep_from = keep_from.unwrap_or(self.events.len());
        let (mut index, mut lost) = (0, 0);
        self.events.retain(|event| {
            index += 1;
            let keep = index > keep_from || !is_video(event);
            lost += u64::from(!keep);
            keep
        });
        self.lost_video += lost;
        self.lost += lost;
        self.recount();
        if lost == 0 || self.bytes > before / 2 {
            let mut excess = self.events.len() / 2;
            let mut lost = 0;
            self.events.retain(|event| {
                let drop =
                    excess > 0 && event.payload_len().is_some() && event.kind() == Some(MediaKind::Audio);
                excess -= usize::from(drop);
                lost += u64::from(drop);
                !drop
            });
            self.lost_audio += lost;
            self.lost += lost;
            self.recount();
        }
    }

    fn recount(&mut self) {
        self.bytes = self.events.iter().filter_map(Event::payload_len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Frame, Payload};
    use crate::time::Timestamp;
    use bytes::Bytes;

    fn video(ms: i64, keyframe: bool) -> Event {
        let time = Timestamp::from_millis(ms);
        let payload = Payload::Packet(Bytes::from_static(&[0; 100]));
        Event::Frame(Frame { kind: MediaKind::Video, dts: time, pts: time, keyframe, payload })
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

    #[test]
    fn a_full_queue_loses_whole_gops() {
        let queue = Queue::new(QueueLimits { bytes: 450, items: 100 });
        for ms in 0..5 {
            queue.push(video(ms, ms == 0));
        }
        queue.push(video(5, false));
        queue.push(video(6, true));
        queue.push(video(7, false));
        assert_eq!(drain(&queue), ["-5", "6k", "7"]);
        assert_eq!(queue.lost(), 5);
    }

    #[test]
    fn a_queued_keyframe_near_the_end_is_kept() {
        let queue = Queue::new(QueueLimits { bytes: 1_000, items: 100 });
        for ms in 0..10 {
            queue.push(video(ms, ms == 0 || ms == 8));
        }
        queue.push(video(10, false));
        assert_eq!(drain(&queue).last().map(String::as_str), Some("10"));
    }

    #[test]
    fn sound_loses_its_oldest() {
        let queue = Queue::new(QueueLimits { bytes: 1 << 20, items: 8 });
        for ms in 0..9 {
            queue.push(Event::Frame(Frame::audio(Timestamp::from_millis(ms), Bytes::from_static(&[1]))));
        }
        assert_eq!(drain(&queue), ["-4", "4k", "5k", "6k", "7k", "8k"]);
    }
}

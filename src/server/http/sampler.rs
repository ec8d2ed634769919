//! Rates from counters: once a second every feed's counters are read, and a rate is their growth over a few seconds.

use crate::bridge::{Bridge, Reason};
use crate::media::Codec;
use crate::room::{Protocol, Rooms};
use crate::stream::{FeedKey, Stream, StreamName};
use metrics::gauge;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

const INTERVAL: Duration = Duration::from_secs(1);
/// Samples kept: a rate is taken over one second less.
const SAMPLES: usize = 4;

/// All reasons, so that a gauge falls back to zero.
const REASONS: [Reason; 21] = [
    Reason::Packetised,
    Reason::Depacketised,
    Reason::AacToOpus,
    Reason::OpusToAac,
    Reason::Transcoded { from: Codec::Vp8, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Hevc, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Av1, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Vp9, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Sorenson, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Vp6, to: Codec::H264 },
    Reason::Transcoded { from: Codec::Sorenson, to: Codec::Vp8 },
    Reason::Transcoded { from: Codec::Vp6, to: Codec::Vp8 },
    Reason::Transcoded { from: Codec::H264, to: Codec::Vp8 },
    Reason::Transcoded { from: Codec::Hevc, to: Codec::Vp8 },
    Reason::Transcoded { from: Codec::Av1, to: Codec::Vp8 },
    Reason::Transcoded { from: Codec::Vp9, to: Codec::Vp8 },
    Reason::FirstPicture,
    Reason::BFramesTranscoded,
    Reason::ProfileTranscoded,
    Reason::BFrames,
    Reason::BFrameReferences,
];

/// What a feed carries a second, averaged over the last seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rate {
    /// Payload bits.
    pub(super) bits: u64,
    /// Frames, or groups of packets.
    pub(super) items: f64,
}

/// The latest samples of all feeds. Cloning gives another handle to the same.
#[derive(Clone, Default)]
pub(super) struct Sampler {
    feeds: Arc<Mutex<HashMap<Key, VecDeque<Sample>>>>,
}

/// A feed among all.
type Key = (StreamName, FeedKey);

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    bytes: u64,
    items: u64,
}

impl Sampler {
    /// Samples for ever. Cancel-safe.
    pub(super) async fn run(&self, rooms: &Rooms, bridge: &Bridge) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            let rooms = rooms.list();
            let members: Vec<_> = rooms.iter().flat_map(|room| &room.participants).collect();
            gauge!("commonroom_rooms").set(rooms.len() as f64);
            for protocol in Protocol::ALL {
                let own = members.iter().filter(|member| member.seen.protocol == protocol);
                let published: usize = own.clone().map(|member| member.streams.len()).sum();
                gauge!("commonroom_participants", "protocol" => protocol.as_str()).set(own.count() as f64);
                gauge!("commonroom_publishers", "protocol" => protocol.as_str()).set(published as f64);
            }
            let streams: Vec<_> = members.iter().flat_map(|member| member.streams.iter().cloned()).collect();
            let mut renditions: HashMap<_, u32> = REASONS.into_iter().map(|reason| (reason, 0)).collect();
            for info in streams.iter().flat_map(|stream| bridge.renditions(stream)) {
                *renditions.entry(info.reason).or_default() += 1;
            }
            for (reason, count) in renditions {
                gauge!("commonroom_renditions", "reason" => reason.as_str()).set(count);
            }
            self.sample(&streams, now);
            crate::metrics::handle().run_upkeep();
        }
    }

    /// What a feed carries, once it has been there for a second.
    pub(super) fn rate(&self, stream: &Stream, feed: FeedKey) -> Option<Rate> {
        let feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = feeds.get(&(stream.name().clone(), feed))?;
        let (first, last) = (samples.front()?, samples.back()?);
        let seconds = (last.at - first.at).as_secs_f64();
        (seconds > 0.0).then(|| Rate {
            bits: ((last.bytes - first.bytes) as f64 * 8.0 / seconds).round() as u64, // not negative: see `sample`
            items: (last.items - first.items) as f64 / seconds,
        })
    }

    fn sample(&self, streams: &[Stream], now: Instant) {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams {
            for feed in stream.feeds() {
                let samples = feeds.entry((stream.name().clone(), feed.key)).or_default();
                // A feed of the same name that has begun anew.
                if samples.back().is_some_and(|last| feed.bytes < last.bytes || feed.items < last.items) {
                    samples.clear();
                }
                if samples.len() == SAMPLES {
                    samples.pop_front();
                }
                samples.push_back(Sample { at: now, bytes: feed.bytes, items: feed.items });
            }
        }
        feeds.retain(|_, samples| samples.back().is_some_and(|last| last.at == now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Codec, Frame};
    use crate::stream::Form;
    use crate::time::{NtpTime, Timestamp};
    use bytes::Bytes;

    const OPUS: FeedKey = FeedKey::new(Codec::Opus, Form::Frames);

    #[tokio::test(start_paused = true)]
    async fn rates_follow_the_last_seconds() {
        let name = StreamName { room: "r".into(), participant: "p".into(), stream: "s".into() };
        let (stream, publisher) = Stream::publish(name, NtpTime::default());
        let sampler = Sampler::default();
        let writer = publisher.track(OPUS).unwrap();
        let second = |frames: usize| {
            for _ in 0..frames {
                writer.write(Frame::audio(Timestamp::ZERO, Bytes::from_static(&[0; 100])));
            }
        };
        let start = Instant::now();
        let sample = |n| sampler.sample(std::slice::from_ref(&stream), start + n * INTERVAL);
        assert_eq!(sampler.rate(&stream, OPUS), None);
        sample(0);
        assert_eq!(sampler.rate(&stream, OPUS), None, "one sample is no rate");
        second(50);
        sample(1);
        assert_eq!(sampler.rate(&stream, OPUS), Some(Rate { bits: 40_000, items: 50.0 }));
        for n in 2..=4 {
            second(10);
            sample(n);
        }
        assert_eq!(
            sampler.rate(&stream, OPUS),
            Some(Rate { bits: 8_000, items: 10.0 }),
            "the first is forgotten"
        );

        drop(writer);
        let writer = publisher.track(OPUS).unwrap();
        writer.write(Frame::audio(Timestamp::ZERO, Bytes::from_static(b"1")));
        sample(5);
        assert_eq!(sampler.rate(&stream, OPUS), None, "a new feed begins anew");
        drop(writer);
        sample(6);
        assert!(sampler.feeds.lock().unwrap().is_empty(), "what has gone is forgotten");
    }
}

//! From the RTP clocks of one publisher to its stream's timeline.
//!
//! The two tracks of a peer count from random starts on clocks of their own. Media must flow at once, so each track is
//! first placed by when its packets arrive. Sender reports then say which ticks belong to the same instant; from there
//! on the picture slides to where the reports put it beside the sound, at most [`SLIDE`] of media time, so nothing is cut.
//!
//! The sound itself only follows its arrival, and as slowly as that allows: a picture whose stamps slide looks the same,
//! while sound that is decoded and coded again has to be stretched.
//!
//! A track's place is its *offset*: time on the timeline = ticks since the track's first packet + offset. The earliest
//! arrivals of the last seconds bound it from above: jitter only ever delays a packet.

mod repairs;
mod stamped;

pub use repairs::{Repair, Repairs};
pub use stamped::{PictureTimes, StampedClock};

use super::MediaKind;
use crate::time::{ClockRate, MediaDuration, NtpTime, Timestamp};
use std::collections::VecDeque;

/// How fast a track may slide: the 200th part of its media time, 5 ms a second.
const SLIDE: i64 = 200;
/// How fast sound slides at the least: 0.25 ms a second, which nobody hears and no drifting clock outruns.
const GENTLE_SLIDE: i64 = 4_000;
/// The time in which sound would wear off what it is away from its place, were it not for these two bounds.
const SOUND_SETTLES_MS: i64 = 20_000;
/// For so long behind its first packet, or behind a leap of its clock, a track goes to its place at once: what came late then
/// was held up while the connection came into being, and slid to its place it would be out of it for a minute.
const STARTUP: MediaDuration = MediaDuration::from_millis(1_000);
/// Beyond this, sliding would take minutes: the source's clock jumped or stood still, and the track is placed anew.
const JUMP: MediaDuration = MediaDuration::from_millis(500);
/// So long behind a silence it is looked at whether what comes was held up in the network, which delivers it faster than it plays.
const PROOF: MediaDuration = MediaDuration::from_millis(400);
/// By so much more than an eighth jitter alone does not make media look faster.
const UNSTEADY: MediaDuration = MediaDuration::from_millis(40);
/// A packet so far behind the latest is late or repeated; further behind, the source's clock has leapt back.
const LATE: MediaDuration = MediaDuration::from_millis(2_000);
/// Arrivals are compared over this many seconds.
const WINDOW: usize = 3;
const SECOND: MediaDuration = MediaDuration::from_millis(1_000);
/// A track without packets for so long is not waited for.
const SILENT: MediaDuration = MediaDuration::from_millis(5_000);
/// So many placed pictures are remembered for packets that come behind them, late or repeated.
const PLACED: usize = 64;
/// Reports that put the tracks further apart than this, against what arrival says, are not believed.
const BELIEVABLE: MediaDuration = MediaDuration::from_millis(2_000);

/// The clock of one stream that comes as RTP.
#[derive(Debug, Default)]
pub struct StreamClock {
    audio: Option<Track>,
    video: Option<Track>,
    repairs: Repairs,
}

#[derive(Debug)]
struct Track {
    rate: ClockRate,
    first_ticks: i64,
    first_arrival: Timestamp,
    offset: MediaDuration,
    arrivals: EarliestArrivals,
    last_arrival: Timestamp,
    /// Ticks and times, ascending in both; never empty.
    placed: VecDeque<(i64, Timestamp)>,
    report: Option<(NtpTime, i64)>,
    silence: Option<Silence>,
}

/// The end of a time in which nothing came, and which the ticks know nothing of.
#[derive(Clone, Copy, Debug)]
struct Silence {
    arrival: Timestamp,
    ticks: i64,
    /// The smallest of (arrival - media time) since then.
    earliest: MediaDuration,
}

/// The smallest of (arrival - media time) in each of the last seconds.
///
/// A second here has passed both on the wall clock and in the media: a network that stalls and then delivers all at once
/// does not age what was seen before it, while a capture that stalled does so within [`WINDOW`] seconds of its return, and
/// where nothing at all came meanwhile within [`PROOF`].
#[derive(Debug)]
struct EarliestArrivals {
    age: MediaDuration,
    minima: [Option<MediaDuration>; WINDOW],
}

impl StreamClock {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Places a packet: `arrival` is when it came on the stream's timeline, `ticks` its unwrapped RTP timestamp.
    ///
    /// Within a track, more ticks never give an earlier time, and equal ticks give the same.
    pub fn packet(&mut self, kind: MediaKind, rate: ClockRate, arrival: Timestamp, ticks: i64) -> Timestamp {
        let slot = self.slot(kind);
        let Some(track) = slot.as_mut().filter(|track| track.rate == rate) else {
            *slot = Some(Track::new(rate, arrival, ticks));
            return arrival;
        };
        let (last_ticks, last_time) = track.last();
        if ticks == last_ticks {
            return last_time;
        }
        let waited = arrival - std::mem::replace(&mut track.last_arrival, arrival);
        let step = MediaDuration::from_ticks(ticks - last_ticks, rate);
        let delay = arrival - (Timestamp::ZERO + track.media_time(ticks));
        let early = track.arrivals.earliest() - delay;
        track.arrivals.add(waited.min(step), delay);
        if step >= MediaDuration::ZERO {
            track.judge_silence(waited - step, arrival, ticks, delay);
        }
        let target = self.target(kind);
        let Some(track) = (match kind {
            MediaKind::Audio => self.audio.as_mut(),
            MediaKind::Video => self.video.as_mut(),
        }) else {
            return arrival;
        };
        if step < MediaDuration::ZERO && step > -LATE {
            return track.between(ticks); // reordered: leave the clock alone
        }
        let wanted = target - track.offset;
        if step < MediaDuration::ZERO || early > JUMP {
            // Arrivals before the jump say nothing about the clock behind it.
            let kind = if step < MediaDuration::ZERO { Repair::JumpBack } else { Repair::JumpForward };
            self.repairs.add(kind, 1);
            track.place_anew(arrival.max(last_time), ticks);
        } else if wanted > JUMP {
            self.repairs.add(Repair::Stall, 1);
            track.offset = target;
        } else if arrival - track.first_arrival < STARTUP {
            track.offset += wanted.clamp(step / 4 - step, step);
        } else {
            track.offset += slide(kind, step, wanted);
        }
        let time = (Timestamp::ZERO + track.media_time(ticks) + track.offset).max(last_time);
        track.remember(ticks, time);
        time
    }

    /// Where ticks of a track lie as it is placed now, without any effect: for packets that come beside those that the clock
    /// goes by. `None` before the first of these.
    pub fn peek(&self, kind: MediaKind, ticks: i64) -> Option<Timestamp> {
        let track = self.slot_ref(kind)?;
        Some(Timestamp::ZERO + track.media_time(ticks) + track.offset)
    }

    /// Notes a sender report (RFC 3550, section 6.4.1): `ticks`, unwrapped, were captured at `ntp` of the sender's clock.
    /// Ignored before the track's first packet.
    pub fn report(&mut self, kind: MediaKind, ntp: NtpTime, ticks: i64) {
        if let Some(track) = self.slot(kind) {
            track.report = Some((ntp, ticks));
        }
    }

    /// How often a track was placed anew since the last call.
    pub fn take_repairs(&mut self) -> Repairs {
        self.repairs.take()
    }

    /// Where a track should be: by arrival, and the picture where the reports put it beside the sound, once both have one,
    /// if these can be believed.
    fn target(&self, kind: MediaKind) -> MediaDuration {
        let by_arrival = self.slot_ref(kind).map_or(MediaDuration::ZERO, |track| track.arrivals.earliest());
        let (MediaKind::Video, Some(audio), Some(video)) = (kind, &self.audio, &self.video) else {
            return by_arrival;
        };
        if video.last_arrival - audio.last_arrival > SILENT {
            return by_arrival;
        }
        let (Some((audio_ntp, audio_ticks)), Some((video_ntp, video_ticks))) = (audio.report, video.report)
        else {
            return by_arrival;
        };
        // If the sound lies at offset x, the reports put the picture at x + apart.
        let apart =
            video_ntp.since(audio_ntp) - video.media_time(video_ticks) + audio.media_time(audio_ticks);
        if (audio.arrivals.earliest() + apart - by_arrival).abs() > BELIEVABLE {
            return by_arrival;
        }
        audio.offset + apart
    }

    const fn slot(&mut self, kind: MediaKind) -> &mut Option<Track> {
        match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        }
    }

    const fn slot_ref(&self, kind: MediaKind) -> Option<&Track> {
        match kind {
            MediaKind::Audio => self.audio.as_ref(),
            MediaKind::Video => self.video.as_ref(),
        }
    }
}

/// By how much a track slides within `step` of its media when its place is `wanted` away.
fn slide(kind: MediaKind, step: MediaDuration, wanted: MediaDuration) -> MediaDuration {
    let share = match kind {
        MediaKind::Video => SLIDE,
        MediaKind::Audio => (SOUND_SETTLES_MS / (wanted.as_millis().abs() + 1)).clamp(SLIDE, GENTLE_SLIDE),
    };
    wanted.clamp(-(step / share), step / share)
}

impl Track {
    fn new(rate: ClockRate, arrival: Timestamp, ticks: i64) -> Self {
        let offset = arrival - Timestamp::ZERO;
        Self {
            rate,
            first_ticks: ticks,
            first_arrival: arrival,
            offset,
            arrivals: EarliestArrivals::beginning(offset),
            last_arrival: arrival,
            placed: VecDeque::from([(ticks, arrival)]),
            report: None,
            silence: None,
        }
    }

    /// Finds out what a silence was, `unknown` of which the ticks know nothing: a line that held everything up catches up when
    /// it is there again; behind a capture that stood still media plays on at its pace, and what was seen before says nothing.
    fn judge_silence(
        &mut self,
        unknown: MediaDuration,
        arrival: Timestamp,
        ticks: i64,
        delay: MediaDuration,
    ) {
        if unknown > JUMP {
            self.silence = Some(Silence { arrival, ticks, earliest: delay });
        }
        let Some(silence) = &mut self.silence else { return };
        silence.earliest = silence.earliest.min(delay);
        let passed = arrival - silence.arrival;
        if passed >= PROOF {
            let played = MediaDuration::from_ticks(ticks.saturating_sub(silence.ticks), self.rate);
            if played <= passed + passed / 8 + UNSTEADY {
                self.arrivals = EarliestArrivals::beginning(silence.earliest);
            }
            self.silence = None;
        }
    }

    /// Forgets all that was known, so that `ticks` lie at `time`.
    fn place_anew(&mut self, time: Timestamp, ticks: i64) {
        *self = Self { last_arrival: self.last_arrival, ..Self::new(self.rate, time, ticks) };
    }

    fn last(&self) -> (i64, Timestamp) {
        self.placed.back().copied().unwrap_or_default()
    }

    fn remember(&mut self, ticks: i64, time: Timestamp) {
        // Behind a jump the only entry is this one already.
        if self.last().0 != ticks {
            if self.placed.len() == PLACED {
                self.placed.pop_front();
            }
            self.placed.push_back((ticks, time));
        }
    }

    /// The time of ticks that are not the latest: that of the picture they belong to, or between its neighbours'.
    fn between(&self, ticks: i64) -> Timestamp {
        let time = Timestamp::ZERO + self.media_time(ticks) + self.offset;
        let behind = self.placed.partition_point(|(placed, _)| *placed < ticks);
        match self.placed.get(behind) {
            Some((placed, at)) if *placed == ticks => *at,
            Some((_, next)) => {
                let before = behind.checked_sub(1).and_then(|index| self.placed.get(index));
                before.map_or(time, |(_, at)| time.max(*at)).min(*next)
            }
            None => time,
        }
    }

    fn media_time(&self, ticks: i64) -> MediaDuration {
        MediaDuration::from_ticks(ticks.saturating_sub(self.first_ticks), self.rate)
    }
}

impl EarliestArrivals {
    const fn beginning(delay: MediaDuration) -> Self {
        Self { age: MediaDuration::ZERO, minima: [Some(delay), None, None] }
    }

    fn add(&mut self, passed: MediaDuration, delay: MediaDuration) {
        self.age += passed.max(MediaDuration::ZERO);
        if self.age >= SECOND {
            self.age = MediaDuration::ZERO;
            self.minima.rotate_right(1);
            self.minima[0] = None;
        }
        let minimum = &mut self.minima[0];
        *minimum = Some(minimum.map_or(delay, |earlier| earlier.min(delay)));
    }

    fn earliest(&self) -> MediaDuration {
        self.minima.iter().flatten().min().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

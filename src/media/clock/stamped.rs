//! From the stamps of a publisher that counts milliseconds itself (RTMP) to its stream's timeline.
//!
//! Both tracks of such a publisher stand on one clock, and so what is added to its stamps, the *offset*, is the same for both
//! as long as nothing is wrong. What is wrong is mended here and nowhere else:
//!
//! * **Jumps.** A step of a track's stamps that neither the time of arrival nor the other track explains is taken out. The track that
//!   jumps first goes on where it was; the other, when it comes, tries the same offset, so that both keep their distance to the
//!   millisecond. A track that jumps alone goes on beside the other.
//! * **Wraps** of 32 bits, and of the 24 bits that old clients have.
//! * **Times that do not grow** become a millisecond later than the one before; a clock that stands still is replaced by arrival.
//! * **A track that comes away from the other** for seconds, as one whose capture stood still, is brought back to it.
//!
//! When all stands still nothing is mended: behind TCP it cannot be told at once whether the capture stood still or the network did,
//! and those who play are served best by stamps that go on. A recording, which can wait and see, finds out (`recording`).

use super::MediaKind;
use super::repairs::{Repair, Repairs};
use crate::time::{MediaDuration, RtmpTime, Timestamp, Unwrapper};

/// Steps back of less than this are a track's frames out of order; others are its clock's.
const BACK: i64 = 500;
/// Steps of up to this are gaps, however little time has passed.
const GAP: i64 = 1_000;
/// A time that lies no further behind the other track's is explained by it.
const BESIDE: i64 = 250;
/// An offset that is known puts a frame no further than this from where it should be, or is another one.
const NEAR: i64 = 500;
/// A track that begins puts its first frame no further before and behind the other than this, or on another clock.
const EARLY_START: i64 = 2_000;
const LATE_START: i64 = 10_000;
/// A track that has sent nothing for so long says nothing of where the other should be.
const ALIVE: i64 = 2_000;
/// A clock that stands still for so long, while frames come, is no clock.
const FROZEN: i64 = 1_000;
/// The longest distance between two frames that is taken for the usual one.
const USUAL: i64 = 100;
/// So much earlier or later than it is decoded no picture is shown.
const COMPOSITION: i64 = 10_000;
/// Where a 24-bit counter begins anew.
const WRAP_24: i64 = 1 << 24;
/// What comes ahead of its time is remembered for so long at the least.
const LEAD: i64 = 30_000;
/// Tracks are compared over as long as this.
const WINDOW: i64 = 1_000;
/// Tracks that are out of step by more than this, for so many windows, are brought together.
const APART: i64 = 500;
const PROOF: u32 = 3;

/// The clock of one stream whose publisher stamps its frames.
#[derive(Debug, Default)]
pub struct StampedClock {
    tracks: [Track; 2],
    /// By how much stamps run ahead of arrival at most, of this span of time and the one before.
    lead: [i64; 2],
    lead_since: i64,
    /// Jumps so far.
    jumps: u64,
    /// Wraps of 32 bits that were counted.
    wraps: i64,
    pairing: Pairing,
    repairs: Repairs,
}

/// When a picture is decoded and shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureTimes {
    /// When it is decoded: behind every earlier one.
    pub dts: Timestamp,
    /// When it is shown: not before.
    pub pts: Timestamp,
}

#[derive(Debug, Default)]
struct Track {
    unwrapper: Unwrapper<32>,
    latest: Option<Latest>,
    /// What is added to the stamps, in milliseconds.
    offset: i64,
    /// What was added before the last jump, and the number of that jump among those of both tracks.
    previous: Option<i64>,
    jump: u64,
    /// The usual distance between frames.
    interval: i64,
    /// Whether arrival stands for the clock.
    is_frozen: bool,
    /// By how much decoding lies before the stamps, where pictures are to be shown before these.
    early: i64,
    /// The time of decoding given last.
    given: Option<i64>,
    pace: Pace,
}

/// The frame with the latest stamp.
#[derive(Clone, Copy, Debug)]
struct Latest {
    ticks: i64,
    time: i64,
    arrival: i64,
    /// When the stamps last grew, and what time that was given.
    grew: (i64, i64),
}

/// How late a track comes: the least of a window, once it has passed, if the track came at the pace of time.
#[derive(Debug, Default)]
struct Pace {
    began: Option<(i64, i64)>,
    least: i64,
    /// With the arrival at the window's end.
    settled: Option<(i64, i64)>,
}

/// How late sound comes beside the picture.
#[derive(Debug, Default)]
struct Pairing {
    usual: Option<i64>,
    wrong_for: u32,
}

impl StampedClock {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time of a packet of sound that arrives `elapsed` after the stream's origin. The first frame of a stream lies where it
    /// arrives; each lies behind the one before.
    pub fn sound(&mut self, stamp: RtmpTime, elapsed: MediaDuration) -> Timestamp {
        let (time, _) = self.map(MediaKind::Audio, stamp, elapsed.as_millis());
        Timestamp::from_millis(time)
    }

    /// The times of a picture that is decoded at `stamp` and shown `composition` later.
    pub fn picture(
        &mut self,
        stamp: RtmpTime,
        composition: MediaDuration,
        elapsed: MediaDuration,
    ) -> PictureTimes {
        let (time, exact) = self.map(MediaKind::Video, stamp, elapsed.as_millis());
        let track = &mut self.tracks[MediaKind::Video as usize];
        let mut composition = composition.as_millis();
        if composition.abs() > COMPOSITION {
            self.repairs.add(Repair::Composition, 1);
            composition = 0;
        }
        if -composition > track.early {
            // From here on all are decoded earlier.
            self.repairs.add(Repair::Composition, 1);
            track.early = -composition;
        }
        let dts = (time - track.early).max(track.given.map_or(i64::MIN, |given| given + 1));
        track.given = Some(dts);
        let pts = (exact + composition).max(dts);
        PictureTimes { dts: Timestamp::from_millis(dts), pts: Timestamp::from_millis(pts) }
    }

    /// What was mended since the last call.
    pub fn take_repairs(&mut self) -> Repairs {
        self.repairs.take()
    }

    /// Where a frame lies, and where its own stamp would put it.
    fn map(&mut self, kind: MediaKind, stamp: RtmpTime, arrival: i64) -> (i64, i64) {
        let ticks = self.unwrap(kind, stamp);
        let (own, other) = self.pair(kind);
        let Some(mut latest) = own.latest else { return self.begin(kind, ticks, arrival) };
        let other = other.latest.filter(|other| arrival - other.arrival <= ALIVE);
        let (step, mut exact) = (ticks - latest.ticks, ticks + own.offset);
        let ahead = arrival + self.lead[0].max(self.lead[1]);
        let is_explained =
            step <= GAP || exact <= ahead + GAP || other.is_some_and(|other| exact <= other.time + BESIDE);
        let is_the_others = step > BESIDE && self.follows(kind, ticks, arrival);
        if step <= -BACK || !is_explained || is_the_others {
            exact = self.jump(kind, ticks, step, arrival, other);
        } else if step <= 0 {
            // A line that brings nothing for a while says nothing of the sender's clock.
            latest.grew.0 += (arrival - latest.arrival - USUAL).max(0);
            let stood = arrival - latest.grew.0;
            let track = &mut self.tracks[kind as usize];
            if stood > FROZEN || track.is_frozen {
                if !std::mem::replace(&mut track.is_frozen, true) {
                    self.repairs.add(Repair::Stall, 1);
                }
                exact = latest.grew.1 + stood;
                track.offset = exact - ticks;
            } else {
                self.repairs.add(Repair::NonMonotonic, 1);
            }
        } else {
            let track = &mut self.tracks[kind as usize];
            track.is_frozen = false;
            track.interval = if step <= USUAL { step } else { track.interval };
        }
        let track = &mut self.tracks[kind as usize];
        let time = exact.max(latest.time + 1);
        let has_grown = step > 0 || step <= -BACK;
        let grew = if has_grown { (arrival, time) } else { latest.grew };
        let ticks = if has_grown { ticks } else { latest.ticks };
        track.latest = Some(Latest { ticks, time, arrival, grew });
        track.pace.add(arrival, time);
        self.note_lead(arrival, time);
        self.compare();
        (time, exact)
    }

    /// A stamp among all that came, whatever wraps lie between; each wrap is counted once.
    fn unwrap(&mut self, kind: MediaKind, stamp: RtmpTime) -> i64 {
        let [sound, picture] = &mut self.tracks;
        let (own, other) = match kind {
            MediaKind::Audio => (sound, picture),
            MediaKind::Video => (picture, sound),
        };
        if own.latest.is_none() && other.latest.is_some() {
            own.unwrapper = other.unwrapper;
        }
        let ticks = own.unwrapper.unwrap(stamp.0);
        let wraps = ticks >> 32;
        // A longer step is a jump, wherever it goes.
        let is_step = |latest: &Latest| latest.ticks >> 32 < wraps && ticks - latest.ticks <= GAP;
        if wraps > self.wraps && own.latest.as_ref().is_some_and(is_step) {
            self.repairs.add(Repair::Wrap, 1);
            self.wraps = wraps;
        }
        ticks
    }

    /// A track, and the other.
    const fn pair(&self, kind: MediaKind) -> (&Track, &Track) {
        let [sound, picture] = &self.tracks;
        match kind {
            MediaKind::Audio => (sound, picture),
            MediaKind::Video => (picture, sound),
        }
    }

    /// Whether a step that could be a gap is the one by which the other track has just jumped.
    fn follows(&self, kind: MediaKind, ticks: i64, arrival: i64) -> bool {
        let (own, other) = self.pair(kind);
        let (Some(latest), Some(beside)) = (own.latest, other.latest) else { return false };
        let Some(offset) = other.jumped_from(own).filter(|_| arrival - beside.arrival <= ALIVE) else {
            return false;
        };
        let expected = own.expected(latest, arrival);
        let exact = ticks + own.offset;
        exact > expected + BESIDE
            && exact > beside.time + BESIDE
            && (ticks + offset - expected).abs() <= BESIDE
    }

    /// The first frame of a track.
    fn begin(&mut self, kind: MediaKind, ticks: i64, arrival: i64) -> (i64, i64) {
        let (_, other) = self.pair(kind);
        let (mut offset, mut is_apart) = (arrival - ticks, false);
        if let Some(latest) = other.latest {
            let beside = latest.time + (arrival - latest.arrival);
            let away = ticks + other.offset - beside;
            is_apart = !(-EARLY_START..=LATE_START).contains(&away);
            offset = if is_apart { beside - ticks } else { other.offset };
        }
        if is_apart {
            self.repairs.add(Repair::Apart, 1);
        }
        let time = ticks + offset;
        let track = &mut self.tracks[kind as usize];
        track.offset = offset;
        track.latest = Some(Latest { ticks, time, arrival, grew: (arrival, time) });
        track.pace.add(arrival, time);
        self.note_lead(arrival, time);
        (time, time)
    }

    /// A track's stamps have jumped to `ticks`: where that lies from now on.
    fn jump(&mut self, kind: MediaKind, ticks: i64, step: i64, arrival: i64, other: Option<Latest>) -> i64 {
        let (own, beside) = self.pair(kind);
        let Some(latest) = own.latest else { return arrival };
        let expected = own.expected(latest, arrival);
        let now = other.map(|other| other.time + (arrival - other.arrival));
        let fits = |offset: &i64| {
            let time = ticks + offset;
            // What has passed since the last frame may have been the network's.
            let is_beside = |other: Latest, now| (other.time - 2 * NEAR..=now + 2 * NEAR).contains(&time);
            (latest.time - NEAR..=expected + NEAR).contains(&time)
                && other.zip(now).is_none_or(|(other, now)| is_beside(other, now))
        };
        // The other's jump, if it was the same or brought both onto one clock; the way back from a stray; 24 bits.
        let beside_offset = beside.latest.map(|_| beside.offset);
        let known = [beside.jumped_from(own), beside_offset, own.previous].into_iter().flatten();
        let known = known.filter(fits).min_by_key(|offset| (ticks + offset - expected).abs());
        // Who follows the other has not jumped by itself.
        let follows = known.is_some() && known == beside.jumped_from(own).or(beside_offset);
        let beside_jump = beside.jump;
        let wrapped = [WRAP_24, -WRAP_24]
            .map(|by| own.offset + by)
            .into_iter()
            .find(|offset| fits(offset) && known.is_none());
        let offset = known.or(wrapped).unwrap_or_else(|| {
            let place = now.map_or(expected, |now| expected.clamp(now - BESIDE, now + BESIDE));
            place.max(latest.time + 1) - ticks
        });
        if known.is_none() {
            self.repairs.add(
                match wrapped {
                    Some(_) => Repair::Wrap24,
                    None if step > 0 => Repair::JumpForward,
                    None => Repair::JumpBack,
                },
                1,
            );
        }
        self.jumps += u64::from(!follows);
        let track = &mut self.tracks[kind as usize];
        track.previous = Some(std::mem::replace(&mut track.offset, offset));
        track.jump = if follows { beside_jump } else { self.jumps };
        track.is_frozen = false;
        ticks + offset
    }

    fn note_lead(&mut self, arrival: i64, time: i64) {
        if arrival - self.lead_since > LEAD {
            self.lead_since = arrival;
            self.lead = [0, self.lead[0]];
        }
        self.lead[0] = self.lead[0].max(time - arrival);
    }

    /// Brings a track back to the other that has come away from it.
    fn compare(&mut self) {
        let [sound, picture] = &mut self.tracks;
        let (Some((sound_at, sound_late)), Some((picture_at, picture_late))) =
            (sound.pace.settled, picture.pace.settled)
        else {
            return;
        };
        // Both have ended a window since the last look.
        sound.pace.settled = None;
        picture.pace.settled = None;
        if (sound_at - picture_at).abs() > 2 * WINDOW {
            return;
        }
        let relation = sound_late - picture_late;
        let away = relation - *self.pairing.usual.get_or_insert(relation);
        if away.abs() <= APART {
            self.pairing.wrong_for = 0;
            return;
        }
        self.pairing.wrong_for += 1;
        if self.pairing.wrong_for < PROOF {
            return;
        }
        self.pairing.wrong_for = 0;
        let late = if away > 0 { sound } else { picture };
        late.previous = Some(late.offset);
        late.offset += away.abs();
        late.pace = Pace::default();
        self.repairs.add(Repair::Apart, 1);
    }
}

impl Track {
    /// Where a frame should lie that arrives now.
    fn expected(&self, latest: Latest, arrival: i64) -> i64 {
        latest.time + self.interval.max(arrival - latest.arrival).max(1)
    }

    /// What is added to the stamps of the other track if it follows this one, which has jumped last.
    fn jumped_from(&self, other: &Self) -> Option<i64> {
        let previous = self.previous.filter(|_| self.jump > other.jump)?;
        Some(other.offset + self.offset - previous)
    }
}

impl Pace {
    fn add(&mut self, arrival: i64, time: i64) {
        let late = arrival - time;
        let Some((began, from)) = self.began else {
            (self.began, self.least) = (Some((arrival, time)), late);
            return;
        };
        self.least = self.least.min(late);
        let (passed, played) = (arrival - began, time - from);
        if passed >= WINDOW {
            // What comes in a burst, or faster than it plays, says nothing.
            let is_even = (played - passed).abs() <= passed / 8 + USUAL;
            self.settled = is_even.then_some((arrival, self.least)).or(self.settled);
            (self.began, self.least) = (Some((arrival, time)), late);
        }
    }
}

#[cfg(test)]
mod tests;

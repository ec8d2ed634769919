//! From the clock of a publisher to the session's.
//!
//! A publisher that stamps its frames itself (RTMP) has a crystal of its own, and its stamps stand still while its capture
//! does. When frames arrive tells the truth, late by whatever the network takes: of the frames of some seconds the earliest
//! arrivals count. What arrives first, and what arrives behind a silence, is held back for a moment, until it is seen
//! whether it was late or its clock stood still; the recording is in no hurry.

use crate::time::{MediaDuration, Timestamp};

/// So long is held back at a start and behind a silence.
pub(crate) const HOLD: MediaDuration = MediaDuration::from_millis(500);
/// Nothing for so long is a silence.
const SILENCE: MediaDuration = MediaDuration::from_millis(1_000);
/// Arrivals are compared over so many seconds.
const WINDOW: usize = 5;
const SECOND: MediaDuration = MediaDuration::from_millis(1_000);
/// Stamps are moved by this much a second at most: no crystal is worse, and nobody sees or hears it.
const SLIDE: MediaDuration = MediaDuration::from_millis(1);
/// Nearer than this to the truth nothing is moved.
const TOLERANCE: MediaDuration = MediaDuration::from_millis(3);
/// Further away the clock has not drifted: it stood still, or leapt.
const JUMP: MediaDuration = MediaDuration::from_millis(300);
/// As many points of the map are kept for the manifest.
const MAX_POINTS: usize = 1_000;
/// Slides are noted when they have come to so much.
const NOTED: MediaDuration = MediaDuration::from_millis(2);

/// The map of one stream.
#[derive(Debug)]
pub(crate) struct ClockMap {
    /// Session time less stream time.
    offset: MediaDuration,
    /// Whether arrivals are followed; a stream whose stamps are made here is right already.
    follows: bool,
    hold: Option<Hold>,
    last_arrival: Option<Timestamp>,
    /// When the present second of the window began: by arrival, and by the stamps.
    second: (Timestamp, Timestamp),
    earliest: [Option<MediaDuration>; WINDOW],
    points: Vec<(Timestamp, Timestamp)>,
    jumps: u64,
}

/// What has come since a start or a silence.
#[derive(Clone, Copy, Debug)]
struct Hold {
    began: Timestamp,
    /// The earliest arrival, as lateness against the present map.
    earliest: MediaDuration,
    /// Arrival and stamp of the first and of the latest frame.
    first: (Timestamp, Timestamp),
    latest: (Timestamp, Timestamp),
    is_start: bool,
}

impl ClockMap {
    /// A map that puts the stream's zero at `zero` of the session. `follows`: whether the publisher stamps its frames.
    pub(crate) const fn new(zero: Timestamp, follows: bool) -> Self {
        Self {
            offset: zero.since_origin(),
            follows,
            hold: None,
            last_arrival: None,
            second: (Timestamp::ZERO, Timestamp::ZERO),
            earliest: [None; WINDOW],
            points: Vec::new(),
            jumps: 0,
        }
    }

    /// A frame of decode time `stamp` (of the stream) arrives at `now` (of the session).
    pub(crate) fn arrived(&mut self, now: Timestamp, stamp: Timestamp) {
        let late = now - (stamp + self.offset);
        let quiet = self.last_arrival.replace(now).is_none_or(|last| now - last > SILENCE);
        if quiet {
            let is_start = self.points.is_empty() && self.hold.is_none();
            self.hold = Some(Hold {
                began: now,
                earliest: late,
                first: (now, stamp),
                latest: (now, stamp),
                is_start,
            });
            return;
        }
        if let Some(hold) = &mut self.hold {
            hold.earliest = hold.earliest.min(late);
            if stamp > hold.latest.1 {
                hold.latest = (now, stamp);
            }
            return;
        }
        if self.follows {
            self.follow(now, stamp, late);
        }
    }

    /// Until when what has come is to be held back. `None`: it can be placed.
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        self.hold.map(|hold| hold.began + HOLD)
    }

    /// The moment is over: what has come can be placed. Whether the clock had stood still, or leapt.
    pub(crate) fn settle(&mut self) -> bool {
        let Some(hold) = self.hold.take() else { return false };
        let mut jumped = false;
        if self.follows {
            let (waited, played) = (hold.latest.0 - hold.first.0, hold.latest.1 - hold.first.1);
            // What was held up somewhere comes faster than it plays.
            let catches_up = played > waited + waited / 4 + MediaDuration::from_millis(100);
            if hold.is_start {
                self.offset += hold.earliest;
            } else if hold.earliest.abs() > JUMP && !catches_up {
                self.offset += hold.earliest;
                self.jumps += 1;
                jumped = true;
            }
        }
        if hold.is_start || jumped {
            self.restart(hold.latest);
            self.note(hold.first.1);
        }
        jumped
    }

    /// Where a time of the stream lies on the session's clock.
    pub(crate) fn place(&self, stamp: Timestamp) -> Timestamp {
        stamp + self.offset
    }

    /// How often the clock has stood still or leapt.
    pub(crate) const fn jumps(&self) -> u64 {
        self.jumps
    }

    /// The map so far: pairs of stream and session times between which it is even.
    pub(crate) fn points(&self) -> &[(Timestamp, Timestamp)] {
        &self.points
    }

    fn follow(&mut self, now: Timestamp, stamp: Timestamp, late: MediaDuration) {
        let earliest = &mut self.earliest[0];
        *earliest = Some(earliest.map_or(late, |earlier| earlier.min(late)));
        // A second has passed here and there: what comes in one burst behind a pause of the network is no time.
        if now - self.second.0 < SECOND || stamp - self.second.1 < SECOND {
            return;
        }
        self.second = (now, stamp);
        let known = self.earliest.iter().all(Option::is_some);
        let away = self.earliest.iter().flatten().min().copied().unwrap_or_default();
        self.earliest.rotate_right(1);
        self.earliest[0] = None;
        if away.abs() > JUMP {
            if known {
                self.offset += away;
                self.jumps += 1;
                self.restart((now, stamp));
                self.note(stamp);
            }
        } else if away.abs() > TOLERANCE {
            let step = away.clamp(-SLIDE, SLIDE);
            self.offset += step;
            // What was measured was against the place before.
            self.earliest.iter_mut().flatten().for_each(|late| *late -= step);
            let noted =
                self.points.last().map_or(MediaDuration::ZERO, |(stream, session)| *session - *stream);
            if (self.offset - noted).abs() >= NOTED {
                self.note(stamp);
            }
        }
    }

    fn restart(&mut self, from: (Timestamp, Timestamp)) {
        self.second = from;
        self.earliest = [None; WINDOW];
    }

    fn note(&mut self, stamp: Timestamp) {
        if self.points.len() < MAX_POINTS {
            self.points.push((stamp, self.place(stamp)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// A publisher of 50 frames a second.
    struct World {
        map: ClockMap,
        now: i64,
        stamp: i64,
    }

    impl World {
        fn new(zero: i64) -> Self {
            Self { map: ClockMap::new(at(zero), true), now: zero, stamp: 0 }
        }

        /// Plays for so long, with a network that takes `delay` more for each frame, and says where the last one lies.
        fn play(&mut self, ms: i64, delay: impl Fn(i64) -> i64) -> i64 {
            let mut place = 0;
            for index in 0..ms / 20 {
                (self.now, self.stamp) = (self.now + 20, self.stamp + 20);
                let now = self.now + delay(index);
                self.map.arrived(at(now), at(self.stamp));
                if self.map.held_until().is_some_and(|until| at(now) >= until) {
                    self.map.settle();
                }
                place = (self.map.place(at(self.stamp)) - Timestamp::ZERO).as_millis();
            }
            place
        }
    }

    #[test]
    fn what_is_on_time_stays_where_it_is() {
        let mut world = World::new(1_000);
        assert_eq!(world.play(60_000, |index| index * 7 % 13), 61_000);
        assert_eq!((world.map.jumps(), world.map.points().len()), (0, 1));
    }

    #[test]
    fn a_start_that_was_held_up_is_put_in_place() {
        let mut world = World::new(0);
        // 300 ms late at first, on time from the fifth frame on.
        assert_eq!(world.play(2_000, |index| (300 - index * 75).max(0)), 2_000);
    }

    #[test]
    fn a_clock_that_is_wrong_is_followed_gently() {
        let mut world = World::new(0);
        world.play(1_000, |_| 0);
        // 200 ppm too slow: 720 ms an hour.
        let place = world.play(3_600_000, |index| index / 250);
        let truth = world.now + 720;
        assert!((place - truth).abs() <= 5, "{place} for {truth}");
        assert_eq!(world.map.jumps(), 0);
        assert!(world.map.points().len() > 100);
    }

    #[test]
    fn a_capture_that_stood_still_is_found_before_anything_is_placed() {
        let mut world = World::new(0);
        world.play(5_000, |_| 0);
        world.now += 30_000;
        world.play(400, |_| 0);
        assert!(world.map.held_until().is_some(), "held back");
        assert_eq!(world.play(1_000, |_| 0), 36_400);
        assert_eq!(world.map.jumps(), 1);
    }

    #[test]
    fn a_network_that_stood_still_changes_nothing() {
        let mut world = World::new(0);
        world.play(5_000, |_| 0);
        // Four seconds late, then all at once.
        assert_eq!(world.play(8_000, |index| (4_000 - index * 20).max(0)), 13_000);
        assert_eq!(world.map.jumps(), 0);
    }

    #[test]
    fn a_stream_that_is_stamped_here_is_believed() {
        let mut map = ClockMap::new(at(500), false);
        for ms in (0..5_000).step_by(20) {
            map.arrived(at(500 + ms + 80), at(ms));
        }
        map.settle();
        assert_eq!(map.place(at(1_000)), at(1_500));
    }
}

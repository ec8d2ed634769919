//! From the clock of a publisher to the session's.
//!
//! A publisher that stamps its frames itself (RTMP) has a crystal of its own, and its stamps stand still while its capture
//! does. When frames arrive tells the truth, late by whatever the network takes. So a frame that comes before its place
//! proves the map wrong at once; one that comes late proves little, as a network may be slow for minutes and make up for it
//! afterwards. What arrives first, and what arrives late behind a silence, is held back until it is seen whether its clock
//! stood still, or the network did and now catches up; the recording is in no hurry.

use crate::media::{Repair, Repairs};
use crate::time::{MediaDuration, Timestamp};

/// So long is held back at a start.
pub(crate) const HOLD: MediaDuration = MediaDuration::from_millis(500);
/// Nothing for so long is a silence. A capture cannot stand still for longer without one.
const SILENCE: MediaDuration = MediaDuration::from_millis(300);
/// So long is held back behind a silence, if what comes is late.
const DOUBT: MediaDuration = MediaDuration::from_millis(3_000);
/// A third of that: what comes in the first is compared with what comes in the last.
const THIRD: MediaDuration = MediaDuration::from_millis(1_000);
/// A network that catches up, be it by a fiftieth of real time, gains more than this from the first third to the last.
const GAIN: MediaDuration = MediaDuration::from_millis(25);
/// The earliest arrivals of so many seconds are known.
const WINDOW: usize = 60;
/// So many of them show that frames come too early, and so many that they come a little late.
const EARLY: usize = 5;
const LATE: usize = 10;
const SECOND: MediaDuration = MediaDuration::from_millis(1_000);
/// Stamps are moved back by this much a second at most: nobody sees or hears it.
const SLIDE: MediaDuration = MediaDuration::from_millis(1);
/// Forwards by this much: no crystal is worse than 300 ppm.
const DRIFT: MediaDuration = MediaDuration::from_micros(300);
/// Who is later than this did not drift. It is followed slowly, as it may be the network's doing.
const DRIFTED: MediaDuration = MediaDuration::from_millis(30);
const CREEP: MediaDuration = MediaDuration::from_micros(100);
/// Nearer than this to the truth nothing is moved.
const TOLERANCE: MediaDuration = MediaDuration::from_millis(2);
/// Further away the clock has not drifted: it stood still, or leapt.
const JUMP: MediaDuration = MediaDuration::from_millis(300);
/// No frame lies further in the future than this.
const AHEAD: MediaDuration = MediaDuration::from_millis(1_000);
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
    repairs: Repairs,
}

/// What has come since a start or a silence.
#[derive(Clone, Copy, Debug)]
struct Hold {
    began: Timestamp,
    is_start: bool,
    /// The earliest arrival of each third, as lateness against the present map.
    earliest: [Option<MediaDuration>; 3],
    /// Stamp of the first frame; arrival and stamp of the latest.
    first: Timestamp,
    latest: (Timestamp, Timestamp),
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
            repairs: Repairs::NONE,
        }
    }

    /// A frame of decode time `stamp` (of the stream) arrives at `now` (of the session).
    pub(crate) fn arrived(&mut self, now: Timestamp, stamp: Timestamp) {
        let late = now - (stamp + self.offset);
        let quiet = self.last_arrival.replace(now).is_none_or(|last| now - last > SILENCE);
        let is_start = self.points.is_empty();
        if quiet && (is_start || (self.follows && late > JUMP)) {
            let began = self.hold.filter(|hold| hold.is_start).map_or(now, |hold| hold.began);
            self.hold =
                Some(Hold { began, is_start, earliest: [None; 3], first: stamp, latest: (now, stamp) });
        }
        match &mut self.hold {
            // The network has made up for it.
            Some(hold) if !hold.is_start && late <= JUMP => self.hold = None,
            Some(hold) => return hold.take(now, stamp, late),
            None => {}
        }
        if self.follows {
            self.follow(now, stamp, late);
        }
    }

    /// Until when what has come is to be held back. `None`: it can be placed.
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        self.hold.map(|hold| hold.began + if hold.is_start { HOLD } else { DOUBT })
    }

    /// The moment is over: what has come can be placed. Whether the clock had stood still.
    pub(crate) fn settle(&mut self) -> bool {
        let Some(hold) = self.hold.take() else { return false };
        let stood_still = !hold.is_start && hold.is_level();
        if self.follows && (hold.is_start || stood_still) {
            self.offset += hold.earliest();
        }
        if hold.is_start || stood_still {
            self.repairs.add(Repair::Stall, u64::from(stood_still));
            self.restart(hold.latest);
            self.note(hold.first);
        }
        stood_still
    }

    /// Where a time of the stream lies on the session's clock.
    pub(crate) fn place(&self, stamp: Timestamp) -> Timestamp {
        stamp + self.offset
    }

    /// Whether it is the publisher's own clock.
    pub(crate) const fn follows(&self) -> bool {
        self.follows
    }

    /// How often the clock has stood still or run ahead since the last call.
    pub(crate) fn take_repairs(&mut self) -> Repairs {
        self.repairs.take()
    }

    /// The map so far: pairs of stream and session times between which it is even.
    pub(crate) fn points(&self) -> &[(Timestamp, Timestamp)] {
        &self.points
    }

    fn follow(&mut self, now: Timestamp, stamp: Timestamp, late: MediaDuration) {
        if late < -AHEAD {
            return self.leap(now, stamp, late);
        }
        let earliest = &mut self.earliest[0];
        *earliest = Some(earliest.map_or(late, |earlier| earlier.min(late)));
        // A second has passed here and there: what comes in one burst behind a pause of the network is no time.
        if now - self.second.0 < SECOND || stamp - self.second.1 < SECOND {
            return;
        }
        self.second = (now, stamp);
        let [early, late, longest] = [EARLY, LATE, WINDOW].map(|seconds| self.earliest_of(seconds));
        self.earliest.rotate_right(1);
        self.earliest[0] = None;
        match (early, late, longest) {
            (Some(early), ..) if early < -JUMP => self.leap(now, stamp, early),
            (Some(early), ..) if early < -TOLERANCE => self.slide(stamp, early.max(-SLIDE)),
            (_, Some(late), _) if late > TOLERANCE && late <= DRIFTED => self.slide(stamp, late.min(DRIFT)),
            (.., Some(late)) if late > DRIFTED && late <= JUMP => self.slide(stamp, CREEP),
            _ => {}
        }
    }

    /// The earliest arrival of so many seconds, once they have passed.
    fn earliest_of(&self, seconds: usize) -> Option<MediaDuration> {
        let window = self.earliest.iter().take(seconds);
        window.copied().reduce(|a, b| Some(a?.min(b?))).flatten()
    }

    fn slide(&mut self, stamp: Timestamp, step: MediaDuration) {
        self.offset += step;
        // What was measured was against the place before.
        self.earliest.iter_mut().flatten().for_each(|late| *late -= step);
        let noted = self.points.last().map_or(MediaDuration::ZERO, |(stream, session)| *session - *stream);
        if (self.offset - noted).abs() >= NOTED {
            self.note(stamp);
        }
    }

    fn leap(&mut self, now: Timestamp, stamp: Timestamp, by: MediaDuration) {
        self.offset += by;
        self.repairs.add(Repair::JumpForward, 1);
        self.restart((now, stamp));
        self.note(stamp);
    }

    fn restart(&mut self, from: (Timestamp, Timestamp)) {
        self.second = from;
        self.earliest = [None; WINDOW];
    }

    fn note(&mut self, stamp: Timestamp) {
        if self.points.len() >= MAX_POINTS {
            // Between points the map is even: with every other one it is a little less exact, and complete.
            let mut number = 0;
            self.points.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        self.points.push((stamp, self.place(stamp)));
    }
}

impl Hold {
    fn take(&mut self, now: Timestamp, stamp: Timestamp, late: MediaDuration) {
        let third = (now - self.began).as_millis() / THIRD.as_millis();
        let third = usize::try_from(third).unwrap_or_default().min(self.earliest.len() - 1);
        let earliest = &mut self.earliest[third];
        *earliest = Some(earliest.map_or(late, |earlier| earlier.min(late)));
        if stamp > self.latest.1 {
            self.latest = (now, stamp);
        }
    }

    fn earliest(&self) -> MediaDuration {
        self.earliest.iter().flatten().min().copied().unwrap_or_default()
    }

    /// Whether nothing is caught up with.
    fn is_level(&self) -> bool {
        matches!(self.earliest, [Some(first), _, Some(last)] if first - last <= GAIN)
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
        fn jumps(&self) -> u64 {
            self.map.repairs.iter().map(|(_, count)| count).sum()
        }

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
        assert_eq!((world.jumps(), world.map.points().len()), (0, 1));
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
        assert_eq!(world.jumps(), 0);
        assert!(world.map.points().len() > 100);
    }

    #[test]
    fn a_capture_that_stood_still_is_found_before_anything_is_placed() {
        for jitter in [0, 60] {
            let mut world = World::new(0);
            world.play(5_000, |_| 0);
            world.now += 30_000;
            world.play(2_900, |index| if index % 3 == 0 { 0 } else { jitter });
            assert!(world.map.held_until().is_some(), "held back");
            assert_eq!(world.play(1_000, |_| 0), 38_900);
            assert_eq!(world.jumps(), 1);
        }
    }

    #[test]
    fn a_network_that_stood_still_changes_nothing_however_slowly_it_catches_up() {
        for stalled in [1_500, 4_000, 10_000] {
            // So much faster than it plays, in percent.
            for faster in [2, 5, 10, 20, 50, 100, 400] {
                let mut world = World::new(0);
                world.play(5_000, |_| 0);
                let gained = |index: i64| index * 20 * faster / (100 + faster);
                let place = world.play(900_000, |index| (stalled - gained(index)).max(0));
                let is_there = (place - 905_000).abs() <= TOLERANCE.as_millis();
                assert!(is_there && world.jumps() == 0, "{stalled} ms, {faster} %: {place}");
            }
        }
    }

    #[test]
    fn a_network_that_is_slow_for_minutes_changes_little() {
        // How late, with the sawtooth of a queue that fills and is drained, for how long, and what that may move.
        for (late, sawtooth, minutes, moved) in [(2_000, 600, 1, 0), (250, 0, 5, 30), (250, 100, 5, 30)] {
            let mut world = World::new(0);
            world.play(60_000, |_| 0);
            let place =
                world.play(minutes * 60_000, |index| late.min(index * 5) + index % 100 * sawtooth / 100);
            assert!((place - world.now).abs() <= moved, "{late}: {place} for {}", world.now);
            let place = world.play(90_000, |index| (late - index * 10).max(0));
            assert!((place - world.now).abs() <= 3, "{late}: back in place");
            assert_eq!(world.jumps(), 0);
        }
    }

    #[test]
    fn a_short_standstill_is_found_as_well() {
        let mut world = World::new(0);
        world.play(5_000, |_| 0);
        world.now += 600;
        let place = world.play(4_000, |index| index % 3);
        assert!((place - world.now).abs() <= 3, "{place} for {}", world.now);
        assert_eq!(world.jumps(), 1);
    }

    #[test]
    fn nothing_lies_in_the_future() {
        let mut world = World::new(0);
        world.play(5_000, |_| 0);
        // A minute in three seconds, as of a file that is sent as fast as it goes.
        for _ in 0..3_000 {
            (world.now, world.stamp) = (world.now + 1, world.stamp + 20);
            world.map.arrived(at(world.now), at(world.stamp));
            let place = world.map.place(at(world.stamp));
            assert!(place - at(world.now) <= AHEAD, "{place:?} at {}", world.now);
        }
        // A leap of ten seconds.
        world.stamp += 10_000;
        assert_eq!(world.play(2_000, |_| 0), world.now);
    }

    #[test]
    fn the_map_is_told_of_a_clock_that_never_stops_drifting() {
        let mut world = World::new(0);
        // 250 ppm for ten hours: nine seconds.
        let place = world.play(36_000_000, |index| index / 200);
        let points = world.map.points();
        assert!(points.len() > MAX_POINTS / 4 && points.len() <= MAX_POINTS);
        let (stream, session) = *points.last().unwrap();
        let error = (at(place) - at(world.stamp)) - (session - stream);
        assert!(error.abs() <= MediaDuration::from_millis(2), "{error:?}");
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

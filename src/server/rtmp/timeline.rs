//! A publisher's clock on the stream's timeline.

use crate::media::MediaKind;
use crate::time::{MediaDuration, RtmpTime, Timestamp, Unwrapper};

/// Audio and video may be this far out of step without either having jumped, in milliseconds.
const SKEW: i64 = 2_000;
/// A step forwards of up to this is a gap in the media, in milliseconds.
const GAP: i64 = 10_000;

/// Maps the publisher's milliseconds so that its first frame lies where it arrived, and mends jumps.
///
/// Both tracks share one mapping, so that they keep their distance. When the clock jumps, one of them jumps first: until
/// the other follows, two mappings are in use.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    unwrapper: Unwrapper<32>,
    /// What is added to the publisher's time, in milliseconds.
    offset: Option<i64>,
    /// The mapping that was used before.
    previous: Option<i64>,
    /// The latest time given, in milliseconds.
    newest: i64,
    last_audio: i64,
    last_video: i64,
    jumps: u64,
}

impl Timeline {
    /// The decode time of a frame that arrives `elapsed` after the stream's origin. Never goes back within a track.
    pub(super) fn map(&mut self, kind: MediaKind, raw: RtmpTime, elapsed: MediaDuration) -> Timestamp {
        let (ticks, arrival) = (self.unwrapper.unwrap(raw.0), elapsed.as_millis());
        let time = match self.offset {
            None => {
                self.offset = Some(arrival - ticks);
                (self.newest, self.last_audio, self.last_video) = (arrival, i64::MIN, i64::MIN);
                arrival
            }
            Some(offset) if self.is_plausible(ticks + offset, arrival) => ticks + offset,
            Some(offset) => {
                let known = self.previous.filter(|previous| self.is_plausible(ticks + previous, arrival));
                let mapping = known.unwrap_or_else(|| {
                    self.jumps += 1;
                    arrival.max(self.newest + 1) - ticks
                });
                (self.previous, self.offset) = (Some(offset), Some(mapping));
                ticks + mapping
            }
        };
        self.newest = self.newest.max(time);
        let last = match kind {
            MediaKind::Audio => &mut self.last_audio,
            MediaKind::Video => &mut self.last_video,
        };
        *last = time.max(*last);
        Timestamp::from_millis(*last)
    }

    /// How often the clock has jumped.
    pub(super) const fn jumps(&self) -> u64 {
        self.jumps
    }

    fn is_plausible(&self, time: i64, arrival: i64) -> bool {
        time >= self.newest - SKEW && (time <= self.newest + GAP || (time - arrival).abs() <= GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(timeline: &mut Timeline, kind: MediaKind, raw: u32, arrival: i64) -> i64 {
        let time = timeline.map(kind, RtmpTime(raw), MediaDuration::from_millis(arrival));
        (time - Timestamp::ZERO).as_millis()
    }

    #[test]
    fn the_first_frame_lies_where_it_arrived_whatever_its_time() {
        for start in [0, 1_000_000, u32::MAX - 5] {
            let mut timeline = Timeline::default();
            assert_eq!(map(&mut timeline, MediaKind::Video, start, 120), 120);
            assert_eq!(map(&mut timeline, MediaKind::Audio, start.wrapping_add(10), 121), 130);
            assert_eq!(map(&mut timeline, MediaKind::Video, start.wrapping_add(33), 150), 153);
        }
    }

    #[test]
    fn a_jump_is_mended_once_for_both_tracks() {
        let mut timeline = Timeline::default();
        for ms in (0..1_000).step_by(20) {
            map(&mut timeline, MediaKind::Audio, 500_000 + ms, ms.into());
            map(&mut timeline, MediaKind::Video, 500_000 + ms, ms.into());
        }
        // The publisher starts again at 0; sound follows a little later than picture.
        assert_eq!(map(&mut timeline, MediaKind::Video, 0, 1_000), 1_000);
        assert_eq!(map(&mut timeline, MediaKind::Audio, 501_000, 1_005), 1_000);
        assert_eq!(map(&mut timeline, MediaKind::Video, 40, 1_040), 1_040);
        assert_eq!(map(&mut timeline, MediaKind::Audio, 20, 1_041), 1_020);
        assert_eq!(timeline.jumps(), 1);
    }

    #[test]
    fn silence_and_gaps_are_no_jumps() {
        let mut timeline = Timeline::default();
        map(&mut timeline, MediaKind::Video, 7, 0);
        assert_eq!(map(&mut timeline, MediaKind::Video, 9_007, 50), 9_000, "a gap in the media");
        assert_eq!(
            map(&mut timeline, MediaKind::Video, 60_007, 60_000),
            60_000,
            "a publisher that was silent"
        );
        assert_eq!(timeline.jumps(), 0);
        assert_eq!(map(&mut timeline, MediaKind::Video, 900_007, 60_040), 60_040);
        assert_eq!(timeline.jumps(), 1);
    }

    #[test]
    fn a_track_never_goes_back() {
        let mut timeline = Timeline::default();
        let times = [100, 140, 120, 0, 160].map(|raw| map(&mut timeline, MediaKind::Video, raw, 0));
        assert_eq!(times, [0, 40, 40, 40, 60]);
    }
}

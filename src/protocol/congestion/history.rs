//! Packets that are under way, by their transport-wide sequence numbers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets remembered; at 8 Mbit/s two seconds of them. Feedback about older ones is of no use.
const MAX_PACKETS: usize = 2_048;
/// And for so long.
const MAX_AGE: Duration = Duration::from_secs(3);

/// A packet that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    /// When.
    pub(super) at: Instant,
    /// Size of the datagram with what the network adds.
    pub(super) bytes: u16,
    fate: Fate,
}

/// What feedback has said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Unknown,
    Missing,
    Arrived,
}

/// What a status of a feedback tells that was not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// It has arrived.
    Arrived(Sent),
    /// It has arrived, after it was said to be missing.
    Late(Sent),
    /// It is missing.
    Missing,
}

/// Numbers packets and remembers them until they are too old or too many.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The last of them has the number before `next`.
    packets: VecDeque<Sent>,
    next: u16,
}

impl History {
    /// Notes a packet that goes out now; gives its number.
    pub(super) fn push(&mut self, at: Instant, bytes: usize) -> u16 {
        let is_old = |first: &Sent| at.saturating_duration_since(first.at) > MAX_AGE;
        if self.packets.len() == MAX_PACKETS || self.packets.front().is_some_and(is_old) {
            self.packets.pop_front();
        }
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        self.packets.push_back(Sent { at, bytes, fate: Fate::Unknown });
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    /// Notes what a feedback says of a number. `None` if that is no news, or of a packet that is not remembered.
    pub(super) fn note(&mut self, number: u16, arrived: bool) -> Option<News> {
        let behind = usize::from(self.next.wrapping_sub(number));
        // Behind 0 lies what was never sent: 65,536 packets ago nothing is remembered.
        let index = self.packets.len().checked_sub(behind).filter(|_| behind > 0)?;
        let packet = self.packets.get_mut(index)?;
        match (packet.fate, arrived) {
            (Fate::Unknown, true) => {
                packet.fate = Fate::Arrived;
                Some(News::Arrived(*packet))
            }
            (Fate::Missing, true) => {
                packet.fate = Fate::Arrived;
                Some(News::Late(*packet))
            }
            (Fate::Unknown, false) => {
                packet.fate = Fate::Missing;
                Some(News::Missing)
            }
            (Fate::Missing, false) | (Fate::Arrived, _) => None,
        }
    }

    /// The number of the next packet.
    pub(super) const fn next(&self) -> u16 {
        self.next
    }

    /// The bytes of `count` packets from a number on, as far as they are remembered.
    pub(super) fn bytes(&self, from: u16, count: u16) -> u32 {
        let behind = usize::from(self.next.wrapping_sub(from));
        let Some(first) = self.packets.len().checked_sub(behind) else { return 0 };
        self.packets.iter().skip(first).take(count.into()).map(|packet| u32::from(packet.bytes)).sum()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulation::start;
    use super::*;

    #[test]
    fn each_status_is_news_once() {
        let mut history = History::default();
        let numbers: Vec<u16> = (0..3).map(|index| history.push(start(), 100 + index)).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(matches!(history.note(1, true), Some(News::Arrived(Sent { bytes: 101, .. }))));
        assert_eq!((history.note(1, true), history.note(1, false)), (None, None));
        assert_eq!((history.note(2, false), history.note(2, false)), (Some(News::Missing), None));
        assert!(matches!(history.note(2, true), Some(News::Late(Sent { bytes: 102, .. }))));
        assert_eq!((history.note(3, true), history.note(40_000, true)), (None, None), "never sent");
        assert_eq!([history.bytes(1, 1), history.bytes(1, 9), history.bytes(4, 9)], [101, 203, 0]);
    }

    #[test]
    fn numbers_wrap_and_old_packets_go() {
        let mut history = History::default();
        for _ in 0..70_000 {
            history.push(start(), 1);
        }
        assert_eq!(history.len(), MAX_PACKETS);
        let next = (70_000 % 65_536) as u16;
        assert!(history.note(next.wrapping_sub(MAX_PACKETS as u16), true).is_some());
        assert!(history.note(next.wrapping_sub(MAX_PACKETS as u16 + 1), true).is_none());
        for second in 0..20 {
            history.push(start() + Duration::from_secs(second), 1);
        }
        assert_eq!(history.len(), MAX_PACKETS, "one goes with each that comes");
    }
}

//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): when each packet of
//! the whole transport came. [`Recorder`] makes it of what we receive, [`Feedback`] reads it of what we send.

use super::Ssrc;
use crate::protocol::rtcp::write;
use crate::time::Unwrapper;
use crate::wire::{ByteReader, Truncated};
use bytes::BufMut;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use thiserror::Error;

const PACKET_TYPE: u8 = 205;
const FORMAT: usize = 15;
/// The unit of arrival times.
const TICK: Duration = Duration::from_micros(250);
/// The unit of a feedback's reference time is 64 ms.
const TICKS_PER_REFERENCE: i64 = 256;
/// Feedback waits so long for more packets.
const INTERVAL: Duration = Duration::from_millis(50);
/// This many wait for no longer: their feedback fits into one datagram.
const MAX_UNREPORTED: usize = 256;
/// A step in sequence numbers beyond this is no loss but a new start.
const MAX_STEP: i64 = 2_048;
/// Reported packets are remembered so far back, so that one that comes late is reported among its neighbours.
const MAX_HISTORY: i64 = 512;
/// What is remembered at most. Nobody who fetches feedback when it is due comes near it; else the oldest are dropped.
const MAX_REMEMBERED: usize = 8_192;
/// A feedback about more packets is neither written nor read: no sender here remembers more.
const MAX_STATUSES: u16 = 2_048;
const MAX_RUN: usize = 0x1fff;

/// Notes arrivals and makes feedback of them.
#[derive(Debug, Default)]
pub struct Recorder {
    sequence: Unwrapper<16>,
    epoch: Option<Instant>,
    /// Arrival times from sequence number `first` on, in ticks since the epoch.
    arrivals: VecDeque<Option<i64>>,
    first: i64,
    /// What is to be reported next.
    unreported: i64,
    waiting: usize,
    waiting_since: Option<Instant>,
    feedback_count: u8,
}

impl Recorder {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a packet by its transport-wide sequence number.
    pub fn packet(&mut self, sequence: u16, now: Instant) {
        let epoch = *self.epoch.get_or_insert(now);
        let ticks = now.saturating_duration_since(epoch).as_micros() / TICK.as_micros();
        let Ok(ticks) = i64::try_from(ticks) else { return };
        let sequence = self.sequence.unwrap(sequence.into());
        let end = self.first + self.arrivals.len() as i64; // at most MAX_HISTORY + MAX_STEP and some
        if self.arrivals.is_empty() || (sequence - end).abs() > MAX_STEP {
            self.arrivals.clear();
            (self.first, self.unreported, self.waiting) = (sequence, sequence, 0);
        }
        let Ok(index) = usize::try_from(sequence - self.first) else { return }; // older than the history
        if index >= self.arrivals.len() {
            self.arrivals.resize(index + 1, None);
        }
        let Some(arrival) = self.arrivals.get_mut(index).filter(|arrival| arrival.is_none()) else { return };
        *arrival = Some(ticks);
        self.unreported = self.unreported.min(sequence);
        if self.arrivals.len() > MAX_REMEMBERED {
            self.arrivals.drain(..MAX_REMEMBERED / 2);
            self.first += MAX_REMEMBERED as i64 / 2;
            self.unreported = self.unreported.max(self.first);
        }
        self.waiting += 1;
        self.waiting_since.get_or_insert(now);
    }

    /// When [`feedback`](Self::feedback) is due; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.waiting_since?;
        Some(if self.waiting >= MAX_UNREPORTED { since } else { since + INTERVAL })
    }

    /// Appends one RTCP packet about what waits; false, and nothing appended, when nothing does. `media` stands for the
    /// transport: any source of the other side. At most about 1,000 bytes; what does not fit waits for the next call.
    pub fn feedback(&mut self, sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) -> bool {
        let skipped = usize::try_from(self.unreported - self.first).unwrap_or(0);
        let mut pending = self.arrivals.iter().skip(skipped);
        let Some(first_arrival) = pending.clone().find_map(|arrival| *arrival) else {
            self.waiting_since = None;
            return false;
        };
        let reference = first_arrival.div_euclid(TICKS_PER_REFERENCE);
        let mut last = reference * TICKS_PER_REFERENCE;
        let (mut symbols, mut deltas) = (Vec::new(), Vec::new());
        let mut received = 0;
        let mut complete = true;
        for arrival in &mut pending {
            if symbols.len() == usize::from(MAX_STATUSES) {
                complete = false;
                break;
            }
            let Some(ticks) = arrival else {
                symbols.push(Symbol::Missing);
                continue;
            };
            let delta = ticks - last;
            if let Ok(small) = u8::try_from(delta) {
                symbols.push(Symbol::Small);
                deltas.put_u8(small);
            } else if let Ok(large) = i16::try_from(delta) {
                symbols.push(Symbol::Large);
                deltas.put_i16(large);
            } else {
                complete = false; // more than 8 s apart: needs a reference time of its own
                break;
            }
            last = *ticks;
            received += 1;
            if received == MAX_UNREPORTED {
                complete = pending.next().is_none();
                break;
            }
        }
        let base = self.unreported as u16; // sequence numbers are modulo 2^16 on the wire
        write::packet(out, PACKET_TYPE, FORMAT, |out| {
            out.put_u32(sender.0);
            out.put_u32(media.0);
            out.put_u16(base);
            out.put_u16(symbols.len() as u16); // at most MAX_STATUSES
            out.put_uint((reference & 0xff_ffff) as u64, 3); // modulo 2^24 by definition
            out.put_u8(self.feedback_count);
            put_chunks(out, &symbols);
            out.put_slice(&deltas);
        });
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.unreported += symbols.len() as i64;
        self.forget();
        self.waiting = if complete { 0 } else { MAX_UNREPORTED };
        if complete {
            self.waiting_since = None;
        }
        true
    }

    /// Drops what lies further back than the history.
    fn forget(&mut self) {
        let end = self.first + self.arrivals.len() as i64;
        let keep_from = self.unreported.min(end - MAX_HISTORY);
        let gone = usize::try_from(keep_from - self.first).unwrap_or(0).min(self.arrivals.len());
        self.arrivals.drain(..gone);
        self.first += gone as i64;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Symbol {
    Missing = 0,
    Small = 1,
    Large = 2,
}

/// Packs symbols into run-length chunks and vectors of 14 one-bit or 7 two-bit symbols.
fn put_chunks(out: &mut Vec<u8>, mut symbols: &[Symbol]) {
    while let Some(first) = symbols.first() {
        let run = symbols.iter().take(MAX_RUN).take_while(|symbol| *symbol == first).count();
        let taken = if run > 7 {
            out.put_u16((*first as u16) << 13 | run as u16); // at most MAX_RUN
            run
        } else {
            let one_bit = symbols.iter().take(14).all(|symbol| *symbol != Symbol::Large);
            let (capacity, width, head) = if one_bit { (14, 1, 0x8000) } else { (7, 2, 0xc000) };
            let taken = &symbols[..symbols.len().min(capacity)];
            let packed = taken
                .iter()
                .enumerate()
                .fold(head, |chunk, (index, symbol)| chunk | (*symbol as u16) << (14 - width * (index + 1)));
            out.put_u16(packed);
            taken.len()
        };
        symbols = &symbols[taken..];
    }
}

/// Why a feedback cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FeedbackError {
    /// It ends before the statuses or times that it announces.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// It speaks of more packets than can be under way.
    #[error("feedback about {0} packets")]
    TooMany(u16),
    /// A status that is not defined.
    #[error("a reserved packet status")]
    Reserved,
}

/// What the other side says of the packets we sent. Borrows the datagram.
#[derive(Clone, Debug)]
pub struct Feedback<'a> {
    base: u16,
    count: u16,
    /// In ticks, on a clock of the receiver's own.
    reference: i64,
    number: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// Reads what stands behind the two sources of the RTCP packet, and checks it as a whole.
    pub fn parse(body: &'a [u8]) -> Result<Self, FeedbackError> {
        let mut reader = ByteReader::new(body);
        let base = reader.u16()?;
        let count = reader.u16()?;
        if count > MAX_STATUSES {
            return Err(FeedbackError::TooMany(count));
        }
        let reference = i64::from(reader.i24()?) * TICKS_PER_REFERENCE;
        let number = reader.u8()?;
        // Chunks end where they have covered the count; each takes two bytes, so this ends with the datagram at last.
        let behind = reader.rest();
        let (mut left, mut deltas_len) = (count, 0);
        while left > 0 {
            let chunk = Chunk::new(reader.u16()?);
            let covered = chunk.left.min(left);
            left -= covered;
            deltas_len += chunk.deltas_len(covered)?;
        }
        let (chunks, _) = behind.split_at(behind.len() - reader.len());
        Ok(Self { base, count, reference, number, chunks, deltas: reader.bytes(deltas_len)? })
    }

    /// Counts the receiver's feedbacks; wraps at 256.
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The number of the first packet that it is about.
    pub const fn base(&self) -> u16 {
        self.base
    }

    /// How many packets it is about.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The number behind the last packet that it is about.
    pub const fn end(&self) -> u16 {
        self.base.wrapping_add(self.count)
    }

    /// The packets in order of their transport-wide sequence numbers: when each arrived, as time since an origin of the
    /// receiver's that stays the same for about 12 days; `None` for one that has not come.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, Option<Arrived>)> {
        let chunks = self.chunks.chunks_exact(2).map(|chunk| u16::from_be_bytes([chunk[0], chunk[1]]));
        let symbols = chunks.flat_map(Chunk::new).take(self.count.into());
        let mut deltas = ByteReader::new(self.deltas);
        let mut ticks = self.reference;
        symbols.zip(0u16..).map(move |(symbol, index)| {
            // `parse` has counted the deltas; were one missing, the packet would count as lost.
            let delta = match symbol {
                1 => deltas.u8().ok().map(i64::from),
                2 => deltas.array().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
                _ => None,
            };
            let arrived = delta.map(|delta| {
                ticks += delta;
                Arrived(ticks)
            });
            (self.base.wrapping_add(index), arrived)
        })
    }
}

/// When a packet arrived, on a clock of the receiver's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Arrived(i64);

impl Arrived {
    #[cfg(test)]
    pub(in crate::protocol) const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// The span since another packet's arrival; zero when this one came first.
    pub fn since(self, earlier: Self) -> Duration {
        let ticks = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        Duration::from_micros(ticks.saturating_mul(250))
    }

    /// Milliseconds since another packet's arrival, negative when this one came first.
    pub fn millis_since(self, other: Self) -> f64 {
        self.0.saturating_sub(other.0) as f64 / 4.0 // quarters of a millisecond; 53 bits are plenty
    }
}

/// The symbols of one chunk.
struct Chunk {
    bits: u16,
    left: u16,
}

impl Chunk {
    const fn new(bits: u16) -> Self {
        let left = match bits >> 14 {
            0b10 => 14,
            0b11 => 7,
            _ => bits & MAX_RUN as u16, // thirteen bits
        };
        Self { bits, left }
    }

    /// The bytes of the arrival times of its first so many symbols. A run is not walked: its two bytes may stand for
    /// thousands.
    fn deltas_len(self, symbols: u16) -> Result<usize, FeedbackError> {
        // A symbol is the number of bytes of its time; none has three.
        let len =
            |symbol: u8| if symbol < 3 { Ok(usize::from(symbol)) } else { Err(FeedbackError::Reserved) };
        if self.bits >> 15 == 1 {
            return self.take(symbols.into()).map(len).sum();
        }
        let first = (self.bits >> 13) as u8; // two bits, as the third is 0
        if symbols == 0 { Ok(0) } else { Ok(usize::from(symbols) * len(first)?) }
    }
}

impl Iterator for Chunk {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        let symbol = match self.bits >> 14 {
            0b10 => self.bits >> self.left & 1,
            0b11 => self.bits >> (2 * self.left) & 3,
            _ => self.bits >> 13 & 3,
        };
        Some(symbol as u8) // at most two bits
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_start;
    use super::*;
    use crate::protocol::rtcp::{Packet, packets};
    use proptest::prelude::*;

    /// Sequence number and arrival in ticks since the first packet.
    fn report(recorder: &mut Recorder) -> Vec<(u16, Option<i64>)> {
        let mut out = Vec::new();
        if !recorder.feedback(Ssrc(1), Ssrc(2), &mut out) {
            return Vec::new();
        }
        assert!(out.len() < 1_100, "{}", out.len());
        let mut found = packets(&out);
        let Some(Ok(Packet::TransportFeedback(feedback))) = found.next() else { panic!("{out:?}") };
        assert!(found.next().is_none());
        feedback.statuses().map(|(sequence, at)| (sequence, at.map(|at| at.0))).collect()
    }

    fn ticks(count: u64) -> Duration {
        Duration::from_micros(250 * count)
    }

    #[test]
    fn an_example_byte_by_byte() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        for (sequence, at) in [(65_535, 0), (0, 4), (2, 300), (3, 290)] {
            recorder.packet(sequence, start + ticks(at));
        }
        let mut out = Vec::new();
        assert!(recorder.feedback(Ssrc(1), Ssrc(2), &mut out));
        let two_bits = 0b11_01_01_00_10_10_00_00u16.to_be_bytes();
        let expected = [
            &[0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0, 5, 0, 0, 0, 0][..],
            &two_bits,
            &[0, 4],
            &296i16.to_be_bytes(),
            &(-10i16).to_be_bytes(),
        ]
        .concat();
        assert_eq!(out, expected);
        assert!(!recorder.feedback(Ssrc(1), Ssrc(2), &mut out), "nothing waits any more");
        assert_eq!(recorder.deadline(), None);
    }

    #[test]
    fn late_packets_are_reported_among_their_neighbours() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        for sequence in [10, 12] {
            recorder.packet(sequence, start);
        }
        assert_eq!(report(&mut recorder), [(10, Some(0)), (11, None), (12, Some(0))]);
        recorder.packet(13, start + ticks(7));
        recorder.packet(11, start + ticks(8));
        assert_eq!(report(&mut recorder), [(11, Some(8)), (12, Some(0)), (13, Some(7))]);
        recorder.packet(11, start + ticks(9));
        assert_eq!(report(&mut recorder), [], "a repetition is no news");
    }

    #[test]
    fn jumps_start_anew() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        for sequence in [100, 30_000, 29_999] {
            recorder.packet(sequence, start);
        }
        assert_eq!(
            report(&mut recorder),
            [(30_000, Some(0))],
            "what lies before the start is not remembered"
        );
        recorder.packet(20_000, start);
        assert_eq!(report(&mut recorder), [(20_000, Some(0))]);
    }

    #[test]
    fn a_pause_of_more_than_a_delta_splits_the_feedback() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        recorder.packet(1, start);
        recorder.packet(2, start + Duration::from_secs(9));
        assert_eq!(report(&mut recorder), [(1, Some(0))]);
        assert!(recorder.deadline().is_some());
        assert_eq!(report(&mut recorder), [(2, Some(36_000))]);
    }

    #[test]
    fn large_gaps_are_reported_piece_by_piece() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        for (sequence, at) in [(0, 0), (2_000, 4), (4_000, 8)] {
            recorder.packet(sequence, start + ticks(at));
        }
        let mut came = Vec::new();
        for most in [2_048, 1_953] {
            let statuses = report(&mut recorder);
            assert_eq!(statuses.len(), most);
            came.extend(statuses.into_iter().filter_map(|(sequence, at)| Some((sequence, at?))));
        }
        assert_eq!(came, [(0, 0), (2_000, 4), (4_000, 8)]);
        assert_eq!(recorder.deadline(), None);
    }

    #[test]
    fn deadlines() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        assert_eq!(recorder.deadline(), None);
        for sequence in 0..MAX_UNREPORTED as u16 {
            assert_ne!(recorder.deadline(), Some(start), "{sequence}");
            recorder.packet(sequence, start);
        }
        assert_eq!(recorder.deadline(), Some(start), "enough for a datagram");
        recorder.packet(999, start);
        assert_eq!(report(&mut recorder).len(), MAX_UNREPORTED);
        assert_eq!(recorder.deadline(), Some(start), "and one more");
        assert_eq!(report(&mut recorder).last(), Some(&(999, Some(0))));
        assert_eq!(recorder.deadline(), None);
    }

    #[test]
    fn what_nobody_fetches_is_dropped() {
        let (mut recorder, start) = (Recorder::new(), test_start());
        for sequence in 0..100_000u32 {
            recorder.packet(sequence as u16, start);
            assert!(recorder.arrivals.len() <= MAX_REMEMBERED);
        }
        let mut last = None;
        for _ in 0..=MAX_REMEMBERED / MAX_UNREPORTED {
            last = report(&mut recorder).last().copied().or(last);
        }
        assert_eq!(last, Some((99_999u32 as u16, Some(0))));
        assert_eq!(recorder.deadline(), None);
    }

    #[test]
    fn hostile_feedback() {
        let head = |count: u16| [&[0, 1][..], &count.to_be_bytes(), &[0, 0, 0, 9]].concat();
        let parse = |count, rest: &[u8]| {
            let body = [head(count), rest.to_vec()].concat();
            Feedback::parse(&body).map(|feedback| feedback.statuses().count())
        };
        assert_eq!(parse(0, &[]), Ok(0));
        assert_eq!(parse(2_049, &[0; 64]), Err(FeedbackError::TooMany(2_049)));
        assert_eq!(parse(2_048, &[0x07, 0xff, 0, 1]), Ok(2_048));
        assert_eq!(parse(3, &[0x1f, 0xff]), Ok(3), "a run that goes on behind the end");
        assert_eq!(parse(3, &[0x60, 0, 0x20, 3, 1, 2, 3]), Ok(3), "a run of none says nothing");
        assert_eq!(parse(2, &[0xd4, 3, 1, 2]), Ok(2), "what stands behind the end is not looked at");
        assert_eq!(parse(1, &[0; 64]), Err(Truncated.into()), "runs of nothing");
        assert_eq!(parse(4, &[0x20, 4, 1, 2, 3]), Err(Truncated.into()), "a delta is missing");
        assert_eq!(parse(4, &[0x60, 4, 1, 2, 3, 4]), Err(FeedbackError::Reserved));
        assert_eq!(parse(2, &[0xdc, 0, 1, 2, 3]), Err(FeedbackError::Reserved), "in a vector");
        for end in 0..8 {
            assert!(Feedback::parse(&head(0)[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        /// Whatever comes in whatever order, over several feedbacks each packet of the window is told with its own time.
        #[test]
        fn what_was_recorded_is_read(
            base in any::<u16>(),
            steps in prop::collection::vec((-3i64..12, 0u64..600), 1..400),
            every in 1usize..60,
        ) {
            let (mut recorder, start) = (Recorder::new(), test_start());
            let (mut truth, mut told) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
            let (mut sequence, mut clock) = (i64::from(base), 0);
            recorder.packet(base, start);
            truth.insert(base, 0);
            for (index, (step, wait)) in steps.into_iter().enumerate() {
                sequence += step;
                clock += wait;
                if sequence >= i64::from(base) {
                    recorder.packet(sequence as u16, start + ticks(clock));
                    truth.entry(sequence as u16).or_insert(clock as i64);
                }
                if index % every == 0 {
                    told.extend(report(&mut recorder).into_iter().filter_map(|(s, at)| Some((s, at?))));
                }
            }
            for _ in 0..4 {
                told.extend(report(&mut recorder).into_iter().filter_map(|(s, at)| Some((s, at?))));
            }
            prop_assert_eq!(told, truth);
            prop_assert!(recorder.arrivals.len() <= (MAX_HISTORY + MAX_STEP) as usize + MAX_UNREPORTED);
        }
    }
}

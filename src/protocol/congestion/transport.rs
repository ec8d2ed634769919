//! One peer's transport: its numbers, and what its feedback says.

use super::delay::{Delay, Signal};
use super::history::{History, News, Sent};
use super::throughput::Throughput;
use super::vigilance::Glances;
use crate::protocol::rtp::twcc::{Arrived, Feedback};
use crate::time::BitRate;
use std::time::{Duration, Instant};

/// Without feedback for so long, although enough was sent, nothing arrives any more, or no feedback comes back.
const SILENCE: Duration = Duration::from_secs(1);
/// A silence that goes on counts again after so long.
const SILENCE_GOES_ON: Duration = Duration::from_millis(500);
/// And one that nothing has come before: not everybody who has agreed to give feedback does.
const SILENCE_AT_FIRST: Duration = Duration::from_secs(6);
/// So much must have been sent.
const UNANSWERED: u32 = 20;
/// A packet that is sent pays for so many statuses of feedback: each is told of in the feedback that follows, and again
/// where an earlier one comes late. What goes beyond is not read, as a few bytes can speak of thousands of packets.
const STATUSES_PER_PACKET: u32 = 16;
/// So many may be saved up.
const MAX_STATUSES: u32 = 8_192;

/// Numbers the packets to one peer and reads its feedback.
#[derive(Debug)]
pub struct Transport {
    history: History,
    throughput: Throughput,
    delay: Delay,
    /// The number behind the last that a feedback was about.
    expected: Option<u16>,
    /// Packets sent since the last feedback that told something, and when the first of them was.
    unanswered: u32,
    unanswered_since: Option<Instant>,
    /// Whether a silence has been counted since the last feedback.
    is_silent: bool,
    /// Statuses of feedback that may be read.
    statuses: u32,
    glances: Glances,
    /// Whether numbers are left out. Before `complete_since` too little was numbered to tell how fast bytes arrive.
    is_glanced_at: bool,
    complete_since: Option<Instant>,
}

/// What a feedback says that was not known before.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Report {
    /// Packets that have arrived.
    pub arrived: u32,
    /// Packets that are missing, less those that came late after all.
    pub lost: i32,
    /// How fast bytes have arrived over the last half second, once that long is known; `None` while numbers are left out.
    pub throughput: Option<BitRate>,
    /// Whether a queue builds up.
    pub signal: Signal,
    /// How long the queue is at the least.
    pub queue: Option<Duration>,
    /// From sending the last packet that has arrived to this feedback.
    pub round_trip: Option<Duration>,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            history: History::default(),
            throughput: Throughput::default(),
            delay: Delay::default(),
            expected: None,
            unanswered: 0,
            unanswered_since: None,
            is_silent: false,
            statuses: MAX_STATUSES,
            glances: Glances::default(),
            is_glanced_at: false,
            complete_since: None,
        }
    }
}

impl Transport {
    /// Has sent nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a datagram of `bytes` that goes out now; gives its transport-wide sequence number.
    pub fn send(&mut self, now: Instant, bytes: usize) -> u16 {
        self.unanswered = self.unanswered.saturating_add(1);
        self.unanswered_since.get_or_insert(now);
        self.statuses = (self.statuses + STATUSES_PER_PACKET).min(MAX_STATUSES);
        self.glances.numbered(now);
        self.history.push(now, bytes)
    }

    /// Whether what goes out now is to be numbered: on a line that is calm hardly anything is. Who gives no feedback costs
    /// none, so there it makes no difference.
    pub fn numbers(&mut self, now: Instant, is_calm: bool) -> bool {
        let is_glanced_at = is_calm && self.is_answered();
        if std::mem::replace(&mut self.is_glanced_at, is_glanced_at) && !is_glanced_at {
            // What has arrived till now was not all that was sent, and what was not numbered is not missing.
            self.throughput = Throughput::default();
            self.complete_since = Some(now);
            self.expected = Some(self.history.next());
        }
        !is_glanced_at || self.glances.is_due(now)
    }

    /// Whether feedback on a glance has stayed away, which is a sign of trouble. Says so once.
    pub fn take_missed(&mut self, now: Instant) -> bool {
        self.is_glanced_at && self.glances.take_missed(now)
    }

    /// So many packets are asked for again; true if that is a sign of trouble.
    pub fn asked(&mut self, now: Instant, packets: u32) -> bool {
        self.glances.asked(now, packets)
    }

    /// Reads a feedback. `None` if it tells nothing new of any packet that is remembered, or there has been more of it
    /// than what was sent can explain.
    pub fn feedback(&mut self, now: Instant, feedback: &Feedback<'_>) -> Option<Report> {
        self.statuses = self.statuses.checked_sub(feedback.count().into())?;
        let mut report = Report::default();
        let mut is_news = false;
        // Packets whose feedback was lost have arrived like those around them.
        let mut unreported = self.unreported(feedback.base());
        self.delay.begin();
        for (number, arrived) in feedback.statuses() {
            let Some(news) = self.history.note(number, arrived.is_some()) else { continue };
            is_news = true;
            match (news, arrived) {
                (News::Arrived(sent), Some(at)) => {
                    report.arrived += 1;
                    report.round_trip = Some(now.saturating_duration_since(sent.at));
                    self.count(&sent, at, &mut unreported);
                    self.delay.add(sent.at, at);
                }
                (News::Late(sent), Some(at)) => {
                    report.arrived += 1;
                    report.lost -= 1;
                    self.count(&sent, at, &mut unreported);
                }
                (News::Missing, _) | (_, None) => report.lost += 1,
            }
        }
        if !is_news {
            return None;
        }
        (self.unanswered, self.unanswered_since, self.is_silent) = (0, None, false);
        // Feedback that was overtaken on its way is behind: what follows it has been counted.
        let end = feedback.end();
        if self.expected.is_none_or(|expected| end.wrapping_sub(expected) < 1 << 15) {
            self.expected = Some(end);
        }
        report.throughput = self.throughput.rate().filter(|_| !self.is_glanced_at);
        report.signal = self.delay.signal();
        report.queue = self.delay.queue();
        self.glances.answered(report.round_trip);
        Some(report)
    }

    /// Counts what has arrived, and with it what was `unreported`.
    fn count(&mut self, sent: &Sent, at: Arrived, unreported: &mut u32) {
        if self.complete_since.is_none_or(|since| sent.at >= since) {
            self.throughput.add(at, u32::from(sent.bytes) + std::mem::take(unreported));
        }
    }

    /// The bytes between the last feedback and one that begins with this number.
    fn unreported(&self, base: u16) -> u32 {
        let Some(expected) = self.expected else { return 0 };
        let skipped = base.wrapping_sub(expected);
        if skipped < 1 << 15 { self.history.bytes(expected, skipped) } else { 0 }
    }

    /// Whether any feedback has ever told something.
    pub const fn is_answered(&self) -> bool {
        self.expected.is_some()
    }

    /// Whether much was sent and nothing has come back for a second. Counts what was sent but once: who then sends no more
    /// is not told again.
    pub fn take_silence(&mut self, now: Instant) -> bool {
        let patience = match self.is_silent {
            true => SILENCE_GOES_ON,
            false if self.is_answered() => SILENCE,
            false => SILENCE_AT_FIRST,
        };
        let is_over = |since: Instant| now.saturating_duration_since(since) > patience;
        let is_silence = self.unanswered >= UNANSWERED && self.unanswered_since.is_some_and(is_over);
        if is_silence {
            (self.unanswered, self.unanswered_since, self.is_silent) = (0, None, true);
        }
        is_silence
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.history.len()
    }
}

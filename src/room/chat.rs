//! What was said to everybody, and how lines that a client sends to each one separately become one.

use super::event::{Message, MessageId};
use super::member::MemberId;
use super::name::Name;
use crate::time::NtpTime;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Copies of one line come within this time.
const COPIES_WITHIN: Duration = Duration::from_secs(2);
/// What the history of a room holds, in bytes of text.
const MAX_BYTES: usize = 256 << 10;

/// The lines of a room that everybody may read, the latest of them.
#[derive(Debug)]
pub(super) struct History {
    lines: VecDeque<Message>,
    bytes: usize,
    most: usize,
    last: u64,
}

/// The last line of a member who writes to each one separately.
#[derive(Debug)]
pub(super) struct Copies {
    line: Message,
    began: Instant,
    reached: BTreeSet<MemberId>,
    /// Whether the line is in the history already.
    public: bool,
}

impl History {
    pub(super) const fn new(most: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, most, last: 0 }
    }

    /// A line with the next number. It is not in the history yet.
    pub(super) fn line(&mut self, from: Name, to: Option<Name>, text: Arc<str>, time: NtpTime) -> Message {
        self.last += 1;
        Message { id: MessageId(self.last), from, to, text, time }
    }

    /// Keeps a line in its place by number; the oldest give way.
    pub(super) fn keep(&mut self, line: Message) {
        self.bytes += line.text.len();
        let at = self.lines.partition_point(|other| other.id < line.id);
        self.lines.insert(at, line);
        while self.lines.len() > self.most || self.bytes > MAX_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    /// All that is kept, oldest first.
    pub(super) fn lines(&self) -> Vec<Message> {
        self.lines.iter().cloned().collect()
    }
}

impl Copies {
    pub(super) fn new(line: Message, now: Instant) -> Self {
        Self { line, began: now, reached: BTreeSet::new(), public: false }
    }

    /// The line, if `text` to this member is one more copy of it.
    pub(super) fn continued_by(&self, text: &str, to: MemberId, now: Instant) -> Option<Message> {
        let is_copy = *self.line.text == *text
            && now.saturating_duration_since(self.began) <= COPIES_WITHIN
            && !self.reached.contains(&to);
        is_copy.then(|| self.line.clone())
    }

    /// A copy went to this member. Gives the line when it has reached all of `others` for the first time.
    pub(super) fn reached(
        &mut self,
        to: MemberId,
        mut others: impl Iterator<Item = MemberId>,
    ) -> Option<Message> {
        self.reached.insert(to);
        if self.public || !others.all(|member| self.reached.contains(&member)) {
            return None;
        }
        self.public = true;
        Some(self.line.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(history: &History) -> Vec<u64> {
        history.lines().iter().map(|line| line.id.0).collect()
    }

    #[test]
    fn the_oldest_lines_give_way() {
        let mut history = History::new(3);
        let mut line = |text: &str| history.line("a".parse().unwrap(), None, text.into(), NtpTime::default());
        let lines = [line("1"), line("2"), line("3"), line("4")];
        for at in [0, 2, 1, 3] {
            history.keep(lines[at].clone());
        }
        assert_eq!(kept(&history), [2, 3, 4]);
        let long = history.line("a".parse().unwrap(), None, "x".repeat(MAX_BYTES).into(), NtpTime::default());
        history.keep(long);
        assert_eq!(kept(&history), [5]);
    }

    #[test]
    fn copies_to_everybody_are_one_line() {
        let (now, mut history) = (Instant::now(), History::new(3));
        let line = history.line("a".parse().unwrap(), None, "hi".into(), NtpTime::default());
        let mut copies = Copies::new(line, now);
        let others = [MemberId(1), MemberId(2)];
        assert!(copies.reached(MemberId(1), others.into_iter()).is_none());
        assert!(copies.continued_by("hi", MemberId(1), now).is_none(), "said twice to the same one");
        assert!(copies.continued_by("ho", MemberId(2), now).is_none());
        assert!(copies.continued_by("hi", MemberId(2), now + Duration::from_secs(3)).is_none());
        assert!(copies.continued_by("hi", MemberId(2), now).is_some());
        assert!(copies.reached(MemberId(2), others.into_iter()).is_some());
        assert!(copies.reached(MemberId(3), others.into_iter()).is_none(), "once");
    }
}

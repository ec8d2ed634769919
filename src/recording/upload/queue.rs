//! Which sessions wait for their upload, and for how long.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The pause after the first failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// The sessions that wait: at most those that are on the disk.
#[derive(Debug, Default)]
pub(in crate::recording) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By the name of the session, which begins with its date, so that the oldest comes first.
    sessions: BTreeMap<(String, String), Wait>,
    /// The store cannot be used until then, whatever is sent.
    paused: Option<Instant>,
    /// Times in a row that it could not.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    due: Instant,
    failures: u32,
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// This session of this room is to be uploaded.
    Due((String, String)),
    /// Nothing before that time; `None`: before something is added.
    At(Option<Instant>),
}

impl Queue {
    /// A session is complete.
    pub(in crate::recording) fn add(&self, room: &str, session: &str) {
        let key = (session.to_owned(), room.to_owned());
        self.lock().sessions.entry(key).or_insert_with(|| Wait { due: Instant::now(), failures: 0 });
        self.changed.notify_one();
    }

    /// Waits until something was added. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is to be done next.
    pub(super) fn next(&self) -> Next {
        let (now, waiting) = (Instant::now(), self.lock());
        if let Some(paused) = waiting.paused.filter(|paused| *paused > now) {
            return Next::At(Some(paused));
        }
        let due = waiting.sessions.iter().find(|(_, wait)| wait.due <= now);
        match due {
            Some(((session, room), _)) => Next::Due((room.clone(), session.clone())),
            None => Next::At(waiting.sessions.values().map(|wait| wait.due).min()),
        }
    }

    /// Not now.
    pub(super) fn later(&self, room: &str, session: &str, pause: Duration) {
        if let Some(wait) = self.lock().sessions.get_mut(&(session.to_owned(), room.to_owned())) {
            wait.due = Instant::now() + pause;
        }
    }

    /// It is in the store, or nowhere.
    pub(super) fn done(&self, room: &str, session: &str) {
        let mut waiting = self.lock();
        waiting.sessions.remove(&(session.to_owned(), room.to_owned()));
        (waiting.paused, waiting.failures) = (None, 0);
    }

    /// It could not be uploaded; `general`: nor could any other. Gives the time until the next attempt.
    pub(super) fn failed(&self, room: &str, session: &str, general: bool) -> Duration {
        let mut waiting = self.lock();
        if general {
            waiting.failures = waiting.failures.saturating_add(1);
            let pause = pause(waiting.failures);
            waiting.paused = Some(Instant::now() + pause);
            return pause;
        }
        let Some(wait) = waiting.sessions.get_mut(&(session.to_owned(), room.to_owned())) else {
            return Duration::ZERO;
        };
        wait.failures = wait.failures.saturating_add(1);
        let pause = pause(wait.failures);
        wait.due = Instant::now() + pause;
        pause
    }

    /// Sessions that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(queue: &Queue) -> Option<String> {
        match queue.next() {
            Next::Due((_, session)) => Some(session),
            Next::At(_) => None,
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let seconds = [1, 2, 3, 9, 10, 33, u32::MAX].map(|failures| pause(failures).as_secs());
        assert_eq!(seconds, [2, 4, 8, 512, 900, 900, 900]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_comes_first_and_one_that_fails_holds_up_no_other() {
        let queue = Queue::default();
        queue.add("b", "2");
        queue.add("a", "3");
        queue.add("c", "1");
        queue.add("c", "1");
        assert_eq!((queue.len(), due(&queue).as_deref()), (3, Some("1")));
        assert_eq!(queue.failed("c", "1", false), Duration::from_secs(2));
        assert_eq!(due(&queue).as_deref(), Some("2"));
        queue.done("b", "2");
        queue.done("a", "3");
        assert_eq!(queue.next(), Next::At(Some(Instant::now() + Duration::from_secs(2))));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(due(&queue).as_deref(), Some("1"));
        assert_eq!(queue.failed("c", "1", false), Duration::from_secs(4));
        queue.done("c", "1");
        assert_eq!(queue.next(), Next::At(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_asked_ever_more_rarely() {
        let queue = Queue::default();
        queue.add("a", "1");
        queue.add("a", "2");
        assert_eq!(queue.failed("a", "1", true), Duration::from_secs(2));
        assert_eq!(due(&queue), None, "nor is another one tried");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(due(&queue).as_deref(), Some("1"));
        assert_eq!(queue.failed("a", "1", true), Duration::from_secs(4));
        tokio::time::advance(Duration::from_secs(4)).await;
        queue.done("a", "1");
        assert_eq!(due(&queue).as_deref(), Some("2"));
        assert_eq!(queue.failed("a", "2", true), Duration::from_secs(2), "it was there meanwhile");
    }
}

//! Webhooks: events are posted, as JSON, to the address that the operator names.
//!
//! One after the other, so that they come in order; each is tried for about an hour and then given up: a receiver that is set
//! up anew answers strangely, or not at all, for a while. Nobody waits for this: what finds the queue full is counted and lost.

mod post;
mod sign;
#[cfg(test)]
mod tests;

use crate::config;
use crate::recording::{Notice, Notices};
use crate::time::NtpTime;
use post::{Poster, Problem};
use serde::Serialize;
use std::io;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The pause after the first failure; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(4);
/// So long after it was first posted an event is given up.
const GIVEN_UP: Duration = Duration::from_hours(1);
/// The same for one that its receiver does not understand, so that it does not hold up all others.
const REFUSED: Duration = Duration::from_mins(2);
/// What is left when the server goes down may take this long.
const FAREWELL: Duration = Duration::from_secs(2);

/// Posts events.
pub struct Hooks {
    poster: Poster,
    notices: mpsc::Receiver<Notice>,
}

/// Events cannot be posted.
#[derive(Debug, Error)]
#[error("events cannot be posted over HTTPS (hooks.url): {0}")]
pub struct HooksError(#[source] io::Error);

/// The body of a request.
#[derive(Serialize)]
struct Body<'a> {
    /// The same at each attempt.
    id: String,
    /// The name of the event.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it happened, in seconds since 1970.
    time: f64,
    #[serde(flatten)]
    notice: &'a Notice,
}

impl Hooks {
    /// What is told there is posted. `None`: nothing is to be.
    pub fn new(config: config::Hooks) -> Result<Option<(Self, Notices)>, HooksError> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let poster = Poster::new(config).map_err(HooksError)?;
        let (teller, notices) = Notices::channel();
        Ok(Some((Self { poster, notices }, teller)))
    }

    /// Posts until nothing more can come, or `stop` is cancelled: then only what waits already, once each.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut interrupted = None;
        while interrupted.is_none() {
            let notice = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                notice = self.notices.recv() => notice,
            };
            let Some(notice) = notice else { break };
            self.show_waiting(1);
            let event = Event::of(&notice);
            tokio::select! {
                biased;
                () = self.deliver(&event) => self.show_waiting(0),
                () = stop.cancelled() => interrupted = Some(event),
            }
        }
        self.notices.close();
        let rest = async {
            if let Some(event) = interrupted {
                self.last(&event).await;
            }
            while let Some(notice) = self.notices.recv().await {
                self.last(&Event::of(&notice)).await;
            }
        };
        if timeout(FAREWELL, rest).await.is_err() {
            tracing::warn!("events were not posted in time");
        }
    }

    /// Shows operators how many wait, besides these.
    fn show_waiting(&self, besides: usize) {
        metrics::gauge!("commonroom_hooks_waiting").set((self.notices.len() + besides) as f64);
    }

    /// Posts an event until it has arrived, or has had its chances.
    async fn deliver(&self, event: &Event) {
        let (mut pause, began) = (FIRST_PAUSE, Instant::now());
        loop {
            let problem = match self.poster.post(event, unix_now()).await {
                Ok(()) => return count("delivered"),
                Err(problem) => problem,
            };
            if problem.patience().is_none_or(|patience| began.elapsed() + pause > patience) {
                return given_up(event, &problem);
            }
            count("retried");
            self.show_waiting(1);
            tracing::debug!(event = event.kind, %problem, ?pause, "the event is posted again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Posts an event once.
    async fn last(&self, event: &Event) {
        match self.poster.post(event, unix_now()).await {
            Ok(()) => count("delivered"),
            Err(problem) => given_up(event, &problem),
        }
    }
}

/// An event as it is posted.
struct Event {
    id: String,
    kind: &'static str,
    body: bytes::Bytes,
}

impl Event {
    fn of(notice: &Notice) -> Self {
        let (id, kind) = (Uuid::new_v4().to_string(), notice.kind.as_str());
        let time = notice.time.unix_millis() as f64 / 1_000.0; // exact for 285,000 years
        let body = serde_json::to_vec(&Body { id: id.clone(), kind, time, notice });
        Self { id, kind, body: body.expect("a notice is text and numbers").into() }
    }
}

fn given_up(event: &Event, problem: &Problem) {
    count("failed");
    tracing::warn!(event = event.kind, id = event.id, %problem, "the event is given up");
}

fn count(outcome: &'static str) {
    metrics::counter!("commonroom_hooks_events_total", "outcome" => outcome).increment(1);
}

/// Now, in seconds since 1970, as signatures count.
fn unix_now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "who receives a signature compares it with his own clock")]
    let now = SystemTime::now();
    NtpTime::from(now).unix_millis() / 1_000
}

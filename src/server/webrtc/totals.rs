//! What all sessions together have carried, for the metrics: each session adds its own growth once a second.

use super::session::SessionKind;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The metrics of one kind of session. Looked up once a session.
pub(super) struct Totals {
    kind: &'static str,
    /// Whether the session is among those present.
    entered: AtomicBool,
    present: Gauge,
    begun: Counter,
    connect: Histogram,
    grown: [Counter; 6],
}

/// What a session has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) lost: u64,
    pub(super) retransmitted: u64,
    pub(super) nacks: u64,
    pub(super) keyframe_requests: u64,
}

impl Totals {
    pub(super) fn new(kind: SessionKind) -> Self {
        let kind = kind.as_str();
        Self {
            kind,
            entered: AtomicBool::new(false),
            present: gauge!("commonroom_webrtc_sessions", "kind" => kind),
            begun: counter!("commonroom_webrtc_sessions_started_total", "kind" => kind),
            connect: histogram!("commonroom_webrtc_connect_seconds", "kind" => kind),
            grown: [
                counter!("commonroom_webrtc_media_bytes_total", "kind" => kind),
                counter!("commonroom_webrtc_media_packets_total", "kind" => kind),
                counter!("commonroom_webrtc_lost_packets_total", "kind" => kind),
                counter!("commonroom_webrtc_retransmitted_packets_total", "kind" => kind),
                counter!("commonroom_webrtc_nacks_total", "kind" => kind),
                counter!("commonroom_webrtc_keyframe_requests_total", "kind" => kind),
            ],
        }
    }

    /// A session has been answered.
    pub(super) fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
        self.present.increment(1.0);
        self.begun.increment(1);
    }

    /// It has ended; counts once, and only who has entered.
    pub(super) fn leave(&self, reason: &'static str) {
        if !self.entered.swap(false, Ordering::Relaxed) {
            return;
        }
        self.present.decrement(1.0);
        counter!("commonroom_webrtc_sessions_ended_total", "kind" => self.kind, "reason" => reason)
            .increment(1);
    }

    /// Its media keys are there.
    pub(super) fn connected(&self, time: Duration) {
        self.connect.record(time);
    }

    /// Adds what a session has counted beyond what it had when it was `added` last.
    pub(super) fn add(&self, added: &mut Counts, counts: Counts) {
        for (counter, growth) in self.grown.iter().zip(added.advance(counts)) {
            counter.increment(growth);
        }
    }
}

impl Counts {
    /// The growth since the last call. What a peer reports may fall again, when what was missing came late; a counter does
    /// not, so only what goes beyond the highest so far is growth.
    fn advance(&mut self, now: Self) -> [u64; 6] {
        [
            (&mut self.bytes, now.bytes),
            (&mut self.packets, now.packets),
            (&mut self.lost, now.lost),
            (&mut self.retransmitted, now.retransmitted),
            (&mut self.nacks, now.nacks),
            (&mut self.keyframe_requests, now.keyframe_requests),
        ]
        .map(|(highest, now)| {
            let growth = now.saturating_sub(*highest);
            *highest += growth;
            growth
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_is_added_and_in_the_order_of_the_counters() {
        let mut added = Counts::default();
        let first =
            Counts { bytes: 1, packets: 2, lost: 3, retransmitted: 4, nacks: 5, keyframe_requests: 6 };
        assert_eq!(added.advance(first), [1, 2, 3, 4, 5, 6]);
        assert_eq!(added.advance(Counts { bytes: 11, lost: 1, ..first }), [10, 0, 0, 0, 0, 0]);
        assert_eq!(
            added.advance(Counts { bytes: 11, lost: 4, ..first }),
            [0, 0, 1, 0, 0, 0],
            "3 were there before"
        );
    }
}

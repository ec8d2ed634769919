//! Whether a publisher is still there, by what is heard of it.
//!
//! Its viewers are to know within 5 s that it has vanished, but silence alone does not tell: where nothing is sent, be it
//! that media has not begun or is paused, some clients are heard only by their consent checks, 4 to 6 s apart (RFC 7675,
//! section 5.1: aioice, Firefox), Chromium every 2.5 s. So a silent one is asked. Who has answered before, and whose media
//! stopped together with everything else, has vanished after a short silence; others have time for several checks.

use crate::protocol::ice::{CONSENT, Probe};
use std::time::{Duration, Instant};

/// A publisher whose media flowed, or who has answered before, has vanished after such a silence.
const SILENCE: Duration = Duration::from_millis(4_500);
/// Media flows if the last packet is not older than this, compared with the last sign of life.
const FLOWING: Duration = Duration::from_secs(1);
/// A publisher is asked after such a silence: behind the checks of Chromium, so that it is not asked in vain.
const ASK_AFTER: Duration = Duration::from_secs(3);
/// And again, as one request may be lost.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// What is known of one publisher. When it was last `heard`, by whatever sign, its owner knows.
pub(super) struct Presence {
    probe: Probe,
    /// The last packet of media.
    media: Option<Instant>,
    asked: Option<Instant>,
    answers: bool,
}

impl Presence {
    pub(super) const fn new(probe: Probe) -> Self {
        Self { probe, media: None, asked: None, answers: false }
    }

    /// Notes a packet of media.
    pub(super) const fn note_media(&mut self, now: Instant) {
        self.media = Some(now);
    }

    /// Whether a STUN message is the answer to a request, and so a sign of life.
    pub(super) fn is_answered_by(&mut self, datagram: &[u8]) -> bool {
        let answered = self.probe.is_answered_by(datagram);
        self.answers |= answered;
        answered
    }

    /// A request, if one is due.
    pub(super) fn ask(&mut self, now: Instant, heard: Instant) -> Option<Vec<u8>> {
        if now < self.asks_at(heard) {
            return None;
        }
        self.asked = Some(now);
        Some(self.probe.request())
    }

    /// When [`ask`](Self::ask) is to be called, if nothing is heard until then.
    pub(super) fn asks_at(&self, heard: Instant) -> Instant {
        let due = heard + ASK_AFTER;
        self.asked.map_or(due, |asked| due.max(asked + ASK_INTERVAL))
    }

    /// When the publisher has vanished, if nothing is heard until then.
    pub(super) fn expires(&self, heard: Instant) -> Instant {
        let flowed = self.media.is_some_and(|media| heard.saturating_duration_since(media) < FLOWING);
        heard + if flowed || self.answers { SILENCE } else { CONSENT }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wall::Wall;
    use super::*;
    use crate::protocol::ice::probe::answer;

    const PASSWORD: &str = "theirsecrettheirsecret22";

    /// With the instant that all times count from.
    fn presence() -> (Presence, Instant) {
        let crypto = rtc_crypto::default_provider().unwrap();
        (Presence::new(Probe::new("theirs", PASSWORD, "ours", crypto)), Wall::read().instant())
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn media_that_stops_with_everything_else_is_missed_soon() {
        let (mut presence, start) = presence();
        presence.note_media(start);
        assert_eq!(presence.expires(start), start + ms(4_500));
        // Reports and checks that came with the last media change nothing.
        assert_eq!(presence.expires(start + ms(999)), start + ms(5_499));
    }

    #[test]
    fn who_sends_no_media_has_time_for_several_checks() {
        let (mut presence, start) = presence();
        assert_eq!(presence.expires(start), start + CONSENT, "media has not begun");
        presence.note_media(start);
        let check = start + ms(1_000);
        assert_eq!(presence.expires(check), check + CONSENT, "media has stopped, checks go on");
        assert!(CONSENT > ms(2 * 6_000), "one of those that come every 4 to 6 s may be lost");
    }

    #[test]
    fn the_silent_are_asked_and_who_has_answered_is_missed_soon() {
        let (mut presence, start) = presence();
        assert_eq!(presence.ask(start + ms(2_999), start), None, "Chromium's own checks come before");
        let request = presence.ask(start + ms(3_000), start).unwrap();
        assert_eq!(presence.asks_at(start), start + ms(3_500));
        assert_eq!(presence.ask(start + ms(3_499), start), None);
        assert_eq!(presence.ask(start + ms(3_500), start), Some(request.clone()), "once more");
        assert!(!presence.is_answered_by(&request));
        assert_eq!(presence.expires(start), start + CONSENT, "it may not know how to answer");
        let transaction = request[8..20].try_into().unwrap();
        assert!(presence.is_answered_by(&answer(transaction, PASSWORD)));
        let heard = start + ms(3_510);
        assert_eq!(presence.expires(heard), heard + ms(4_500));
        assert_eq!(presence.asks_at(heard), heard + ms(3_000));
    }
}

//! The way to one client, which all its sessions share: one estimate of what it carries, and who gets how much of it.
//!
//! A browser that watches several streams has a session for each, and they may be on different shards. Each reads the
//! feedback on its own packets; what it says goes into the one [`Controller`] here, behind a lock that is taken a few
//! times a second.

use super::picture::{Adaptation, Choice, Claim, Rungs, share_out};
use crate::protocol::congestion::{Controller, Report, Vigilance};
use crate::time::BitRate;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What a session reported last counts for so long.
const FRESH: Duration = Duration::from_secs(1);
/// A session that probes and does not ask for so long has stopped.
const PROBER_KEPT: Duration = Duration::from_millis(200);
/// Receiver reports of one session that come sooner than this after one another say too little.
const MIN_REPORTED: Duration = Duration::from_millis(500);
/// A session that is silent while others of the line are heard gets no picture for so long.
const SILENT_FOR: Duration = Duration::from_secs(3);
/// Nobody is probed for more.
const MAX_AIM: BitRate = BitRate::from_kbps(20_000);

/// The lines that have a name.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<Arc<str>, Weak<Line>>>);

/// The way to one client.
#[derive(Default)]
pub(super) struct Line {
    state: Mutex<State>,
    /// Bytes sent by all sessions, with what the network adds.
    sent: AtomicU64,
    /// Whether numbers are left out; read with each burst, so it stands beside the lock.
    is_calm: AtomicBool,
}

/// A session's share of a line; given back when it is dropped.
pub(super) struct Share {
    line: Arc<Line>,
    id: u64,
}

#[derive(Default)]
struct State {
    controller: Controller,
    vigilance: Vigilance,
    members: Vec<Member>,
    next: u64,
    /// Who sends the padding of the probe that runs, and when it has asked last.
    prober: Option<(u64, Instant)>,
}

#[derive(Default)]
struct Member {
    id: u64,
    claim: Claim,
    throughput: Option<(Instant, BitRate)>,
    /// For receivers that only report losses: bytes sent over the line when the last report came.
    reported: Option<(Instant, u64)>,
    silent_until: Option<Instant>,
}

impl Lines {
    /// A share of the line of that name, or of one of its own.
    pub(super) fn join(&self, name: Option<&Arc<str>>) -> Share {
        let Some(name) = name else { return Share::new(Arc::default()) };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| line.strong_count() > 0);
        let existing = lines.get(name).and_then(Weak::upgrade);
        let line = existing.unwrap_or_else(|| {
            let line = Arc::default();
            lines.insert(name.clone(), Arc::downgrade(&line));
            line
        });
        Share::new(line)
    }
}

impl Share {
    fn new(line: Arc<Line>) -> Self {
        let id = {
            let mut state = line.lock();
            state.next += 1;
            let id = state.next;
            state.members.push(Member { id, ..Member::default() });
            id
        };
        Self { line, id }
    }

    /// What is estimated for the whole line; `None` while nothing has shown a bound.
    pub(super) fn estimate(&self) -> Option<BitRate> {
        self.line.lock().controller.estimate()
    }

    /// So many bytes are sent.
    pub(super) fn note_sent(&self, bytes: u64) {
        self.line.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What the stream has, at which rates.
    pub(super) fn set_rungs(&self, sound: BitRate, rungs: &Rungs) {
        self.with_claim(|claim| {
            claim.wants.sound = sound;
            claim.wants.rungs.clone_from(rungs);
        });
    }

    /// How the stream is shown.
    pub(super) fn adapt(&self, adaptation: Adaptation) {
        self.with_claim(|claim| claim.wants.adaptation = adaptation);
    }

    /// Whether it is enough to glance at the line.
    pub(super) fn is_calm(&self) -> bool {
        self.line.is_calm.load(Ordering::Relaxed)
    }

    /// This session begins, what it is sent changes, or it shows a sign of trouble: all sessions of the line number all.
    pub(super) fn alarm(&self, now: Instant) {
        let mut state = self.line.lock();
        state.vigilance.alarm(now);
        self.line.look(now, &state);
    }

    /// Looks whether the line has become calm. To be asked about once a second.
    pub(super) fn watch(&self, now: Instant) {
        self.line.look(now, &self.line.lock());
    }

    /// Takes what a feedback says of this session's packets.
    pub(super) fn report(&self, now: Instant, report: &Report) {
        let mut state = self.line.lock();
        let state = &mut *state;
        if let Some(member) = state.member(self.id) {
            member.silent_until = None;
            member.throughput = report.throughput.map(|rate| (now, rate)).or(member.throughput);
        }
        // As long as not all are heard again, it would be less than what arrives.
        let is_whole = state.members.len() == 1 || state.vigilance.is_settled(now);
        if is_whole || state.controller.estimate().is_some() {
            let throughput = state.members.iter().filter_map(|member| member.fresh(now)).sum();
            state.controller.report(now, report, throughput);
        }
        state.vigilance.report(now, report);
        self.line.look(now, state);
    }

    /// Takes the share of packets lost, 0 to 1, of a receiver report. Where the receiver tells `no_more`, the line is judged
    /// by it.
    pub(super) fn receiver_report(&self, now: Instant, fraction_lost: f64, no_more: bool) {
        let sent = self.line.sent.load(Ordering::Relaxed);
        let mut state = self.line.lock();
        state.vigilance.receiver_report(now, fraction_lost);
        self.line.look(now, &state);
        if !no_more {
            return;
        }
        let Some(member) = state.member(self.id) else { return };
        let Some((since, before)) = member.reported else {
            member.reported = Some((now, sent));
            return;
        };
        let span = now.saturating_duration_since(since);
        if span >= MIN_REPORTED {
            member.reported = Some((now, sent));
            let rate = BitRate::of(sent.saturating_sub(before), span);
            state.controller.receiver_report(now, fraction_lost, rate);
        }
    }

    /// Nothing has come back for a while, although enough was sent. Where other sessions are heard that is not the line's
    /// doing.
    pub(super) fn silent(&self, now: Instant) {
        let mut state = self.line.lock();
        if !state.members.iter().any(|member| member.id != self.id && member.fresh(now).is_some()) {
            state.controller.silent(now);
        } else if let Some(member) = state.member(self.id) {
            member.silent_until = Some(now + SILENT_FOR);
        }
    }

    /// What this session is to send.
    pub(super) fn choose(&self, now: Instant) -> Choice {
        let mut state = self.line.lock();
        let state = &mut *state;
        for member in &mut state.members {
            member.claim.is_silent = member.silent_until.is_some_and(|until| now < until);
        }
        let estimate = state.controller.estimate();
        let aim = share_out(state.members.iter_mut().map(|member| &mut member.claim), estimate);
        state.controller.set_aim(aim.map(|aim| aim.min(MAX_AIM)));
        let own = state.members.iter().find(|member| member.id == self.id);
        own.and_then(|member| member.claim.choice).unwrap_or_default()
    }

    /// At which rate this session is to fill the line now, and how many bytes the line was sent so far. To be asked with
    /// each feedback and, while it gives a rate, every few milliseconds.
    pub(super) fn probe(&self, now: Instant) -> Option<(BitRate, u64)> {
        let mut state = self.line.lock();
        let is_current = |at: Instant| now.saturating_duration_since(at) < PROBER_KEPT;
        if state.prober.is_some_and(|(id, at)| id != self.id && is_current(at)) {
            return None;
        }
        let rate = state.controller.probe(now);
        state.prober = rate.map(|_| (self.id, now));
        rate.map(|rate| (rate, self.line.sent.load(Ordering::Relaxed)))
    }

    fn with_claim(&self, act: impl FnOnce(&mut Claim)) {
        let mut state = self.line.lock();
        if let Some(member) = state.member(self.id) {
            act(&mut member.claim);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.line.lock().members.retain(|member| member.id != self.id);
    }
}

impl State {
    fn member(&mut self, id: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }
}

impl Member {
    /// What has arrived at it of late.
    fn fresh(&self, now: Instant) -> Option<BitRate> {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        self.throughput.filter(|(at, _)| is_fresh(*at)).map(|(_, rate)| rate)
    }
}

impl Line {
    /// Looks whether the line is calm.
    fn look(&self, now: Instant, state: &State) {
        let is_calm = state.vigilance.is_calm(now, state.controller.estimate().is_some());
        self.is_calm.store(is_calm, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Limit, Rung};
    use super::super::wall::Wall;
    use super::*;
    use crate::protocol::congestion::Signal;
    use crate::stream::Layer;

    fn rungs() -> Rungs {
        let rungs = [(720, 1_700), (180, 150)].into_iter().enumerate();
        let rung = |(steps, (height, rate))| Rung {
            layer: Layer::below_best(steps).unwrap(),
            height: Some(height),
            rate: BitRate::from_kbps(rate),
        };
        rungs.map(rung).collect()
    }

    fn over(kbps: u64) -> Report {
        Report {
            arrived: 20,
            throughput: Some(BitRate::from_kbps(kbps)),
            signal: Signal::Over,
            queue: Some(Duration::from_millis(80)),
            ..Report::default()
        }
    }

    #[test]
    fn sessions_of_one_client_share_and_others_do_not() {
        let (lines, name) = (Lines::default(), Arc::from("tab"));
        let [one, other] = [lines.join(Some(&name)), lines.join(Some(&name))];
        let stranger = lines.join(None);
        for share in [&one, &other, &stranger] {
            share.set_rungs(BitRate::from_kbps(45), &rungs());
        }
        let now = Wall::read().instant();
        one.report(now, &Report { signal: Signal::Normal, ..over(150) });
        other.report(now, &over(150));
        assert_eq!(one.estimate(), Some(BitRate::from_kbps(255)), "what arrives at both, less some");
        // There is room for the sound of both and for one picture.
        let layers = [&one, &other, &stranger].map(|share| share.choose(now).layer.map(Layer::steps));
        assert_eq!(layers, [Some(1), None, Some(0)]);
        other.adapt(Adaptation { max_height: Some(720), paused: false });
        one.adapt(Adaptation { max_height: Some(90), paused: false });
        drop(stranger);
        assert_eq!([&other, &one].map(|share| share.choose(now).layer.map(Layer::steps)), [Some(1), None]);
        drop(one);
        assert_eq!(lines.join(Some(&name)).estimate(), other.estimate());
        drop(other);
        assert_eq!(lines.join(Some(&name)).estimate(), None, "a line that nobody uses is forgotten");
    }

    #[test]
    fn who_is_silent_does_not_starve_the_others() {
        let (lines, name) = (Lines::default(), Arc::from("tab"));
        let [dead, live] = [lines.join(Some(&name)), lines.join(Some(&name))];
        let start = Wall::read().instant();
        for share in [&dead, &live] {
            share.set_rungs(BitRate::from_kbps(45), &rungs());
            share.report(start, &over(1_000));
        }
        let estimate = live.estimate();
        let calm = Report { signal: Signal::Normal, queue: None, ..over(600) };
        let steps = |share: &Share, now| share.choose(now).layer.map(Layer::steps);
        for second in 1..10 {
            let now = start + Duration::from_secs(second);
            live.report(now, &calm);
            dead.silent(now);
            assert!(live.estimate() >= estimate);
            assert_eq!((steps(&dead, now), steps(&live, now)), (None, Some(1)));
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(dead.choose(now).limit, Limit::Bandwidth);
        assert_eq!(steps(&dead, now + SILENT_FOR), Some(1), "it is tried again");
        dead.silent(now);
        dead.report(now, &calm);
        assert_eq!(steps(&dead, now), Some(1), "it is heard again");
        // Where nobody is heard it is the line.
        let now = now + Duration::from_secs(5);
        dead.silent(now);
        assert!(live.estimate() < estimate);
    }

    #[test]
    fn losses_are_of_the_time_since_the_same_sessions_last_report() {
        let (lines, name) = (Lines::default(), Arc::from("tab"));
        let [one, other] = [lines.join(Some(&name)), lines.join(Some(&name))];
        let start = Wall::read().instant();
        let at = |ms| start + Duration::from_millis(ms);
        one.receiver_report(at(0), 0.0, true);
        other.receiver_report(at(990), 0.0, true);
        one.note_sent(125_000);
        // A second report of the same datagram, or of another session shortly before, does not make a rate of a moment.
        one.receiver_report(at(1_000), 0.5, true);
        assert_eq!(one.estimate(), Some(BitRate::from_kbps(500).percent(85)));
        other.receiver_report(at(1_010), 0.5, true);
        one.receiver_report(at(1_300), 0.5, true);
        assert_eq!(one.estimate(), Some(BitRate::from_kbps(500).percent(85)));
    }

    #[test]
    fn a_sign_at_one_session_makes_all_number_and_no_bound_before_all_are_heard() {
        let (lines, name) = (Lines::default(), Arc::from("tab"));
        let [one, other] = [lines.join(Some(&name)), lines.join(Some(&name))];
        let start = Wall::read().instant();
        let at = |ms| start + Duration::from_millis(ms);
        let is_calm = || [&one, &other].map(Share::is_calm);
        one.alarm(start);
        one.watch(at(9_999));
        assert_eq!(is_calm(), [false; 2]);
        one.watch(at(10_000));
        assert_eq!(is_calm(), [true; 2]);
        // What a glance says is a sign and no more: nobody knows what arrives.
        other.report(at(20_000), &Report { throughput: None, ..over(0) });
        assert_eq!((is_calm(), one.estimate()), ([false; 2], None));
        one.report(at(20_300), &over(150));
        assert_eq!(one.estimate(), None, "the other has not been heard again");
        other.report(at(20_400), &over(150));
        assert_eq!(one.estimate(), Some(BitRate::from_kbps(255)));
        one.watch(at(60_000));
        assert_eq!(is_calm(), [false; 2], "a line with a bound is measured");
        let lossy = lines.join(None);
        lossy.alarm(start);
        lossy.watch(at(10_000));
        lossy.receiver_report(at(10_500), 0.01, false);
        assert!(lossy.is_calm());
        lossy.receiver_report(at(11_500), 0.2, false);
        assert!(!lossy.is_calm() && lossy.estimate().is_none());
    }

    #[test]
    fn one_session_at_a_time_probes() {
        let (lines, name) = (Lines::default(), Arc::from("tab"));
        let [one, other] = [lines.join(Some(&name)), lines.join(Some(&name))];
        let start = Wall::read().instant();
        for share in [&one, &other] {
            share.set_rungs(BitRate::from_kbps(45), &rungs());
            share.report(start, &over(150));
            share.choose(start);
        }
        let calm = start + Duration::from_secs(10);
        one.report(calm, &Report { signal: Signal::Normal, queue: Some(Duration::ZERO), ..over(150) });
        other.note_sent(1_000);
        assert!(one.probe(start + Duration::from_millis(5)).is_none(), "too soon");
        assert!(matches!(one.probe(calm), Some((_, 1_000))));
        assert!(other.probe(calm).is_none());
        assert!(other.probe(calm + PROBER_KEPT).is_some(), "the other has gone away");
    }
}

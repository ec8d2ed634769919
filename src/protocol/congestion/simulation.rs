//! A line with a bottleneck, a receiver that reports as browsers do, and a sender of sound and of the best layer that the
//! estimate allows. Time is simulated.

use super::{Controller, Filler, Transport, Vigilance};
use crate::protocol::rtcp::{Packet, packets};
use crate::protocol::rtp::Ssrc;
use crate::protocol::rtp::test_start;
use crate::protocol::rtp::twcc::{Arrived, Recorder};
use crate::time::BitRate;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(super) fn start() -> Instant {
    test_start()
}

/// An arrival so many milliseconds after some origin.
pub(super) fn arrived(ms: i64) -> Arrived {
    Arrived::from_ticks(ms.saturating_mul(4))
}

/// What lies between sender and receiver.
pub(super) struct Line {
    /// From which millisecond on, how many kbit/s.
    pub(super) capacity: Vec<(u64, u64)>,
    /// The same for traffic of others.
    pub(super) cross: Vec<(u64, u64)>,
    /// How long the queue may be.
    pub(super) queue: Duration,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// Of 1,000 packets, and of 1,000 feedbacks.
    pub(super) lost: u64,
    pub(super) lost_feedback: u64,
    /// The stream has a picture alone.
    pub(super) is_soundless: bool,
    /// Numbers are left out while all is calm.
    pub(super) is_spared: bool,
    /// What is missing of the picture is not asked for.
    pub(super) is_unasked: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            capacity: vec![(0, 3_000)],
            cross: vec![(0, 0)],
            queue: Duration::from_millis(100),
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            lost: 0,
            lost_feedback: 0,
            is_soundless: false,
            is_spared: false,
            is_unasked: false,
        }
    }
}

/// Sound, and the layers of the picture; in kbit/s with headers.
const SOUND: u64 = 45;
pub(super) const LAYERS: [u64; 3] = [1_700, 500, 150];
const TICK: Duration = Duration::from_millis(5);
const PACKET: usize = 1_250;
const SOUND_PACKET: usize = 112;

/// What a second of the simulation was like.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Second {
    pub(super) sound_sent: u32,
    pub(super) sound_lost: u32,
    /// The longest delay of sound beyond the line's own.
    pub(super) sound_delay: Duration,
    /// Which layer was sent at its end: 0 is the best, 3 none.
    pub(super) layer: usize,
    pub(super) estimate: Option<BitRate>,
    /// Packets, those of them with numbers, and feedbacks that have come back.
    pub(super) packets: u32,
    pub(super) numbered: u32,
    pub(super) feedbacks: u32,
}

pub(super) struct Simulation {
    line: Line,
    random: u64,
    now: Duration,
    /// When the bottleneck has sent what it has.
    free: Duration,
    /// What is on its way: arrival, and number; and the place among all packets of the picture.
    under_way: BTreeMap<(Duration, u64), (Option<u16>, Option<u64>)>,
    count: u64,
    /// Packets of the picture sent, and the place behind the last that has arrived.
    pictures: u64,
    shown: u64,
    arrival: Duration,
    /// Feedback that is on its way back, and how many packets are asked for again.
    returning: Vec<(Duration, Vec<u8>)>,
    asked: Vec<(Duration, u32)>,
    recorder: Recorder,
    transport: Transport,
    controller: Controller,
    sent: u64,
    filler: Filler,
    vigilance: Vigilance,
    /// Whether what is sent now is numbered.
    is_numbered: bool,
    layer: usize,
    second: Second,
}

impl Simulation {
    pub(super) fn new(line: Line) -> Self {
        Self {
            line,
            random: 0x9e37_79b9_7f4a_7c15,
            now: Duration::ZERO,
            free: Duration::ZERO,
            under_way: BTreeMap::new(),
            count: 0,
            pictures: 0,
            shown: 0,
            arrival: Duration::ZERO,
            returning: Vec::new(),
            asked: Vec::new(),
            recorder: Recorder::new(),
            transport: Transport::new(),
            controller: Controller::new(),
            sent: 0,
            filler: Filler::default(),
            vigilance: Vigilance::default(),
            is_numbered: true,
            layer: 0,
            second: Second::default(),
        }
    }

    /// Runs on for some seconds and tells of each.
    pub(super) fn run(&mut self, seconds: u64) -> Vec<Second> {
        (0..seconds).map(|_| self.second()).collect()
    }

    fn second(&mut self) -> Second {
        self.second = Second::default();
        for _ in 0..200 {
            self.tick();
        }
        Second { layer: self.layer, estimate: self.controller.estimate(), ..self.second }
    }

    fn tick(&mut self) {
        self.now += TICK;
        let ms = self.now.as_millis() as u64;
        let cross = rate_at(&self.line.cross, ms);
        if cross > 0 {
            self.bottleneck((cross * 5 / 8) as usize);
        }
        self.watch(ms);
        if ms.is_multiple_of(20) && !self.line.is_soundless {
            self.sound();
        }
        if ms.is_multiple_of(40)
            && let Some(layer) = LAYERS.get(self.layer)
        {
            let mut bytes = (layer * 40 / 8) as usize;
            while bytes > 0 {
                let packet = bytes.min(PACKET);
                self.pictures += 1;
                self.packet(packet, Some(self.pictures));
                bytes -= packet;
            }
        }
        self.receive();
        self.feedback();
        self.fill();
        self.choose();
    }

    fn sound(&mut self) {
        self.second.sound_sent += 1;
        match self.packet(SOUND_PACKET, None) {
            Some(delay) => self.second.sound_delay = self.second.sound_delay.max(delay),
            None => self.second.sound_lost += 1,
        }
    }

    /// Whether what is sent now is numbered.
    fn watch(&mut self, ms: u64) {
        let now = start() + self.now;
        if ms == 5 {
            self.vigilance.alarm(now);
        }
        if self.transport.take_missed(now) {
            self.vigilance.alarm(now);
        }
        let is_calm = self.vigilance.is_calm(now, self.controller.estimate().is_some());
        self.is_numbered = self.transport.numbers(now, is_calm && self.line.is_spared);
    }

    /// Sends a packet; gives how long it waits on the way, `None` if it is lost.
    fn packet(&mut self, bytes: usize, picture: Option<u64>) -> Option<Duration> {
        let now = start() + self.now;
        let number = self.is_numbered.then(|| self.transport.send(now, bytes));
        self.second.packets += 1;
        self.second.numbered += u32::from(self.is_numbered);
        self.sent += bytes as u64;
        let waits = self.bottleneck(bytes)?;
        if self.random(1_000) < self.line.lost {
            return None;
        }
        let jitter = Duration::from_micros(self.random(self.line.jitter.as_micros() as u64 + 1));
        self.count += 1;
        // What jitters does not overtake.
        self.arrival = self.arrival.max(self.now + waits + self.line.delay + jitter);
        self.under_way.insert((self.arrival, self.count), (number, picture));
        Some(self.arrival - self.now - self.line.delay)
    }

    fn bottleneck(&mut self, bytes: usize) -> Option<Duration> {
        let waits = self.free.saturating_sub(self.now);
        if waits > self.line.queue {
            return None;
        }
        let rate = rate_at(&self.line.capacity, self.now.as_millis() as u64);
        self.free = self.now.max(self.free) + Duration::from_micros(bytes as u64 * 8_000 / rate);
        Some(self.free - self.now)
    }

    fn receive(&mut self) {
        while let Some(first) = self.under_way.first_entry().filter(|first| first.key().0 <= self.now) {
            let at = first.key().0;
            let (number, picture) = first.remove();
            if let Some(number) = number {
                self.recorder.packet(number, start() + at);
            }
            if let Some(picture) = picture {
                let missing = picture - self.shown - 1;
                if missing > 0 && !self.line.is_unasked {
                    self.asked.push((at + self.line.delay, missing as u32));
                }
                self.shown = picture;
            }
        }
        if self.recorder.deadline().is_some_and(|at| at <= start() + self.now) {
            let mut out = Vec::new();
            self.recorder.feedback(Ssrc(1), Ssrc(2), &mut out);
            if self.random(1_000) >= self.line.lost_feedback {
                self.returning.push((self.now + self.line.delay, out));
            }
        }
    }

    fn feedback(&mut self) {
        let now = start() + self.now;
        let (due, rest) =
            std::mem::take(&mut self.returning).into_iter().partition(|(at, _)| *at <= self.now);
        self.returning = rest;
        for (_, bytes) in due {
            let Some(Ok(Packet::TransportFeedback(feedback))) = packets(&bytes).next() else { panic!() };
            self.second.feedbacks += 1;
            if let Some(report) = self.transport.feedback(now, &feedback) {
                self.vigilance.report(now, &report);
                self.controller.report(now, &report, report.throughput.unwrap_or_default());
            }
        }
        for (_, missing) in self.asked.extract_if(.., |(at, _)| *at <= self.now) {
            if self.transport.asked(now, missing) {
                self.vigilance.alarm(now);
            }
        }
        if self.transport.take_silence(now) {
            self.controller.silent(now);
        }
    }

    fn fill(&mut self) {
        let Some(rate) = self.controller.probe(start() + self.now) else { return self.filler.reset() };
        let mut padding = self.filler.due(start() + self.now, rate, self.sent);
        while padding > 0 {
            let bytes = padding.min(300);
            self.packet(bytes, None);
            padding -= bytes;
        }
    }

    fn choose(&mut self) {
        let need = |layer: usize| BitRate::from_kbps(LAYERS.get(layer).map_or(0, |layer| *layer) + SOUND);
        let estimate = self.controller.estimate().unwrap_or(BitRate::from_bps(u64::MAX));
        if estimate < need(self.layer).percent(80) {
            self.layer = (self.layer..=3).find(|layer| estimate >= need(*layer)).unwrap_or(3);
        } else if let Some(higher) = (0..self.layer).find(|layer| estimate >= need(*layer).percent(105)) {
            self.layer = higher;
        }
        self.controller.set_aim((self.layer > 0).then(|| need(0).percent(110)));
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }
}

fn rate_at(steps: &[(u64, u64)], ms: u64) -> u64 {
    steps.iter().rev().find(|(from, _)| *from <= ms).map_or(0, |(_, rate)| *rate)
}

//! Converters in a row, as one.

use super::converter::{Converter, Output};
use crate::media::MediaKind;
use crate::stream::Event;
use crate::time::Timestamp;
use std::time::Instant;

/// One converter, and then another that takes what it makes.
pub(super) struct Then {
    first: Box<dyn Converter>,
    second: Box<dyn Converter>,
    kind: MediaKind,
    /// What the first has made of the event at hand.
    between: Vec<Output>,
}

impl Then {
    /// Both are of the track of this kind.
    pub(super) const fn new(first: Box<dyn Converter>, second: Box<dyn Converter>, kind: MediaKind) -> Self {
        Self { first, second, kind, between: Vec::new() }
    }

    fn pass_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        let kind = self.kind;
        for output in self.between.drain(..) {
            let event = match output {
                Output::Params(params) => Event::Params(params),
                Output::Frame(frame) => Event::Frame(frame),
                Output::Packets(packets) => Event::Packets(kind, packets),
                Output::Gap(frames) => Event::Skipped { kind, frames },
                Output::KeyframeWanted | Output::Reason(_) => {
                    out.push(output);
                    continue;
                }
            };
            self.second.handle(event, now, out);
        }
    }
}

impl Converter for Then {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        self.first.handle(event, now, &mut self.between);
        self.pass_on(now, out);
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.first.poll(now, &mut self.between);
        self.pass_on(now, out);
        self.second.poll(now, out);
    }

    fn has_come(&mut self, newest: Timestamp) {
        self.first.has_come(newest);
        self.second.has_come(newest);
    }

    fn request_keyframe(&mut self) {
        self.first.request_keyframe();
        self.second.request_keyframe();
    }

    fn is_heavy(&self) -> bool {
        self.first.is_heavy() || self.second.is_heavy()
    }

    fn deadline(&self) -> Option<Instant> {
        [self.first.deadline(), self.second.deadline()].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{depacketise, packetise};
    use super::*;
    use crate::codec::opus::OpusConfig;
    use crate::media::{CodecParams, Extensions, Packet};
    use crate::time::ClockRate;
    use bytes::Bytes;

    /// 20 ms of Opus.
    fn packet(sequence: i64) -> Event {
        let time = Timestamp::from_millis(20 * sequence);
        let packet = Packet {
            sequence,
            ticks: time.to_ticks(ClockRate::OPUS),
            time,
            marker: false,
            keyframe: true,
            extensions: Extensions::default(),
            payload: Bytes::from_static(&[0xfc, 1]),
        };
        Event::Packets(MediaKind::Audio, packet.into())
    }

    fn show(out: &mut Vec<Output>) -> Vec<String> {
        let show = |output| match output {
            Output::Params(params) => params.codec().to_string(),
            Output::Packets(packets) => format!("{} at {}", packets[0].sequence, packets[0].ticks),
            Output::Gap(packets) => format!("{packets} missing"),
            other => format!("{other:?}"),
        };
        out.drain(..).map(show).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; none can be made otherwise")]
    fn the_second_gets_all_that_the_first_makes_and_time_serves_both() {
        let (first, second) = (depacketise::Sound::opus(), packetise::Opus::new());
        let mut chain = Then::new(Box::new(first), Box::new(second), MediaKind::Audio);
        let (now, mut out) = (Instant::now(), Vec::new());
        for event in [Event::Params(CodecParams::Opus(OpusConfig { channels: 2 })), packet(1), packet(3)] {
            chain.handle(event, now, &mut out);
        }
        assert_eq!(show(&mut out), ["opus", "0 at 960"]);
        let due = chain.deadline().unwrap();
        assert!(due > now, "the first waits for what is late");
        chain.poll(due, &mut out);
        assert_eq!(show(&mut out), ["1 missing", "1 at 2880"]);
        assert_eq!(chain.deadline(), None);
    }
}

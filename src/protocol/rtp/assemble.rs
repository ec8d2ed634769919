//! Payloads of video, in order -> pictures, whatever the payload format.

use bytes::Bytes;
use std::collections::VecDeque;

/// What came of one picture, by the rules of a payload format.
pub trait Assembly {
    /// A whole picture.
    type Picture;

    /// Nothing yet, of the picture with this RTP timestamp, unwrapped.
    fn new(ticks: i64) -> Self;

    /// The RTP timestamp.
    fn ticks(&self) -> i64;

    /// Takes the next payload, which is not empty. `missing`: packets before it are, of this picture or of those before.
    fn add(&mut self, payload: &Bytes, missing: bool);

    /// A packet of it is missing behind those that came.
    fn damage(&mut self);

    /// The picture, if it is whole. `after_loss`: what it refers to may be missing.
    fn finish(self, after_loss: bool) -> Option<Self::Picture>;
}

/// Puts pictures together from payloads that come in order, with gaps where packets are lost.
///
/// A picture with a missing packet never comes out.
#[derive(Debug)]
pub struct Depacketizer<A: Assembly> {
    /// Sequence number of the packet before.
    last: Option<i64>,
    current: Option<A>,
    after_loss: bool,
    dropped: u64,
    ready: VecDeque<(i64, A::Picture)>,
}

impl<A: Assembly> Default for Depacketizer<A> {
    fn default() -> Self {
        Self { last: None, current: None, after_loss: false, dropped: 0, ready: VecDeque::new() }
    }
}

impl<A: Assembly> Depacketizer<A> {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next packet: its unwrapped sequence number and timestamp, its marker bit and its payload. One that is
    /// not later than the last one is passed over. An empty payload (padding, a probe) counts for the sequence only.
    pub fn push(&mut self, sequence: i64, ticks: i64, marker: bool, payload: &Bytes) {
        if self.last.is_some_and(|last| sequence <= last) {
            return;
        }
        let missing = self.last.is_some_and(|last| sequence > last + 1);
        self.last = Some(sequence);
        if self.current.as_ref().is_some_and(|picture| picture.ticks() != ticks) {
            // Its marker was lost, or never set: it is whole only if nothing is missing since.
            self.finish(missing);
        }
        self.after_loss |= missing;
        if payload.is_empty() {
            if let Some(picture) = self.current.as_mut().filter(|_| missing) {
                picture.damage();
            }
            return;
        }
        self.current.get_or_insert_with(|| A::new(ticks)).add(payload, missing);
        if marker {
            self.finish(false);
        }
    }

    /// The next picture that is complete, and its RTP timestamp.
    pub fn poll(&mut self) -> Option<(i64, A::Picture)> {
        self.ready.pop_front()
    }

    /// Pictures that had packets and were given up.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn finish(&mut self, missing: bool) {
        let Some(mut picture) = self.current.take() else { return };
        if missing {
            picture.damage();
        }
        let ticks = picture.ticks();
        if let Some(picture) = picture.finish(self.after_loss) {
            self.after_loss = false;
            self.ready.push_back((ticks, picture));
        } else {
            self.after_loss = true;
            self.dropped += 1;
        }
    }
}

//! What a rendition runs: a row of the plan, or several, as a state machine without I/O.

use super::Reason;
use crate::media::{CodecParams, Frame, PacketGroup};
use crate::stream::Event;
use crate::time::Timestamp;
use std::time::Instant;

/// Turns the events of one feed into the contents of another.
pub(super) trait Converter: Send {
    /// Takes the next event of the source, which came at `now`.
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>);

    /// Does what is due at `now`.
    fn poll(&mut self, _now: Instant, _out: &mut Vec<Output>) {}

    /// Frames up to this time of decoding have come, be it that they are still to be taken.
    fn has_come(&mut self, _newest: Timestamp) {}

    /// Somebody needs a keyframe of what is made here: a converter that makes its own makes the next picture one.
    fn request_keyframe(&mut self) {}

    /// Whether it works so hard that it must not run among tasks which others wait for.
    fn is_heavy(&self) -> bool {
        false
    }

    /// When to be polled next; `None`: with the next event.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// What a converter has to say.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Parameters of the derived feed.
    Params(CodecParams),
    /// A frame of it.
    Frame(Frame),
    /// Packets of it.
    Packets(PacketGroup),
    /// So many frames are missing here.
    Gap(u64),
    /// Decoding cannot go on without a keyframe.
    KeyframeWanted,
    /// The rendition is made otherwise than planned.
    Reason(Reason),
}

/// A converter that this program was built without.
#[cfg(not(feature = "transcode"))]
pub(super) struct Nothing;

#[cfg(not(feature = "transcode"))]
impl Converter for Nothing {
    fn handle(&mut self, _: Event, _: Instant, _: &mut Vec<Output>) {}
}

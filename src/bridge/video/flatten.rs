//! H.264 -> H.264 that every browser shows: in the order in which it is shown, in a profile that they decode.
//!
//! A stream that is so already passes as it is. One with B-frames, by what its parameter sets say or by a B slice, or of pictures that
//! browsers do not decode, is decoded and encoded from its last keyframe on, as long as there is a place to do so; without one it
//! passes as it is, and whoever packetises it leaves pictures out.

use super::transcoder::{Settings, Transcoder};
use crate::bridge::Reason;
use crate::bridge::converter::{Converter, Output};
use crate::bridge::places::{Place, Places};
use crate::codec::h264::{AvcConfig, SliceHeader, SliceType, Sps};
use crate::media::{Codec, CodecParams, Frame, Payload};
use crate::stream::Event;
use crate::time::{MediaDuration, Timestamp};
use std::time::Instant;

/// `profile_idc` of the baseline profile, which has no B slices (ITU-T H.264, section A.2.1).
const BASELINE: u8 = 66;

/// So much is kept until it is known whether there are B-frames.
const MAX_KEPT: usize = 4 << 20;
/// What was kept for those who come late and is older than this does not pass: it would be shown late, or in a hurry.
const PAST: MediaDuration = MediaDuration::from_millis(200);

/// Passes, or decodes and encodes.
pub(in crate::bridge) struct Flatten {
    settings: Settings,
    places: Places,
    /// Of the source.
    params: Option<AvcConfig>,
    /// They have not been told yet.
    is_news: bool,
    order: Order,
    /// Those since the last keyframe, while it is not known whether there are B-frames.
    kept: Vec<Frame>,
    kept_bytes: usize,
    mode: Mode,
    /// Nothing comes of transcoding under these parameters.
    is_given_up: bool,
    /// What was there before anybody came has gone by.
    is_live: bool,
    newest: Option<Timestamp>,
}

/// What is known of the order of pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// The parameter sets do not say.
    Unknown,
    /// They are sent as they are shown.
    AsShown,
    /// There are B-frames.
    Reordered,
    /// Interlaced, or of more than 8 bits or other chroma than 4:2:0.
    Unusual,
}

enum Mode {
    Passing,
    Transcoding(Box<Transcoder>, #[expect(dead_code, reason = "held for what its end does")] Place),
}

impl Flatten {
    /// Takes a place once it needs one.
    pub(in crate::bridge) fn new(settings: Settings, places: Places) -> Self {
        Self {
            settings,
            places,
            params: None,
            is_news: false,
            order: Order::Unknown,
            kept: Vec::new(),
            kept_bytes: 0,
            mode: Mode::Passing,
            is_given_up: false,
            is_live: false,
            newest: None,
        }
    }

    fn frame(&mut self, frame: Frame, now: Instant, out: &mut Vec<Output>) {
        if self.order == Order::Unknown {
            self.look_at(&frame);
            if self.order == Order::Reordered && !frame.keyframe {
                self.choose(now, out);
                // What was before the first B-frame is decoded for its sake.
                for kept in std::mem::take(&mut self.kept) {
                    if let Mode::Transcoding(transcoder, _) = &mut self.mode {
                        transcoder.handle(Event::Frame(kept), now, out);
                    }
                }
            }
        }
        if frame.keyframe {
            self.choose(now, out);
        }
        match &mut self.mode {
            Mode::Transcoding(transcoder, _) => {
                transcoder.handle(Event::Frame(frame), now, out);
                if transcoder.is_hopeless() {
                    // To leave pictures out is better than nothing.
                    self.is_given_up = true;
                    self.pass(now, out);
                }
            }
            Mode::Passing => {
                self.is_live |= self.newest.is_none_or(|newest| newest - frame.dts < PAST);
                if self.is_live {
                    self.tell(out);
                    out.push(Output::Frame(frame));
                }
            }
        }
    }

    /// Whether there are B-frames.
    fn look_at(&mut self, frame: &Frame) {
        if has_b_slice(frame) {
            self.order = Order::Reordered;
            return;
        }
        if frame.keyframe {
            self.kept.clear();
            self.kept_bytes = 0;
        } else if self.kept.is_empty() {
            return;
        }
        self.kept_bytes += frame.payload.len();
        if self.kept_bytes <= MAX_KEPT {
            self.kept.push(frame.clone());
        } else {
            self.kept.clear();
        }
    }

    /// At a keyframe: what is made of it and of those behind it.
    fn choose(&mut self, now: Instant, out: &mut Vec<Output>) {
        match (&self.mode, self.order) {
            (Mode::Passing, Order::Reordered | Order::Unusual) if !self.is_given_up => {
                let Some(params) = self.params.as_ref().filter(|params| self.settings.fits(params)) else {
                    return;
                };
                let Some(place) = self.places.take() else { return };
                let mut transcoder = Box::new(Transcoder::new(Codec::H264, self.settings));
                transcoder.handle(Event::Params(CodecParams::H264(params.clone())), now, out);
                transcoder.has_come(self.newest.unwrap_or_default());
                self.mode = Mode::Transcoding(transcoder, place);
                out.push(Output::Reason(match self.order {
                    Order::Unusual => Reason::ProfileTranscoded,
                    _ => Reason::BFramesTranscoded,
                }));
            }
            (Mode::Transcoding(..), Order::AsShown) => self.pass(now, out),
            _ => {}
        }
    }

    /// From here on pictures are left as they are.
    fn pass(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Mode::Transcoding(mut transcoder, _) = std::mem::replace(&mut self.mode, Mode::Passing) {
            transcoder.finish(now, out);
        }
        (self.is_news, self.is_live) = (true, true);
        out.push(Output::Reason(Reason::Packetised));
    }

    fn tell(&mut self, out: &mut Vec<Output>) {
        if let Some(params) = self.params.as_ref().filter(|_| self.is_news) {
            out.push(Output::Params(CodecParams::H264(params.clone())));
            self.is_news = false;
        }
    }
}

impl Converter for Flatten {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(CodecParams::H264(config)) => {
                self.order = Order::of(&config);
                (self.is_news, self.is_given_up) = (true, false);
                self.kept.clear();
                if let Mode::Transcoding(transcoder, _) = &mut self.mode {
                    transcoder.handle(Event::Params(CodecParams::H264(config.clone())), now, out);
                }
                self.params = Some(config);
                // Of one that is to be transcoded others will be told, with its keyframe.
                if matches!(self.mode, Mode::Passing) && matches!(self.order, Order::Unknown | Order::AsShown)
                {
                    self.tell(out);
                }
            }
            Event::Frame(frame) => self.frame(frame, now, out),
            Event::Skipped { kind, frames } => match &mut self.mode {
                Mode::Transcoding(transcoder, _) => {
                    transcoder.handle(Event::Skipped { kind, frames }, now, out);
                }
                Mode::Passing => {
                    self.kept.clear();
                    out.push(Output::Gap(frames));
                }
            },
            _ => {}
        }
    }

    fn has_come(&mut self, newest: Timestamp) {
        self.newest = Some(newest);
        if let Mode::Transcoding(transcoder, _) = &mut self.mode {
            transcoder.has_come(newest);
        }
    }

    fn request_keyframe(&mut self) {
        if let Mode::Transcoding(transcoder, _) = &mut self.mode {
            transcoder.request_keyframe();
        }
    }

    fn is_heavy(&self) -> bool {
        matches!(self.mode, Mode::Transcoding(..))
    }
}

impl Order {
    fn of(config: &AvcConfig) -> Self {
        let Some(sps) = config.sps().first().and_then(|sps| Sps::parse(sps).ok()) else {
            return Self::Unknown;
        };
        if !sps.is_common() {
            return Self::Unusual;
        }
        match sps.num_reorder_frames {
            Some(0) => Self::AsShown,
            Some(_) => Self::Reordered,
            None if sps.profile_level_id[0] == BASELINE => Self::AsShown,
            None => Self::Unknown,
        }
    }
}

fn has_b_slice(frame: &Frame) -> bool {
    let Payload::Nalus(unit) = &frame.payload else { return false };
    unit.nals().find_map(SliceHeader::peek).is_some_and(|(_, slice)| slice == SliceType::B)
}

//! H.264 with B-frames -> H.264 in the order in which it is shown, for peers that cannot reorder.
//!
//! A stream without B-frames passes as it is. One that has them, by what its parameter sets say or by a B slice, is decoded and
//! encoded from the next keyframe on, as long as there is a place to do so; without one it passes as it is, and whoever packetises it
//! leaves pictures out.

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
    mode: Mode,
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
}

enum Mode {
    Passing,
    Transcoding(Box<Transcoder>, #[expect(dead_code, reason = "held for what its end does")] Place),
}

impl Flatten {
    /// Takes a place once it needs one.
    pub(in crate::bridge) fn new(settings: Settings, places: Places) -> Self {
        let (params, order, mode) = (None, Order::Unknown, Mode::Passing);
        Self { settings, places, params, is_news: false, order, mode, is_live: false, newest: None }
    }

    fn frame(&mut self, frame: Frame, now: Instant, out: &mut Vec<Output>) {
        if self.order == Order::Unknown && has_b_slice(&frame) {
            self.order = Order::Reordered;
        }
        if frame.keyframe {
            self.choose(now, out);
        }
        match &mut self.mode {
            Mode::Transcoding(transcoder, _) => transcoder.handle(Event::Frame(frame), now, out),
            Mode::Passing => {
                self.is_live |= self.newest.is_none_or(|newest| newest - frame.dts < PAST);
                if self.is_live {
                    self.tell(out);
                    out.push(Output::Frame(frame));
                }
            }
        }
    }

    /// Before a keyframe: what is made of it and of those behind it.
    fn choose(&mut self, now: Instant, out: &mut Vec<Output>) {
        match (&self.mode, self.order) {
            (Mode::Passing, Order::Reordered) => {
                let (Some(params), Some(place)) = (&self.params, self.places.take()) else { return };
                let mut transcoder = Box::new(Transcoder::new(Codec::H264, self.settings));
                transcoder.handle(Event::Params(CodecParams::H264(params.clone())), now, out);
                transcoder.has_come(self.newest.unwrap_or_default());
                self.mode = Mode::Transcoding(transcoder, place);
                out.push(Output::Reason(Reason::BFramesTranscoded));
            }
            (Mode::Transcoding(..), Order::AsShown) => {
                self.mode = Mode::Passing;
                self.is_news = true;
                out.push(Output::Reason(Reason::Packetised));
            }
            _ => {}
        }
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
                self.is_news = true;
                if let Mode::Transcoding(transcoder, _) = &mut self.mode {
                    transcoder.handle(Event::Params(CodecParams::H264(config.clone())), now, out);
                }
                self.params = Some(config);
                // Of one that is to be transcoded others will be told, with its keyframe.
                if matches!(self.mode, Mode::Passing) && self.order != Order::Reordered {
                    self.tell(out);
                }
            }
            Event::Frame(frame) => self.frame(frame, now, out),
            Event::Skipped { kind, frames } => match &mut self.mode {
                Mode::Transcoding(transcoder, _) => {
                    transcoder.handle(Event::Skipped { kind, frames }, now, out);
                }
                Mode::Passing => out.push(Output::Gap(frames)),
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

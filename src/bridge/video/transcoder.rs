//! Frames of one codec -> frames of another, as a converter.
//!
//! Time is kept: a picture goes out with the time at which it is shown. Where the processor does not keep up, pictures are
//! decoded and not encoded, so that latency is bounded and what is seen goes on; where even that is too much, pictures that no
//! other needs are not decoded.

use super::encoder::{Encoded, Encoder};
use super::{Decoder, Picture, kind};
use crate::bridge::converter::{Converter, Output};
use crate::config::VideoEncoder;
use crate::media::{Codec, CodecParams, Frame, MediaKind};
use crate::stream::Event;
use crate::time::{BitRate, ClockRate, MediaDuration, Timestamp};
use metrics::counter;
use std::time::{Duration, Instant};

/// With so much waiting behind it a picture is not encoded, until nearly nothing waits.
const LATE: MediaDuration = MediaDuration::from_millis(250);
const CAUGHT_UP: MediaDuration = MediaDuration::from_millis(60);
/// With so much, pictures that no other needs are not decoded.
const VERY_LATE: MediaDuration = MediaDuration::from_millis(1_000);
/// One picture in so long is encoded all the same.
const GLIMPSE: Duration = Duration::from_millis(200);
/// Whoever asks for keyframes gets one so often at most.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(250);
/// What a source takes is known after so long.
const MEASURED: MediaDuration = MediaDuration::from_millis(1_000);
/// Bits for a pixel that are enough for what a source of unknown rate shows.
const BITS_PER_1000_PIXELS: u64 = 80;
/// What is made here takes so many per cent of the bits of its source: an encoder in a hurry needs more for the same.
const OF_SOURCE: u32 = 130;
const RATES: std::ops::RangeInclusive<BitRate> = BitRate::from_kbps(150)..=BitRate::from_kbps(12_000);
/// Pictures that are decoded have this many pictures a second, for a rate that is not measured yet.
const FRAME_RATE: u64 = 30;

/// How pictures are made.
#[derive(Clone, Copy, Debug)]
pub(in crate::bridge) struct Settings {
    /// The encoder to try first.
    pub(in crate::bridge) encoder: VideoEncoder,
    /// The largest picture that is decoded, in samples.
    pub(in crate::bridge) max_pixels: u32,
    /// The most bits a second that are made of a source.
    pub(in crate::bridge) max_rate: BitRate,
}

/// Decodes and encodes the picture of one stream.
pub(in crate::bridge) struct Transcoder {
    settings: Settings,
    to: Codec,
    /// Of the source.
    params: Option<CodecParams>,
    decoder: Option<(Codec, Decoder)>,
    encoder: Option<Encoder>,
    waits_for_keyframe: bool,
    /// The time of the latest frame that has come, be it that it waits.
    newest: Option<Timestamp>,
    is_late: bool,
    /// Something was made since the last time that pictures were missing.
    is_under_way: bool,
    made_at: Option<Instant>,
    last_time: Option<Timestamp>,
    keyframe_wanted: bool,
    keyframe_at: Option<Instant>,
    source: Measure,
}

/// What a source takes.
#[derive(Default)]
pub(super) struct Measure {
    first: Option<Timestamp>,
    last: Timestamp,
    bytes: u64,
}

impl Transcoder {
    /// To H.264 or VP8.
    pub(in crate::bridge) fn new(to: Codec, settings: Settings) -> Self {
        Self {
            settings,
            to,
            params: None,
            decoder: None,
            encoder: None,
            waits_for_keyframe: true,
            newest: None,
            is_late: false,
            is_under_way: false,
            made_at: None,
            last_time: None,
            keyframe_wanted: true,
            keyframe_at: None,
            source: Measure::default(),
        }
    }

    fn frame(&mut self, frame: &Frame, now: Instant, out: &mut Vec<Output>) {
        if frame.kind != MediaKind::Video || (self.waits_for_keyframe && !frame.keyframe) {
            return;
        }
        let Some(params) = self.params.clone() else { return };
        self.source.add(frame);
        let behind = self.newest.map_or(MediaDuration::ZERO, |newest| newest - frame.dts);
        if let Err(error) = self.decode(&params, frame, behind) {
            counter!("commonroom_transcode_errors_total", "stage" => "decode").increment(1);
            tracing::debug!(%error, "a frame cannot be decoded; waiting for a keyframe");
            self.lose(out);
            return;
        }
        self.waits_for_keyframe = false;
        self.is_late = if self.is_late { behind > CAUGHT_UP } else { behind > LATE };
        while let Some(picture) = self.decoder.as_mut().and_then(|(_, decoder)| decoder.next()) {
            self.picture(picture, behind, now, out);
        }
    }

    fn decode(
        &mut self,
        params: &CodecParams,
        frame: &Frame,
        behind: MediaDuration,
    ) -> Result<(), super::VideoError> {
        let codec = params.codec();
        let decoder = match &mut self.decoder {
            Some((known, decoder)) if *known == codec => decoder,
            slot => &mut slot.insert((codec, Decoder::new(codec, self.settings.max_pixels)?)).1,
        };
        decoder.skip_unneeded(behind > VERY_LATE);
        decoder.decode(params, frame)
    }

    /// Encodes a picture, where there is time to.
    fn picture(&mut self, picture: Picture, behind: MediaDuration, now: Instant, out: &mut Vec<Output>) {
        let Some(time) = picture.time().filter(|time| self.last_time.is_none_or(|last| *time > last)) else {
            return;
        };
        // Those who come see what is now, and not how it came to that.
        let is_past = !self.is_under_way && behind > CAUGHT_UP;
        let is_seldom = self.made_at.is_none_or(|at| now.saturating_duration_since(at) >= GLIMPSE);
        if is_past || (self.is_late && !is_seldom) {
            counter!("commonroom_transcode_pictures_total", "result" => if is_past { "past" } else { "shed" })
                .increment(1);
            return;
        }
        if let Err(error) = self.encode(picture, time, now) {
            counter!("commonroom_transcode_errors_total", "stage" => "encode").increment(1);
            tracing::warn!(%error, "a picture cannot be encoded");
            // Another one, with the next picture.
            self.encoder = None;
            return;
        }
        self.last_time = Some(time);
        self.made_at = Some(now);
        self.is_under_way = true;
        counter!("commonroom_transcode_pictures_total", "result" => "made").increment(1);
        while let Some(Encoded { params, frame }) = self.encoder.as_mut().and_then(Encoder::next) {
            if frame.keyframe {
                self.keyframe_at = Some(now);
            }
            out.extend(params.map(Output::Params));
            out.push(Output::Frame(frame));
        }
    }

    fn encode(&mut self, picture: Picture, time: Timestamp, now: Instant) -> Result<(), super::VideoError> {
        if self.encoder.as_ref().is_some_and(|encoder| !encoder.fits(&picture)) {
            self.encoder = None;
        }
        let rate = self.rate(&picture);
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            slot => slot.insert(kind::open(self.to, self.settings.encoder, picture.size(), rate)?),
        };
        let is_due = self.keyframe_at.is_none_or(|at| now.saturating_duration_since(at) >= KEYFRAME_INTERVAL);
        let keyframe = self.keyframe_wanted && is_due;
        if keyframe {
            self.keyframe_wanted = false;
        }
        encoder.encode(picture, time, keyframe)
    }

    /// What the encoder may take.
    fn rate(&self, picture: &Picture) -> BitRate {
        let (width, height) = picture.size();
        let pixels = u64::from(width) * u64::from(height);
        let usual = BitRate::from_bps(pixels * FRAME_RATE * BITS_PER_1000_PIXELS / 1_000);
        let rate = self.source.rate().map_or(usual, |rate| rate.percent(OF_SOURCE));
        rate.clamp(*RATES.start(), *RATES.end()).min(self.settings.max_rate)
    }

    /// What follows cannot be decoded, down to the next keyframe.
    fn lose(&mut self, out: &mut Vec<Output>) {
        self.waits_for_keyframe = true;
        if let Some((_, decoder)) = &mut self.decoder {
            decoder.flush();
        }
        out.push(Output::KeyframeWanted);
    }
}

impl Converter for Transcoder {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) if params.codec().kind() == MediaKind::Video => self.params = Some(params),
            Event::Frame(frame) => self.frame(&frame, now, out),
            // What was made goes on: who watches keeps the last picture until the next.
            Event::Skipped { kind: MediaKind::Video, .. } => self.lose(out),
            _ => {}
        }
    }

    fn has_come(&mut self, newest: Timestamp) {
        self.newest = Some(newest);
    }

    fn request_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    fn is_heavy(&self) -> bool {
        true
    }
}

impl Measure {
    pub(super) fn add(&mut self, frame: &Frame) {
        self.first.get_or_insert(frame.dts);
        self.last = frame.dts;
        self.bytes += frame.payload.len() as u64; // usize is at most 64 bits
    }

    pub(super) fn rate(&self) -> Option<BitRate> {
        let long = self.last - self.first?;
        let micros = u64::try_from(long.to_ticks(ClockRate::VIDEO)).ok()? * 100 / 9;
        (long >= MEASURED).then(|| BitRate::of(self.bytes, Duration::from_micros(micros)))
    }
}

//! Frames of one codec -> frames of another, as a converter.
//!
//! Time is kept: a picture goes out with the time at which it is shown. Where the processor does not keep up, pictures are
//! decoded and not encoded, so that latency is bounded and what is seen goes on; where even that is too much, pictures that no
//! other needs are not decoded.

use super::encoder::{Encoded, Encoder, Look};
use super::{Decoder, Picture, kind};
use crate::bridge::converter::{Converter, Output};
use crate::codec::h264::{AvcConfig, Sps};
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
/// Over so long it is measured what a source takes.
const MEASURED: MediaDuration = MediaDuration::from_millis(2_000);
/// Where a keyframe is wanted and nothing has come for so long, the last picture is encoded again.
const STILL: Duration = Duration::from_millis(100);
/// A picture that is older than this is not shown to anybody again: what has been quiet for so long may have been hidden meanwhile.
const REMEMBERED: Duration = Duration::from_secs(3);
/// So many failures in a row are the end of it; then it is tried again after so long.
const MAX_FAILURES: u32 = 3;
const RETRY: Duration = Duration::from_secs(5);
/// Bits for a pixel that are enough for what a source of unknown rate shows.
const BITS_PER_1000_PIXELS: u64 = 80;
/// A rate that differs by less from the one an encoder has is near enough, in per cent.
const NEAR_RATE: u32 = 20;
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

impl Settings {
    /// Whether pictures under these parameters may be decoded.
    pub(super) fn fits(&self, params: &AvcConfig) -> bool {
        let sps = params.sps().first().and_then(|sps| Sps::parse(sps).ok());
        sps.is_none_or(|sps| u64::from(sps.width) * u64::from(sps.height) <= u64::from(self.max_pixels))
    }
}

/// Decodes and encodes the picture of one stream.
pub(in crate::bridge) struct Transcoder {
    settings: Settings,
    to: Codec,
    /// Of the source.
    params: Option<CodecParams>,
    decoder: Option<(Codec, Decoder)>,
    encoder: Option<Encoder>,
    /// What its encoder may make.
    rate: BitRate,
    /// The last picture, as it was encoded, and when it came.
    last: Option<(Picture, Instant)>,
    /// In a row, and the latest.
    failures: u32,
    failed_at: Option<Instant>,
    waits_for_keyframe: bool,
    /// The time of the latest frame that has come, be it that it waits.
    newest: Option<Timestamp>,
    is_late: bool,
    /// Something was made already.
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
    bytes: u64,
    rate: Option<BitRate>,
    is_news: bool,
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
            rate: BitRate::ZERO,
            last: None,
            failures: 0,
            failed_at: None,
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

    /// Whether nothing comes of it, however long one waits.
    pub(in crate::bridge) const fn is_hopeless(&self) -> bool {
        self.failures >= MAX_FAILURES
    }

    /// Makes of what is held back what can be made.
    pub(in crate::bridge) fn finish(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.decoder.as_mut().is_some_and(|(_, decoder)| decoder.finish().is_ok()) {
            self.pictures(MediaDuration::ZERO, now, out);
        }
        self.decoder = None;
        self.waits_for_keyframe = true;
    }

    fn frame(&mut self, frame: &Frame, now: Instant, out: &mut Vec<Output>) {
        if frame.kind != MediaKind::Video || (self.waits_for_keyframe && !frame.keyframe) {
            return;
        }
        let rests = self.failed_at.is_some_and(|at| now.saturating_duration_since(at) < RETRY);
        if self.is_hopeless() && rests {
            self.waits_for_keyframe = true;
            return;
        }
        let Some(params) = self.params.clone() else { return };
        self.source.add(frame);
        let behind = self.newest.map_or(MediaDuration::ZERO, |newest| newest - frame.dts);
        if let Err(error) = self.decode(&params, frame, behind) {
            self.fail("decode", &error, now);
            self.lose(out);
            return;
        }
        self.waits_for_keyframe = false;
        self.is_late = if self.is_late { behind > CAUGHT_UP } else { behind > LATE };
        self.pictures(behind, now, out);
    }

    fn pictures(&mut self, behind: MediaDuration, now: Instant, out: &mut Vec<Output>) {
        while let Some(picture) = self.decoder.as_mut().and_then(|(_, decoder)| decoder.next()) {
            self.picture(picture, behind, now, out);
        }
    }

    /// Notes a failure, of which the first ones in a row are told.
    fn fail(&mut self, stage: &'static str, error: &super::VideoError, now: Instant) {
        counter!("commonroom_transcode_errors_total", "stage" => stage).increment(1);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        if self.failures < MAX_FAILURES {
            tracing::debug!(stage, %error, "a picture is lost");
        } else if self.failures == MAX_FAILURES {
            tracing::warn!(stage, %error, "the picture cannot be transcoded; it is tried again in a while");
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
        self.follow_rate(&picture);
        // Those who come see what is now, and not how it came to that.
        let is_past = !self.is_under_way && behind > CAUGHT_UP;
        let is_seldom = self.made_at.is_none_or(|at| now.saturating_duration_since(at) >= GLIMPSE);
        if is_past || (self.is_late && !is_seldom) {
            counter!("commonroom_transcode_pictures_total", "result" => if is_past { "past" } else { "shed" })
                .increment(1);
            return;
        }
        counter!("commonroom_transcode_pictures_total", "result" => "made").increment(1);
        self.is_under_way = true;
        self.give(picture, time, now, out);
    }

    /// Encodes a picture and gives what comes of it.
    fn give(&mut self, picture: Picture, time: Timestamp, now: Instant, out: &mut Vec<Output>) {
        match self.encode(picture, time, now) {
            Ok(picture) => self.last = Some((picture, now)),
            Err(error) => {
                self.fail("encode", &error, now);
                // Another one, with the next picture.
                self.encoder = None;
                self.keyframe_wanted = true;
                return;
            }
        }
        (self.failures, self.failed_at) = (0, None);
        self.last_time = Some(time);
        self.made_at = Some(now);
        while let Some(Encoded { params, frame }) = self.encoder.as_mut().and_then(Encoder::next) {
            if frame.keyframe {
                self.keyframe_at = Some(now);
            }
            out.extend(params.map(Output::Params));
            out.push(Output::Frame(frame));
        }
    }

    fn encode(
        &mut self,
        picture: Picture,
        time: Timestamp,
        now: Instant,
    ) -> Result<Picture, super::VideoError> {
        let look = Look::of(&picture);
        let encoder = match self.encoder.take().filter(|encoder| encoder.fits(&look)) {
            Some(encoder) => encoder,
            None => {
                self.rate = self.rate(&picture);
                kind::open(self.to, self.settings.encoder, &look, self.rate, now)?
            }
        };
        let encoder = self.encoder.insert(encoder);
        let is_due = self.keyframe_at.is_none_or(|at| now.saturating_duration_since(at) >= KEYFRAME_INTERVAL);
        let keyframe = self.keyframe_wanted && is_due;
        if keyframe {
            self.keyframe_wanted = false;
        }
        encoder.encode(picture, time, keyframe)
    }

    /// Follows a source that takes more now, or less.
    fn follow_rate(&mut self, picture: &Picture) {
        if !self.source.take_news() {
            return;
        }
        let rate = self.rate(picture);
        let is_near =
            rate <= self.rate.percent(100 + NEAR_RATE) && rate >= self.rate.percent(100 - NEAR_RATE);
        if let Some(encoder) = self.encoder.as_mut().filter(|_| !is_near) {
            encoder.set_rate(rate);
            self.rate = rate;
        }
    }

    /// What the encoder may take.
    fn rate(&self, picture: &Picture) -> BitRate {
        let (width, height) = picture.size();
        let pixels = u64::from(width) * u64::from(height);
        let usual = BitRate::from_bps(pixels * FRAME_RATE * BITS_PER_1000_PIXELS / 1_000);
        // A picture that stands still now may move the next moment.
        let rate = self.source.rate().map_or(usual, |rate| rate.percent(OF_SOURCE).max(usual.percent(50)));
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

    /// Where the source rests and somebody needs a keyframe, he gets the last picture as one.
    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        let (Some((picture, came)), Some(time)) = (self.last.take(), self.last_time) else { return };
        if now.saturating_duration_since(came) > REMEMBERED {
            return;
        }
        let since = i64::try_from(now.saturating_duration_since(came).as_micros()).unwrap_or(0);
        self.give(picture, time + MediaDuration::from_micros(since), now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        let (_, came) = self.last.as_ref().filter(|_| self.keyframe_wanted)?;
        let due = self.keyframe_at.map(|at| at + KEYFRAME_INTERVAL);
        due.max(Some(*came + STILL))
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
        let first = *self.first.get_or_insert(frame.dts);
        let long = frame.dts - first;
        if long >= MEASURED || long < MediaDuration::ZERO {
            let micros = u64::try_from(long.to_ticks(ClockRate::VIDEO)).unwrap_or(0) * 100 / 9;
            if micros > 0 {
                self.rate = Some(BitRate::of(self.bytes, Duration::from_micros(micros)));
                self.is_news = true;
            }
            (self.first, self.bytes) = (Some(frame.dts), 0);
        }
        self.bytes += frame.payload.len() as u64; // usize is at most 64 bits
    }

    /// Of the last while; `None` until one is over.
    pub(super) const fn rate(&self) -> Option<BitRate> {
        self.rate
    }

    /// Whether it is another than when this was asked last.
    const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.is_news, false)
    }
}

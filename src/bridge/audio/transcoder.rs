//! The pipeline: decode, align, resample, encode.

use super::aac::AacEncoder;
use super::align::{Aligner, Step};
use super::g711::G711Encoder;
use super::opus::OpusEncoder;
use super::resample::Resampler;
use super::{CodecError, Decoder, Encoder, Format, decoder};
use crate::bridge::converter::{Converter, Output};
use crate::codec::g711::Law;
use crate::media::{Codec, CodecParams, Frame, MediaKind, Payload};
use crate::stream::Event;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use std::time::{Duration, Instant};

/// RTMP stamps are milliseconds of an encoder's own making: below this an offset is jitter.
const RTMP_THRESHOLD: MediaDuration = MediaDuration::from_millis(60);
/// RTP stamps count samples: less than a packet is the stream's clock sliding, a packet is a gap.
const RTP_THRESHOLD: MediaDuration = MediaDuration::from_millis(15);
/// Over how long the source's bitrate is measured.
const RATE_WINDOW: MediaDuration = MediaDuration::from_millis(2_000);
/// Silence is filled in by so much at a time: 20 ms, in samples at 48 kHz.
const SILENCE_BLOCK: usize = 960;
/// Beyond this there is nothing left to conceal a loss with.
const MAX_CONCEALED: MediaDuration = MediaDuration::from_millis(120);
/// How long a packet may be late before silence takes its place: what the jitter buffer before may wait, and a little.
const HOLD: Duration = Duration::from_millis(300);
/// The same of what came over TCP, which brings all there is, be it after a while.
const TCP_HOLD: Duration = Duration::from_millis(1_500);
/// A task that stood still for longer does not make up for all of it at once.
const MAX_CATCH_UP: Duration = Duration::from_secs(2);

/// Sound of one codec into another.
pub(in crate::bridge) struct Transcoder {
    decoder: Option<Box<dyn Decoder>>,
    chain: Option<Chain>,
    target: Target,
    threshold: MediaDuration,
    /// Decoded samples of the packet at hand.
    block: Vec<f32>,
    /// How many channels the decoder gave last.
    channels: usize,
    rate: RateMeter,
    /// Packets that could not be decoded, in a row.
    failures: u64,
    /// The source has told that packets are lost before the next one.
    lost: bool,
    /// When the last packet came and the time it plays at: the clock by which silence goes on.
    clock: Option<(Instant, Timestamp)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Opus,
    Aac,
    G711(Law),
}

/// Everything behind the decoder.
struct Chain {
    /// What goes in: the channels are those of the first block, and the encoder's.
    format: Format,
    aligner: Aligner,
    resampler: Resampler,
    encoder: Box<dyn Encoder>,
    /// At 48 kHz, waiting to fill a packet.
    pending: Vec<f32>,
    /// Time of the first sample of the next packet, in 1/48000 s.
    next: i64,
    /// Time of the first sample since the last restart.
    start: i64,
}

/// Bits a second of the source.
#[derive(Default)]
struct RateMeter {
    since: Option<Timestamp>,
    bytes: usize,
}

impl Transcoder {
    /// Anything -> Opus.
    pub(in crate::bridge) fn to_opus() -> Self {
        Self::new(Target::Opus, RTMP_THRESHOLD)
    }

    /// Opus -> AAC, without gaps: what is lost is concealed, what was not sent is silence.
    pub(in crate::bridge) fn to_aac() -> Self {
        Self::new(Target::Aac, RTP_THRESHOLD)
    }

    /// What has stamps of RTMP -> AAC, likewise.
    pub(in crate::bridge) fn rtmp_to_aac() -> Self {
        Self::new(Target::Aac, RTMP_THRESHOLD)
    }

    /// Opus -> G.711, one of the two.
    pub(in crate::bridge) fn opus_to_g711(to: Codec) -> Self {
        Self::new(Target::G711(law(to)), RTP_THRESHOLD)
    }

    /// What has stamps of RTMP -> G.711, likewise.
    pub(in crate::bridge) fn rtmp_to_g711(to: Codec) -> Self {
        Self::new(Target::G711(law(to)), RTMP_THRESHOLD)
    }

    fn new(target: Target, threshold: MediaDuration) -> Self {
        Self {
            decoder: None,
            chain: None,
            target,
            threshold,
            block: Vec::new(),
            channels: 1,
            rate: RateMeter::default(),
            failures: 0,
            lost: false,
            clock: None,
        }
    }

    fn configure(&mut self, params: &CodecParams) {
        match decoder(params) {
            Ok(decoder) => self.decoder = Some(decoder),
            Err(error) => {
                tracing::warn!(%error, "no decoder for this sound");
                self.decoder = None;
            }
        }
    }

    fn packet(&mut self, time: Timestamp, packet: &[u8], out: &mut Vec<Output>) -> Result<(), CodecError> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        self.block.clear();
        if std::mem::take(&mut self.lost)
            && let Some(chain) = &mut self.chain
        {
            // Only what is missing up to this packet, and only where a decoder can still make something of it.
            let gap = chain.aligner.gap(time);
            if gap > MediaDuration::ZERO && gap <= MAX_CONCEALED {
                let samples = usize::try_from(gap.to_ticks(chain.format.rate)).unwrap_or(0);
                decoder.conceal(samples, packet, &mut self.block)?;
                spread(&mut self.block, self.channels, chain.format.channels);
                chain.pass(&mut self.block, out)?;
                self.block.clear();
            }
        }
        let format = decoder.decode(packet, &mut self.block)?;
        self.channels = format.channels;
        let time = time - MediaDuration::from_ticks(decoder.delay() as i64, format.rate); // some thousand samples
        let chain = match &mut self.chain {
            Some(chain) => chain,
            none => none.insert(Chain::new(self.target, format, time, self.threshold, out)?),
        };
        // However its sound changes on the way, what has once been told of the other end stays true.
        spread(&mut self.block, format.channels, chain.format.channels);
        if chain.format.rate != format.rate {
            chain.change(format.rate, out)?;
        }
        if let Some(bits_per_second) = self.rate.add(time, packet.len()) {
            chain.encoder.set_source_bitrate(bits_per_second);
        }
        chain.take(time, &mut self.block, out)
    }
}

impl Converter for Transcoder {
    fn handle(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Params(params) => self.configure(&params),
            Event::Skipped { .. } => self.lost = true,
            Event::Frame(Frame { kind: MediaKind::Audio, pts, payload: Payload::Packet(packet), .. }) => {
                self.clock = Some((now, pts));
                match self.packet(pts, &packet, out) {
                    Ok(()) => self.failures = 0,
                    Err(error) => {
                        self.lost = true;
                        self.failures += 1;
                        metrics::counter!("commonroom_bridge_audio_errors_total").increment(1);
                        if self.failures == 1 {
                            tracing::warn!(%error, "sound is lost here");
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        let (Some(due), Some(chain)) = (self.deadline(), &mut self.chain) else { return };
        let Some(late) = now.checked_duration_since(due) else { return };
        // A whole number of blocks, and no more than a long pause of this task asks for.
        let blocks =
            1 + MediaDuration::from(late.min(MAX_CATCH_UP)).to_ticks(ClockRate::OPUS) / SILENCE_BLOCK as i64;
        let samples = blocks.unsigned_abs() as usize * chain.silence_block(); // a few seconds
        if let Err(error) = chain.silence(samples, out) {
            tracing::warn!(%error, "silence cannot be made");
        }
    }

    fn deadline(&self) -> Option<Instant> {
        // A player of RTMP, and a recording, stand still where sound is missing.
        let (Target::Aac, Some(chain), Some((arrived, time))) = (self.target, &self.chain, self.clock) else {
            return None;
        };
        let ahead = chain.aligner.position() - time
            + MediaDuration::from_ticks(SILENCE_BLOCK as i64, ClockRate::OPUS);
        let hold = if self.threshold == RTMP_THRESHOLD { TCP_HOLD } else { HOLD };
        Some(arrived + hold + Duration::from(ahead))
    }
}

impl Chain {
    fn new(
        target: Target,
        format: Format,
        anchor: Timestamp,
        threshold: MediaDuration,
        out: &mut Vec<Output>,
    ) -> Result<Self, CodecError> {
        // A telephone has one channel.
        let channels = if matches!(target, Target::G711(_)) { 1 } else { format.channels };
        let format = Format { channels, ..format };
        let encoder: Box<dyn Encoder> = match target {
            Target::Opus => Box::new(OpusEncoder::new(format.channels)?),
            Target::Aac => Box::new(AacEncoder::new(format.channels)?),
            Target::G711(law) => Box::new(G711Encoder::new(law)),
        };
        out.push(Output::Params(encoder.params()));
        let resampler = Resampler::new(format)?;
        let aligner = Aligner::new(format, anchor, threshold);
        let mut chain = Self { format, aligner, resampler, encoder, pending: Vec::new(), next: 0, start: 0 };
        chain.anchor(anchor);
        Ok(chain)
    }

    /// The first sample that comes out of the resampler from now on is heard at `time`.
    fn anchor(&mut self, time: Timestamp) {
        self.start = time.to_ticks(ClockRate::OPUS);
        self.next = self.start - self.encoder.delay() as i64; // some thousand samples
    }

    /// From the next block on samples come at another rate.
    fn change(&mut self, rate: ClockRate, out: &mut Vec<Output>) -> Result<(), CodecError> {
        let format = Format { rate, ..self.format };
        let resampler = Resampler::new(format)?;
        count_correction("format");
        let rest = self.aligner.rest();
        self.format = format;
        let mut before = std::mem::replace(&mut self.resampler, resampler);
        before.process(&rest, &mut self.pending)?;
        before.finish(&mut self.pending)?;
        self.encode(out)?;
        let waiting = (self.pending.len() / self.format.channels) as i64; // a packet
        let end = Timestamp::from_ticks(self.next + self.encoder.delay() as i64 + waiting, ClockRate::OPUS);
        self.aligner = self.aligner.followed_by(self.format, end);
        Ok(())
    }

    /// Takes a decoded block that is heard at `time`.
    fn take(
        &mut self,
        time: Timestamp,
        block: &mut Vec<f32>,
        out: &mut Vec<Output>,
    ) -> Result<(), CodecError> {
        match self.aligner.step(time) {
            Step::Follow => {}
            Step::Silence(samples) => {
                count_correction("gap");
                self.silence(samples, out)?;
            }
            Step::Skip(samples) => {
                count_correction("overlap");
                let skipped = (samples * self.format.channels).min(block.len());
                if skipped < samples * self.format.channels {
                    // The rest of it is in the next block.
                    self.aligner.begin();
                }
                block.drain(..skipped);
            }
            Step::Restart => {
                count_correction("restart");
                self.restart(time, out)?;
            }
        }
        self.pass(block, out)
    }

    /// Samples of a block of silence at the rate before the resampler.
    fn silence_block(&self) -> usize {
        let span = MediaDuration::from_ticks(SILENCE_BLOCK as i64, ClockRate::OPUS); // a small constant
        usize::try_from(span.to_ticks(self.format.rate)).unwrap_or(0)
    }

    fn silence(&mut self, samples: usize, out: &mut Vec<Output>) -> Result<(), CodecError> {
        let mut block = Vec::new();
        let mut left = samples;
        while left > 0 {
            let some = left.min(SILENCE_BLOCK);
            block.clear();
            block.resize(some * self.format.channels, 0.0);
            self.pass(&mut block, out)?;
            left -= some;
        }
        Ok(())
    }

    /// Fills the open packet with silence and starts counting anew at `time`.
    fn restart(&mut self, time: Timestamp, out: &mut Vec<Output>) -> Result<(), CodecError> {
        let frame = self.encoder.frame_samples() * self.format.channels;
        if !self.pending.is_empty() {
            self.pending.resize(frame, 0.0);
            self.encode(out)?;
        }
        self.resampler = Resampler::new(self.format)?;
        self.aligner.restart(time);
        self.anchor(time);
        Ok(())
    }

    fn pass(&mut self, block: &mut Vec<f32>, out: &mut Vec<Output>) -> Result<(), CodecError> {
        self.aligner.pass(block);
        self.resampler.process(block, &mut self.pending)?;
        self.encode(out)
    }

    /// Encodes as many whole packets as there are.
    fn encode(&mut self, out: &mut Vec<Output>) -> Result<(), CodecError> {
        let samples = self.encoder.frame_samples();
        let len = samples * self.format.channels;
        let mut taken = 0;
        while let Some(pcm) = self.pending.get(taken..taken + len) {
            let packet = self.encoder.encode(pcm)?;
            // What a codec with a delay gives first stands for the time before the first sample. RTMP, where frames of
            // AAC go, has no time before zero either.
            if self.next + samples as i64 > self.start && (self.next >= 0 || self.encoder.may_precede_zero())
            {
                let time = Timestamp::from_ticks(self.next, ClockRate::OPUS);
                out.push(Output::Frame(Frame::audio(time, packet)));
            }
            self.next += samples as i64; // a packet is short
            taken += len;
        }
        self.pending.drain(..taken);
        Ok(())
    }
}

impl RateMeter {
    /// Counts a packet; gives the rate at the end of each window.
    fn add(&mut self, time: Timestamp, bytes: usize) -> Option<u32> {
        let since = *self.since.get_or_insert(time);
        self.bytes += bytes;
        let span = time - since;
        if span < RATE_WINDOW {
            return None;
        }
        let bits = self.bytes as f64 * 8.0; // a measurement
        (self.since, self.bytes) = (Some(time), 0);
        Some((bits / span.as_secs_f64()) as u32)
    }
}

/// Interleaved samples of `from` channels on `to` channels, each 1 or 2: one on both sides, two in their middle.
fn spread(block: &mut Vec<f32>, from: usize, to: usize) {
    match (from, to) {
        (1, 2) => *block = block.iter().flat_map(|sample| [*sample; 2]).collect(),
        (2, 1) => {
            *block = block.chunks_exact(2).map(|pair| pair.iter().sum::<f32>() / 2.0).collect();
        }
        _ => {}
    }
}

const fn law(codec: Codec) -> Law {
    match codec {
        Codec::Pcma => Law::A,
        _ => Law::Mu,
    }
}

fn count_correction(kind: &'static str) {
    metrics::counter!("commonroom_bridge_audio_corrections_total", "kind" => kind).increment(1);
}

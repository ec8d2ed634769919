//! libopus behind [`Decoder`] and [`Encoder`].

use super::{CodecError, Decoder, Encoder, Format};
use crate::codec::opus::OpusConfig;
use crate::media::CodecParams;
use crate::time::ClockRate;
use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, Signal};
use bytes::Bytes;

/// 20 ms at 48 kHz: what browsers send themselves.
const FRAME: usize = 960;
/// The longest packet plays 120 ms.
const MAX_SAMPLES: usize = 5_760;
/// The longest packet libopus makes (RFC 6716, section 3.4: 1275 bytes a frame).
const MAX_PACKET: usize = 1_275;
/// At 5 libopus begins to look for a pitch: a quarter more time for 0.1 to 0.2 dB at these rates; 1 saves a tenth more.
const COMPLEXITY: u8 = 4;
/// Bits a second and channel.
const MIN_BITRATE: u32 = 32_000;
const MAX_BITRATE: u32 = 80_000;

/// Opus -> samples at 48 kHz.
pub(super) struct OpusDecoder {
    decoder: LibDecoder,
    channels: usize,
    buffer: Vec<f32>,
}

/// Samples at 48 kHz -> Opus.
pub(super) struct OpusEncoder {
    encoder: LibEncoder,
    channels: usize,
    delay: usize,
    bitrate: u32,
}

impl OpusDecoder {
    pub(super) fn new(config: OpusConfig) -> Result<Self, CodecError> {
        let (channels, layout) = layout(usize::from(config.channels));
        let decoder = LibDecoder::new(SampleRate::Hz48000, layout)?;
        Ok(Self { decoder, channels, buffer: vec![0.0; MAX_SAMPLES * channels] })
    }

    const fn format(&self) -> Format {
        Format { rate: ClockRate::OPUS, channels: self.channels }
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        let output = MutSignals::try_from(&mut self.buffer[..])?;
        let samples = self.decoder.decode_float(Some(packet.try_into()?), output, false)?;
        pcm.extend_from_slice(&self.buffer[..samples * self.channels]);
        Ok(self.format())
    }

    fn conceal(&mut self, samples: usize, next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError> {
        // libopus conceals in steps of 2.5 ms; the last of them may come from the next packet's redundancy.
        let samples = (samples / 120 * 120).min(MAX_SAMPLES);
        if samples == 0 {
            return Ok(());
        }
        let output = MutSignals::try_from(&mut self.buffer[..samples * self.channels])?;
        let made = self.decoder.decode_float(Some(next.try_into()?), output, true)?;
        pcm.extend_from_slice(&self.buffer[..made * self.channels]);
        Ok(())
    }
}

impl OpusEncoder {
    pub(super) fn new(channels: usize) -> Result<Self, CodecError> {
        let (channels, layout) = layout(channels);
        // CELT alone: at 32 kbit/s and channel libopus would choose it anyway, and look ahead 4 ms further.
        let mut encoder = LibEncoder::new(SampleRate::Hz48000, layout, Application::LowDelay)?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_signal(Signal::Music)?;
        let delay = encoder.lookahead()? as usize; // some hundred samples
        let mut this = Self { encoder, channels, delay, bitrate: 0 };
        this.set_bitrate(MIN_BITRATE * 3 / 2)?;
        Ok(this)
    }

    /// `bitrate` counts bits a second and channel.
    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        if self.bitrate != bitrate {
            self.bitrate = bitrate;
            let total = bitrate * self.channels as u32; // two channels at most
            self.encoder.set_bitrate(Bitrate::BitsPerSecond(total as i32))?; // within 160,000
        }
        Ok(())
    }
}

impl Encoder for OpusEncoder {
    fn frame_samples(&self) -> usize {
        FRAME
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn encode(&mut self, pcm: &[f32]) -> Result<Bytes, CodecError> {
        let mut packet = [0; MAX_PACKET];
        let len = self.encoder.encode_float(pcm, &mut packet[..])?;
        Ok(Bytes::copy_from_slice(&packet[..len]))
    }

    fn set_source_bitrate(&mut self, bits_per_second: u32) {
        // Opus needs some three quarters of AAC's rate. Steps of 8 kbit/s, so that it settles.
        let wanted = bits_per_second / self.channels as u32 * 3 / 4; // two channels at most
        let stepped = wanted.next_multiple_of(8_000).clamp(MIN_BITRATE, MAX_BITRATE);
        if stepped.abs_diff(self.bitrate) > 8_000
            && let Err(error) = self.set_bitrate(stepped)
        {
            tracing::debug!(%error, "the encoder keeps its bitrate");
        }
    }

    fn params(&self) -> CodecParams {
        CodecParams::Opus(OpusConfig { channels: self.channels as u8 }) // 1 or 2
    }
}

impl From<audiopus::Error> for CodecError {
    fn from(error: audiopus::Error) -> Self {
        Self(error.to_string())
    }
}

const fn layout(channels: usize) -> (usize, Channels) {
    if channels == 1 { (1, Channels::Mono) } else { (2, Channels::Stereo) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::opus::silence;

    /// Far below the step of 24 bits. libopus adds 1e-30, so that its filters never meet denormal numbers.
    const NOTHING: f32 = 1e-9;

    fn loudest(pcm: &[f32]) -> f32 {
        pcm.iter().fold(0.0, |loudest, sample| sample.abs().max(loudest))
    }

    #[test]
    fn silence_is_silent_and_what_follows_is_whole() {
        for channels in [1, 2] {
            let config = OpusConfig { channels };
            let tone: Vec<f32> = (0..FRAME * 100)
                .flat_map(|at| {
                    let sample = 0.5 * (at as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin();
                    vec![sample; channels.into()]
                })
                .collect();
            let mut encoder = OpusEncoder::new(channels.into()).unwrap();
            let packets: Vec<Bytes> =
                tone.chunks(FRAME * usize::from(channels)).map(|pcm| encoder.encode(pcm).unwrap()).collect();

            // Silence at the start, and in the middle of a tone that goes on as if nothing had been.
            let silent = vec![silence(config); 50];
            let live: Vec<&[u8]> = packets.iter().map(|packet| &packet[..]).collect();
            let mut decoder = OpusDecoder::new(config).unwrap();
            let mut play = |packets: &[&[u8]]| {
                let mut pcm = Vec::new();
                for packet in packets {
                    decoder.decode(packet, &mut pcm).unwrap();
                }
                assert_eq!(pcm.len(), packets.len() * FRAME * usize::from(channels));
                pcm
            };
            assert!(loudest(&play(&silent)) < NOTHING, "before anything was heard");
            assert!(loudest(&play(&live[..50])) > 0.45);
            // The end of the tone fades within the overlap of the first packet, and then the high-pass decays.
            assert!(loudest(&play(&silent)[2 * FRAME * usize::from(channels)..]) < NOTHING);

            let mut alone = OpusDecoder::new(config).unwrap();
            let mut wanted = Vec::new();
            for packet in &live {
                alone.decode(packet, &mut wanted).unwrap();
            }
            let wanted = &wanted[50 * FRAME * usize::from(channels)..];
            // What the encoder assumes of the packets before is forgotten within some of them.
            let after = play(&live[50..]);
            let settled = 10 * FRAME * usize::from(channels);
            let error = loudest(&after.iter().zip(wanted).map(|(a, b)| a - b).collect::<Vec<_>>()[settled..]);
            assert!(error < 0.01, "{error}");
            assert!(loudest(&after) < 0.7, "no burst");
        }
    }
}

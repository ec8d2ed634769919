//! AAC behind [`Decoder`] and [`Encoder`]. AAC-LC is decoded by Symphonia, which has no delay and costs a third; what it
//! does not know (HE-AAC, more than two channels) by FDK AAC, which also encodes.

use super::{CodecError, Decoder, Encoder, Format};
use crate::codec::aac::AudioSpecificConfig;
use crate::media::CodecParams;
use crate::time::ClockRate;
use bytes::Bytes;
use fdk_aac::enc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use symphonia_codec_aac::AacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units;

/// `audioObjectType` of AAC-LC.
const AAC_LC: u8 = 2;
/// Below this rate a stream that says it is AAC-LC may well be HE-AAC in disguise (implicit signalling).
const IMPLICIT_SBR: u32 = 24_000;
/// Samples of the longest packet of HE-AAC, all channels together.
const MAX_SAMPLES: usize = 2_048 * 8;
/// What SBR's analysis and synthesis delay, in samples of the output (ISO/IEC 14496-3, section 4.6.18).
const SBR_DELAY: usize = 962;
/// Bits a second and channel of what is encoded here.
const BITRATE: u32 = 64_000;
/// An AAC packet has at most 6144 bits a channel (ISO/IEC 14496-3, section 4.5.3.1).
const MAX_PACKET: usize = 2 * 6_144 / 8;

/// The decoder for a configuration.
pub(super) fn decoder(config: &AudioSpecificConfig) -> Result<Box<dyn Decoder>, CodecError> {
    let plain = config.profile() == AAC_LC
        && config.sample_rate().get() > IMPLICIT_SBR
        && config.channels() <= 2
        && config.frame_samples() == 1_024;
    if plain && let Ok(decoder) = LcDecoder::new(config.clone()) {
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(FdkDecoder::new(config)?))
}

struct LcDecoder {
    config: AudioSpecificConfig,
    decoder: AacDecoder,
    format: Format,
    block: Vec<f32>,
}

impl LcDecoder {
    fn new(config: AudioSpecificConfig) -> Result<Self, CodecError> {
        let decoder = symphonia(&config)?;
        let format = Format { rate: config.sample_rate(), channels: usize::from(config.channels()) };
        Ok(Self { config, decoder, format, block: Vec::new() })
    }
}

fn symphonia(config: &AudioSpecificConfig) -> Result<AacDecoder, CodecError> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_AAC).with_extra_data(config.bytes().to_vec().into());
    catch_unwind(|| AacDecoder::try_new(&params, &AudioDecoderOptions::default()))
        .map_err(|_| CodecError("the AAC decoder panicked".into()))?
        .map_err(|error| CodecError(error.to_string()))
}

impl Decoder for LcDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        let packet = PacketRef::new(0, units::Timestamp::ZERO, units::Duration::ZERO, packet);
        let (decoder, block) = (&mut self.decoder, &mut self.block);
        // The decoder indexes its tables by what a packet says. After a panic its state is worth nothing.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            decoder.decode_ref(&packet).map(|samples| samples.copy_to_vec_interleaved(block))
        }));
        match decoded {
            Ok(Ok(())) => {
                pcm.extend_from_slice(&self.block);
                Ok(self.format)
            }
            Ok(Err(error)) => Err(CodecError(error.to_string())),
            Err(_) => {
                metrics::counter!("commonroom_bridge_codec_panics_total").increment(1);
                self.decoder = symphonia(&self.config)?;
                Err(CodecError("the AAC decoder panicked".into()))
            }
        }
    }

    fn conceal(&mut self, samples: usize, _next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError> {
        pcm.resize(pcm.len() + samples * self.format.channels, 0.0);
        Ok(())
    }
}

struct FdkDecoder {
    decoder: fdk_aac::dec::Decoder,
    block: Vec<i16>,
    channels: usize,
    delay: usize,
}

impl FdkDecoder {
    fn new(config: &AudioSpecificConfig) -> Result<Self, CodecError> {
        let mut decoder = fdk_aac::dec::Decoder::new(fdk_aac::dec::Transport::Raw);
        decoder.config_raw(config.bytes())?;
        decoder.set_max_output_channels(2)?;
        Ok(Self { decoder, block: vec![0; MAX_SAMPLES], channels: 2, delay: 0 })
    }
}

impl Decoder for FdkDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        let taken = self.decoder.fill(packet)?;
        if taken < packet.len() {
            return Err(CodecError("an AAC packet larger than the decoder's buffer".into()));
        }
        self.decoder.decode_frame(&mut self.block)?;
        let info = self.decoder.stream_info();
        let rate = u32::try_from(info.sampleRate).ok().and_then(ClockRate::new);
        let rate = rate.ok_or_else(|| CodecError("no sample rate".into()))?;
        self.channels = usize::try_from(info.numChannels).unwrap_or(0).clamp(1, 2);
        // A frame for concealment and the limiter's look-ahead; SBR's part of it is the format's own.
        let format_delay = if info.sampleRate > info.aacSampleRate { SBR_DELAY } else { 0 };
        self.delay = (info.outputDelay as usize).saturating_sub(format_delay); // 32 bits fit
        let samples = self.block.iter().take(self.decoder.decoded_frame_size());
        pcm.extend(samples.map(|sample| f32::from(*sample) / 32_768.0));
        Ok(Format { rate, channels: self.channels })
    }

    fn conceal(&mut self, samples: usize, _next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError> {
        pcm.resize(pcm.len() + samples * self.channels, 0.0);
        Ok(())
    }

    fn delay(&self) -> usize {
        self.delay
    }
}

/// Samples at 48 kHz -> AAC-LC.
pub(super) struct AacEncoder {
    encoder: enc::Encoder,
    config: AudioSpecificConfig,
    frame_samples: usize,
    delay: usize,
    block: Vec<i16>,
}

impl AacEncoder {
    pub(super) fn new(channels: usize) -> Result<Self, CodecError> {
        Self::at(ClockRate::OPUS, channels)
    }

    /// The same at another rate than 48 kHz.
    pub(super) fn at(rate: ClockRate, channels: usize) -> Result<Self, CodecError> {
        let mono = channels == 1;
        let channels = if mono { 1 } else { 2 };
        let encoder = enc::Encoder::new(enc::EncoderParams {
            bit_rate: enc::BitRate::Cbr(BITRATE * u32::from(channels)),
            sample_rate: rate.get(),
            transport: enc::Transport::Raw,
            channels: if mono { enc::ChannelMode::Mono } else { enc::ChannelMode::Stereo },
            audio_object_type: enc::AudioObjectType::Mpeg4LowComplexity,
        })?;
        let info = encoder.info()?;
        let config = AudioSpecificConfig::aac_lc(rate.get(), channels);
        let config = config.ok_or_else(|| CodecError("no configuration".into()))?;
        let (frame_samples, delay) = (info.frameLength as usize, info.nDelay as usize); // 32 bits fit
        Ok(Self { encoder, config, frame_samples, delay, block: Vec::new() })
    }
}

impl Encoder for AacEncoder {
    fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn encode(&mut self, pcm: &[f32]) -> Result<Bytes, CodecError> {
        self.block.clear();
        // `as` saturates, which is what clipping is.
        self.block.extend(pcm.iter().map(|sample| (sample * 32_768.0).round() as i16));
        let mut packet = [0; MAX_PACKET];
        let encoded = self.encoder.encode(&self.block, &mut packet)?;
        packet
            .get(..encoded.output_size)
            .filter(|packet| !packet.is_empty() && encoded.input_consumed == pcm.len())
            .map(Bytes::copy_from_slice)
            .ok_or_else(|| CodecError("the AAC encoder kept its input".into()))
    }

    fn may_precede_zero(&self) -> bool {
        false
    }

    fn params(&self) -> CodecParams {
        CodecParams::Aac(self.config.clone())
    }
}

impl From<enc::EncoderError> for CodecError {
    fn from(error: enc::EncoderError) -> Self {
        Self(error.to_string())
    }
}

impl From<fdk_aac::dec::DecoderError> for CodecError {
    fn from(error: fdk_aac::dec::DecoderError) -> Self {
        Self(error.message().into())
    }
}

//! Audio transcoding: decode, align with the source's clock, resample to 48 kHz, encode.
//!
//! Samples are 32-bit floats, interleaved. Time behind a codec is counted in samples from one anchor and never summed
//! from rounded steps; the delays of decoder, resampler and encoder are subtracted exactly.

mod aac;
mod align;
#[cfg(feature = "transcode")]
mod downmix;
mod g711;
#[cfg(feature = "transcode")]
mod library;
mod opus;
mod plain;
mod resample;
mod stretch;
#[cfg(test)]
mod tests;
mod transcoder;

pub(super) use transcoder::Transcoder;

use crate::media::CodecParams;
use crate::time::ClockRate;
use bytes::Bytes;
use opus::OpusDecoder;
use plain::PlainDecoder;
use thiserror::Error;

/// The largest packet of sound that is decoded, in bytes: a second of linear PCM, and more than any other codec has.
const MAX_PACKET: usize = 256 << 10;

/// What samples mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Format {
    rate: ClockRate,
    /// 1 or 2.
    channels: usize,
}

/// A packet that cannot be decoded, or samples that cannot be encoded: the codec is sound, this piece is lost.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
struct CodecError(String);

/// A packet of sound is no longer than this: what is decoded of one is kept in memory, and coded at once.
const MAX_SECONDS: usize = 2;

/// Whether so many samples, of all channels together, are as long as a packet may be.
fn check_length(samples: usize, format: Format) -> Result<(), CodecError> {
    let most = format.rate.get() as usize * MAX_SECONDS; // 32 bits fit
    if samples / format.channels.max(1) > most {
        return Err(CodecError(format!("a packet of more than {MAX_SECONDS} s")));
    }
    Ok(())
}

/// The decoder for what a track carries.
fn decoder(params: &CodecParams) -> Result<Box<dyn Decoder>, CodecError> {
    match params {
        CodecParams::Aac(config) => aac::decoder(config),
        CodecParams::Opus(config) => Ok(Box::new(OpusDecoder::new(*config)?)),
        CodecParams::Sound(config) => match PlainDecoder::new(config) {
            Some(decoder) => Ok(Box::new(decoder)),
            #[cfg(feature = "transcode")]
            None => Ok(Box::new(library::LibraryDecoder::new(config)?)),
            #[cfg(not(feature = "transcode"))]
            None => {
                Err(CodecError(format!("{} takes FFmpeg's libraries, which this build lacks", config.codec)))
            }
        },
        CodecParams::H264(_)
        | CodecParams::Vp8
        | CodecParams::Sorenson
        | CodecParams::Vp6
        | CodecParams::Hevc(_)
        | CodecParams::Av1(_)
        | CodecParams::Vp9(_) => Err(CodecError("a picture".into())),
    }
}

/// Packets -> samples.
trait Decoder: Send {
    /// Decodes one packet behind the end of `pcm`, and says in which format.
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError>;

    /// Makes up `samples` a channel for packets that were lost before `next`, which may hold a coarse copy of them.
    fn conceal(&mut self, samples: usize, next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError>;

    /// By how many samples what came out last is later than it should. By convention a packet's time is that of the first
    /// sample which its decoding gives: what the format itself delays (AAC's overlap, SBR's filters, Opus's look-ahead)
    /// is the encoder's to allow for, what a library adds is not.
    fn delay(&self) -> usize {
        0
    }
}

/// Samples at 48 kHz -> packets.
trait Encoder: Send {
    /// Samples a channel in one packet.
    fn frame_samples(&self) -> usize;

    /// By how many samples a decoder's output is later than what went in.
    fn delay(&self) -> usize;

    /// Encodes the samples of one packet.
    fn encode(&mut self, pcm: &[f32]) -> Result<Bytes, CodecError>;

    /// Whether packets may have times before the stream's origin.
    fn may_precede_zero(&self) -> bool {
        true
    }

    /// Learns how many bits a second the source spends.
    fn set_source_bitrate(&mut self, _bits_per_second: u32) {}

    /// What a decoder must know.
    fn params(&self) -> CodecParams;
}

//! FFmpeg's decoders of sound behind [`Decoder`], and behind a guard: what comes from a peer has a largest packet, and what
//! it becomes a largest number of samples, a range of rates and of channels. Compiled with the feature `transcode`.

use super::downmix::to_stereo;
use super::{CodecError, Decoder, Format, MAX_PACKET};
use crate::codec::Codec;
use crate::codec::sound::SoundConfig;
use crate::time::ClockRate;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, decoder};
use ffmpeg_next::format::Sample;
use ffmpeg_next::{Dictionary, Packet, log};
use std::ops::RangeInclusive;

/// Samples a channel that one packet may become: more than a second of any of these codecs.
const MAX_SAMPLES: usize = 65_536;
/// Frames that one packet may hold: Speex has up to 64.
const MAX_FRAMES: usize = 64;
const MAX_CHANNELS: usize = 8;
/// Samples a second. The resampler would take a second at a time of a rate that has nothing in common with 48 kHz.
const RATES: RangeInclusive<u32> = 5_000..=192_000;

/// Decodes the packets of one track.
pub(super) struct LibraryDecoder {
    config: SoundConfig,
    decoder: decoder::Audio,
    format: Option<Format>,
    /// The samples of a frame, all channels as they came.
    frame: Vec<f32>,
}

impl LibraryDecoder {
    pub(super) fn new(config: &SoundConfig) -> Result<Self, CodecError> {
        Ok(Self { config: config.clone(), decoder: open(config)?, format: None, frame: Vec::new() })
    }

    /// Takes the samples of one frame behind the end of `pcm`.
    fn take(&mut self, frame: &ffmpeg::frame::Audio, pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        let channels = usize::from(frame.channels());
        let rate = Some(frame.rate()).filter(|rate| RATES.contains(rate)).and_then(ClockRate::new);
        let rate = rate.ok_or_else(|| CodecError(format!("sound of {} Hz", frame.rate())))?;
        if !(1..=MAX_CHANNELS).contains(&channels) || frame.samples() > MAX_SAMPLES {
            return Err(CodecError(format!("{} samples of {channels} channels", frame.samples())));
        }
        self.frame.clear();
        interleave(frame, channels, &mut self.frame)?;
        let format = Format { rate, channels: channels.min(2) };
        if self.format.is_some_and(|before| before != format) && !pcm.is_empty() {
            return Err(CodecError("a packet of several formats".into()));
        }
        self.format = Some(format);
        if channels <= 2 {
            pcm.extend_from_slice(&self.frame);
        } else {
            to_stereo(&self.frame, channels, pcm);
        }
        Ok(format)
    }
}

fn open(config: &SoundConfig) -> Result<decoder::Audio, CodecError> {
    let name = match config.codec {
        Codec::Adpcm => "adpcm_swf",
        Codec::Mp3 => "mp3float",
        // FFmpeg's own; it knows what Flash does without a header.
        Codec::Speex => "speex",
        Codec::Nellymoser => "nellymoser",
        Codec::Ac3 => "ac3",
        Codec::Eac3 => "eac3",
        Codec::Flac => "flac",
        other => return Err(CodecError(format!("no decoder for {other}"))),
    };
    // It writes to standard error by itself, at the pace of whoever sends rubbish.
    log::set_level(log::Level::Fatal);
    let missing = || CodecError(format!("this FFmpeg has no {}", config.codec));
    let found = decoder::find_by_name(name).ok_or_else(missing)?;
    let mut options = Dictionary::new();
    options.set("ar", &config.rate.get().to_string());
    options.set("ch_layout", if config.channels == 1 { "mono" } else { "stereo" });
    options.set("max_samples", &MAX_SAMPLES.to_string());
    options.set("threads", "1");
    let context = codec::Context::new_with_codec(found);
    let mut decoder = context.decoder().open_as_with(found, options)?.audio()?;
    if config.codec == Codec::Flac && !config.record.is_empty() {
        // FFmpeg's takes its header as a packet, too.
        decoder.send_packet(&Packet::copy(&config.record))?;
        let _no_sound_in_it = decoder.receive_frame(&mut ffmpeg::frame::Audio::empty());
    }
    Ok(decoder)
}

/// The samples of all channels in turn, from whatever form the decoder gives them in.
fn interleave(frame: &ffmpeg::frame::Audio, channels: usize, pcm: &mut Vec<f32>) -> Result<(), CodecError> {
    let samples = frame.samples();
    let format = frame.format();
    let size = format.bytes();
    let (planes, in_a_row) = if format.is_planar() { (channels, 1) } else { (1, channels) };
    if frame.planes() < planes || (0..planes).any(|plane| frame.data(plane).len() < samples * in_a_row * size)
    {
        return Err(CodecError("a frame without its samples".into()));
    }
    let convert: fn(&[u8]) -> f32 = match format {
        Sample::U8(_) => |bytes| bytes.first().map_or(0.0, |byte| (f32::from(*byte) - 128.0) / 128.0),
        Sample::I16(_) => {
            |bytes| bytes.try_into().map_or(0.0, |b| f32::from(i16::from_ne_bytes(b)) / 32_768.0)
        }
        // The lowest bits of 32 are below what a float holds.
        Sample::I32(_) => {
            |bytes| bytes.try_into().map_or(0.0, |b| i32::from_ne_bytes(b) as f32 / 2_147_483_648.0)
        }
        Sample::F32(_) => |bytes| bytes.try_into().map_or(0.0, f32::from_ne_bytes),
        other => return Err(CodecError(format!("samples of the form {other:?}"))),
    };
    let start = pcm.len();
    pcm.resize(start + samples * channels, 0.0);
    for plane in 0..planes {
        let source = frame.data(plane).chunks_exact(size).take(samples * in_a_row);
        let step = if planes == 1 { 1 } else { channels };
        let target = pcm.iter_mut().skip(start + plane).step_by(step);
        for (to, bytes) in target.zip(source) {
            *to = convert(bytes);
        }
    }
    Ok(())
}

impl LibraryDecoder {
    /// All that the decoder has to give: the sound of one packet, which is short.
    fn frames(&mut self, pcm: &mut Vec<f32>) -> Result<Option<Format>, CodecError> {
        let (mut last, before) = (None, pcm.len());
        for _ in 0..MAX_FRAMES {
            let mut frame = ffmpeg::frame::Audio::empty();
            if self.decoder.receive_frame(&mut frame).is_err() {
                return Ok(last);
            }
            let format = self.take(&frame, pcm)?;
            super::check_length(pcm.len() - before, format)?;
            last = Some(format);
        }
        Err(CodecError("a packet of too many frames".into()))
    }
}

impl Decoder for LibraryDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        if packet.is_empty() || packet.len() > MAX_PACKET {
            return Err(CodecError(format!("a packet of {} bytes", packet.len())));
        }
        let sent = self.decoder.send_packet(&Packet::copy(packet));
        let frames = self.frames(pcm);
        if frames.is_err() || sent.is_err() {
            // What is left of this packet is not to come out as part of the next.
            self.decoder.flush();
        }
        match (sent, frames?) {
            (_, Some(format)) => Ok(format),
            (Err(error), None) => Err(error.into()),
            // MP3 looks one frame ahead where its bits reach back to one that was lost.
            (Ok(()), None) => self.format.ok_or_else(|| CodecError("no sound in it".into())),
        }
    }

    fn conceal(&mut self, samples: usize, _next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError> {
        let channels =
            self.format.map_or_else(|| usize::from(self.config.channels.min(2)), |format| format.channels);
        pcm.resize(pcm.len() + samples * channels, 0.0);
        Ok(())
    }
}

impl From<ffmpeg::Error> for CodecError {
    fn from(error: ffmpeg::Error) -> Self {
        Self(error.to_string())
    }
}

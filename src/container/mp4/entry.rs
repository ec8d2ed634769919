//! Sample entries: what a decoder must know before the first sample.

use super::{AUDIO_ID, VIDEO_ID};
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::h264::{AvcConfig, HeaderError, Sps};
use crate::codec::opus::OpusConfig;
use crate::time::ClockRate;
use mp4_atom::{Atom, Audio, Avc1, Avc3, Avcc, Codec, Dops, Esds, Mp4a, Opus, Visual, esds};

/// Pictures of a file. Other codecs come here with their own entry.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VideoEntry {
    /// `avc3` while the file grows: the parameter sets given here, and from their first change on in band.
    H264(AvcConfig),
}

/// Sound of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AudioEntry {
    /// `mp4a`, HE-AAC too.
    Aac(AudioSpecificConfig),
    /// `Opus` (Encapsulation of Opus in ISO BMFF 0.8.1).
    Opus(OpusConfig),
}

/// A track as its boxes describe it.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) id: u32,
    pub(super) timescale: ClockRate,
    /// Shown size; 0 by 0 for sound.
    pub(super) size: (u16, u16),
    pub(super) codec: Codec,
}

/// ISO/IEC 14496-1, table 5: audio of ISO/IEC 14496-3.
const OBJECT_TYPE_AAC: u8 = 0x40;
/// ISO/IEC 14496-1, table 6.
const STREAM_TYPE_AUDIO: u8 = 5;

impl VideoEntry {
    pub(super) fn describe(&self) -> Result<Description, HeaderError> {
        let Self::H264(config) = self;
        let sps = Sps::parse(config.sps().first().ok_or(HeaderError::Malformed)?)?;
        let side = |length: u32| u16::try_from(length).map_err(|_| HeaderError::OutOfRange);
        let (width, height) = (side(sps.width)?, side(sps.height)?);
        let visual = Visual { width, height, ..Visual::default() };
        let codec = Codec::Avc3(Avc3 { visual, avcc: avcc(config)?, ..Avc3::default() });
        Ok(Description { id: VIDEO_ID, timescale: ClockRate::VIDEO, size: (width, height), codec })
    }
}

impl AudioEntry {
    pub(super) fn describe(&self) -> Description {
        let (timescale, codec) = match self {
            Self::Aac(config) => (config.sample_rate(), Codec::Mp4a(aac(config))),
            Self::Opus(config) => (ClockRate::OPUS, Codec::Opus(opus(*config))),
        };
        Description { id: AUDIO_ID, timescale, size: (0, 0), codec }
    }
}

/// The entry of a finished file: `avc1` promises that no parameter sets come in band.
pub(super) fn without_sets_in_band(codec: Codec) -> Codec {
    match codec {
        Codec::Avc3(Avc3 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial }) => {
            Codec::Avc1(Avc1 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial })
        }
        other => other,
    }
}

/// The box as the one writer of that record makes it.
fn avcc(config: &AvcConfig) -> Result<Avcc, HeaderError> {
    Avcc::decode_body(&mut &config.to_record()[..]).map_err(|_| HeaderError::Malformed)
}

fn aac(config: &AudioSpecificConfig) -> Mp4a {
    let dec_specific =
        esds::DecoderSpecific { profile: 0, freq_index: 0, chan_conf: 0, raw: config.bytes().to_vec() };
    let dec_config = esds::DecoderConfig {
        object_type_indication: OBJECT_TYPE_AAC,
        stream_type: STREAM_TYPE_AUDIO,
        dec_specific: Some(dec_specific),
        ..esds::DecoderConfig::default()
    };
    let es_desc = esds::EsDescriptor { dec_config, ..esds::EsDescriptor::default() };
    Mp4a {
        audio: audio(config.channels(), config.sample_rate()),
        esds: Esds { es_desc },
        btrt: None,
        taic: None,
    }
}

fn opus(config: OpusConfig) -> Opus {
    let dops = Dops {
        output_channel_count: config.channels,
        // The stream is joined on its way: no beginning of an encoder's is there to be left out.
        pre_skip: 0,
        input_sample_rate: ClockRate::OPUS.get(),
        output_gain: 0,
        channel_mapping: None,
    };
    Opus { audio: audio(config.channels, ClockRate::OPUS), dops, btrt: None }
}

fn audio(channels: u8, rate: ClockRate) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        // 16.16 holds no 88,200: then it stands in the codec's own record alone.
        sample_rate: u16::try_from(rate.get()).unwrap_or(0).into(),
    }
}

//! Sample entries: what a decoder must know before the first sample.

use super::{AUDIO_ID, VIDEO_ID};
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::av1::Av1Config;
use crate::codec::h264::{AvcConfig, HeaderError, Sps};
use crate::codec::hevc::HevcConfig;
use crate::codec::opus::OpusConfig;
use crate::codec::vp9::Vp9Config;
use crate::time::ClockRate;
use mp4_atom::{
    Atom, Audio, Av01, Avc1, Avc3, Codec, Dops, Esds, Hev1, Hvc1, Mp4a, Opus, Visual, Vp09, esds,
};

/// Pictures of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VideoEntry {
    /// `avc3` while the file grows: the parameter sets given here, and from their first change on in band.
    H264(AvcConfig),
    /// `hev1` while the file grows: likewise.
    Hevc(HevcConfig),
    /// `av01`: each key frame has its sequence header.
    Av1(Av1Config),
    /// `vp09`.
    Vp9(Vp9Config),
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

/// The only entry of `dref`, which says that the samples are in the file itself: they count from 1.
const DATA_REFERENCE: u16 = 1;
/// ISO/IEC 14496-1, table 5: audio of ISO/IEC 14496-3.
const OBJECT_TYPE_AAC: u8 = 0x40;
/// ISO/IEC 14496-1, table 6.
const STREAM_TYPE_AUDIO: u8 = 5;

impl VideoEntry {
    pub(super) fn describe(&self) -> Result<Description, HeaderError> {
        let (size, record) = match self {
            Self::H264(config) => {
                let sps = Sps::parse(config.sps().first().ok_or(HeaderError::Malformed)?)?;
                ((sps.width, sps.height), config.to_record())
            }
            Self::Hevc(config) => ((config.said().width, config.said().height), config.to_record()),
            Self::Av1(config) => ((config.said().width, config.said().height), config.to_record()),
            Self::Vp9(config) => ((config.key().width, config.key().height), config.to_record()),
        };
        let side = |length: u32| u16::try_from(length).map_err(|_| HeaderError::OutOfRange);
        let (width, height) = (side(size.0)?, side(size.1)?);
        let visual = Visual { data_reference_index: DATA_REFERENCE, width, height, ..Visual::default() };
        let codec = match self {
            Self::H264(_) => Codec::Avc3(Avc3 { visual, avcc: read(&record)?, ..Avc3::default() }),
            Self::Hevc(_) => Codec::Hev1(Hev1 { visual, hvcc: read(&record)?, ..Hev1::default() }),
            Self::Av1(_) => Codec::Av01(Av01 { visual, av1c: read(&record)?, ..Av01::default() }),
            Self::Vp9(_) => Codec::Vp09(Vp09 { visual, vpcc: read(&record)?, ..Vp09::default() }),
        };
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

/// The entry of a finished file: `avc1` and `hvc1` promise that no parameter sets come in band.
pub(super) fn without_sets_in_band(codec: Codec) -> Codec {
    match codec {
        Codec::Avc3(Avc3 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial }) => {
            Codec::Avc1(Avc1 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial })
        }
        Codec::Hev1(Hev1 { visual, hvcc, lhvc, btrt, colr, pasp, taic, fiel, spatial }) => {
            Codec::Hvc1(Hvc1 { visual, hvcc, lhvc, btrt, colr, pasp, taic, fiel, spatial, ccst: None })
        }
        other => other,
    }
}

/// A box as the one writer of its record makes it.
fn read<B: Atom>(record: &[u8]) -> Result<B, HeaderError> {
    B::decode_body(&mut &record[..]).map_err(|_| HeaderError::Malformed)
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
        data_reference_index: DATA_REFERENCE,
        channel_count: channels.into(),
        sample_size: 16,
        // 16.16 holds no 88,200: then it stands in the codec's own record alone.
        sample_rate: u16::try_from(rate.get()).unwrap_or(0).into(),
    }
}

//! AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1), and silence under it.

use crate::time::ClockRate;
use crate::wire::{BitReader, BitWriter, Truncated};
use bytes::Bytes;
use std::ops::RangeInclusive;
use thiserror::Error;

/// `samplingFrequencyIndex` 0 to 12.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const ESCAPE: u32 = 15;
/// `audioObjectType`.
const SBR: u32 = 5;
const PS: u32 = 29;
/// `syncExtensionType`.
const SBR_FOLLOWS: u32 = 0x2b7;
const PS_FOLLOWS: u32 = 0x548;
/// What stands behind the escape: as indices have it. A packet of 1 Hz would last seventeen minutes.
const RATES: RangeInclusive<u32> = 7_350..=96_000;
/// The longest record that is taken, in bytes. Without a program config element, which is refused, it has ten at most.
const MAX_LEN: usize = 256;

/// What an AAC decoder must know before the first packet; FLV calls it the AAC sequence header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioSpecificConfig {
    bytes: Bytes,
    object_type: u8,
    sample_rate: ClockRate,
    channels: u8,
    frame_samples: u16,
    extension: Extension,
}

/// What SBR and PS make of the core coder's sound, as far as the record says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Extension {
    /// The rate of what is heard.
    sbr: Option<ClockRate>,
    ps: bool,
}

/// Why a configuration cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AacConfigError {
    /// It ends too early.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A reserved rate index, or a rate of 0.
    #[error("reserved sample rate")]
    SampleRate,
    /// `channelConfiguration` 0 (a program config element) or one that is reserved.
    #[error("channel configuration {0} is not supported")]
    Channels(u8),
    /// No real one comes near this.
    #[error("a record of more than {MAX_LEN} bytes")]
    TooLong,
}

/// `id_syn_ele` (ISO/IEC 14496-3, table 4.85).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Element {
    Single = 0,
    Pair = 1,
    Low = 3,
}

/// Which elements a packet has, by the number of channels (table 1.19; no configuration has seven).
const ELEMENTS: [&[Element]; 8] = {
    use Element::{Low, Pair, Single};
    [
        &[Single],
        &[Pair],
        &[Single, Pair],
        &[Single, Pair, Single],
        &[Single, Pair, Pair],
        &[Single, Pair, Pair, Low],
        &[],
        &[Single, Pair, Pair, Pair, Low],
    ]
};

impl AudioSpecificConfig {
    /// AAC-LC of 1024 samples a packet; `None` for a rate without an index or more than 2 channels.
    pub fn aac_lc(sample_rate: u32, channels: u8) -> Option<Self> {
        let index = SAMPLE_RATES.iter().position(|rate| *rate == sample_rate)? as u16; // below 13
        let bits = 2 << 11 | index << 7 | u16::from(channels) << 3;
        (1..=2).contains(&channels).then_some(())?;
        Self::parse(Bytes::copy_from_slice(&bits.to_be_bytes())).ok()
    }

    /// Reads the record. Rate and channels are those of the core; what HE-AAC makes of them is told apart.
    pub fn parse(bytes: Bytes) -> Result<Self, AacConfigError> {
        if bytes.len() > MAX_LEN {
            return Err(AacConfigError::TooLong);
        }
        let mut bits = BitReader::new(&bytes);
        let object_type = match bits.bits(5)? {
            31 => 32 + bits.bits(6)?,
            other => other,
        };
        let sample_rate = rate(&mut bits)?;
        let channels = match bits.bits(4)? as u8 {
            count @ 1..=6 => count,
            7 => 8,
            other => return Err(AacConfigError::Channels(other)),
        };
        let mut extension = Extension::default();
        if matches!(object_type, SBR | PS) {
            extension = Extension { sbr: Some(rate(&mut bits)?), ps: object_type == PS };
            bits.bits(5)?; // the core's own type
        }
        // GASpecificConfig: frameLengthFlag.
        let short = bits.bit().unwrap_or(false);
        if extension.sbr.is_none() {
            extension = behind(&mut bits).unwrap_or_default();
        }
        let (object_type, frame_samples) = (object_type as u8, if short { 960 } else { 1024 }); // at most 95
        Ok(Self { bytes, object_type, sample_rate, channels, frame_samples, extension })
    }

    /// A packet of silence, one of the core coder's: as long as every other. `None` for object types whose packets are laid
    /// out in another way (low delay, scalable), which no publisher over RTMP sends.
    pub fn silence(&self) -> Option<Bytes> {
        // Of the types that follow table 4.50: Main, LC, LTP; and SBR and PS around them.
        matches!(self.object_type, 1 | 2 | 4 | 5 | 29).then_some(())?;
        let elements = ELEMENTS.get(usize::from(self.channels).checked_sub(1)?)?;
        let mut bits = BitWriter::default();
        let mut tags = [0; 4];
        for element in *elements {
            let kind = *element as usize;
            let tag = tags.get_mut(kind)?;
            bits.bits(*element as u32, 3);
            bits.bits(*tag, 4); // element_instance_tag
            *tag += 1;
            if *element == Element::Pair {
                bits.bit(true); // common_window
                window_without_bands(&mut bits);
                bits.bits(0, 2); // ms_mask_present
                (0..2).for_each(|_| nothing_in_channel(&mut bits));
            } else {
                bits.bits(0, 8); // global_gain
                window_without_bands(&mut bits);
                bits.bits(0, 3); // no pulses, no noise shaping, no gain control
            }
        }
        bits.bits(7, 3); // ID_END
        Some(bits.into_bytes().into())
    }

    /// The record as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `audioObjectType`: 2 is LC, 5 SBR (HE-AAC), 29 PS (HE-AAC v2).
    pub const fn object_type(&self) -> u8 {
        self.object_type
    }

    /// What it is to those who know the extensions, even where it says so only behind the core's: 2, 5 or 29 of LC.
    pub const fn profile(&self) -> u8 {
        match self.extension {
            Extension { ps: true, .. } => PS as u8,
            Extension { sbr: Some(_), .. } => SBR as u8,
            Extension { .. } => self.object_type,
        }
    }

    /// Samples a second and channel of what is heard: with SBR twice those of the core, as a rule. Where nothing is said of SBR
    /// the packets may have it all the same.
    pub fn output_rate(&self) -> ClockRate {
        self.extension.sbr.unwrap_or(self.sample_rate)
    }

    /// Channels of what is heard: PS makes two of one.
    pub const fn output_channels(&self) -> u8 {
        if self.extension.ps { 2 } else { self.channels }
    }

    /// Samples a second and channel of the core coder.
    pub const fn sample_rate(&self) -> ClockRate {
        self.sample_rate
    }

    /// Channels of the core coder, 1 to 8.
    pub const fn channels(&self) -> u8 {
        self.channels
    }

    /// Samples a channel in one packet of the core coder: 1024, or rarely 960.
    pub const fn frame_samples(&self) -> u16 {
        self.frame_samples
    }
}

/// `samplingFrequencyIndex`, and what stands behind the escape.
fn rate(bits: &mut BitReader<'_>) -> Result<ClockRate, AacConfigError> {
    let rate = match bits.bits(4)? {
        ESCAPE => Some(bits.bits(24)?).filter(|rate| RATES.contains(rate)),
        index => SAMPLE_RATES.get(index as usize).copied(), // 4 bits
    };
    rate.and_then(ClockRate::new).ok_or(AacConfigError::SampleRate)
}

/// What stands behind a GASpecificConfig, from its second flag on, for those who know the extensions.
fn behind(bits: &mut BitReader<'_>) -> Result<Extension, AacConfigError> {
    if bits.bit()? {
        bits.bits(14)?; // coreCoderDelay
    }
    bits.bit()?; // extensionFlag
    if bits.bits(11)? != SBR_FOLLOWS || bits.bits(5)? != SBR || !bits.bit()? {
        return Ok(Extension::default());
    }
    let sbr = Some(rate(bits)?);
    let ps = bits.remaining() >= 12 && bits.bits(11)? == PS_FOLLOWS && bits.bit()?;
    Ok(Extension { sbr, ps })
}

/// `ics_info` of a long window with `max_sfb` 0 (table 4.6): no bands, so no spectrum.
fn window_without_bands(bits: &mut BitWriter) {
    bits.bits(0, 4); // reserved, window_sequence, window_shape
    bits.bits(0, 6); // max_sfb
    bits.bit(false); // predictor_data_present
}

/// `individual_channel_stream` under a common window (table 4.50).
fn nothing_in_channel(bits: &mut BitWriter) {
    bits.bits(0, 8); // global_gain
    bits.bits(0, 3); // no pulses, no noise shaping, no gain control
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_obs_and_ffmpeg_send() {
        let config = AudioSpecificConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
        assert_eq!((config.object_type(), config.sample_rate().get(), config.channels()), (2, 44_100, 2));
        // ffmpeg appends an explicit "no SBR" extension.
        let config = AudioSpecificConfig::parse(Bytes::from_static(&[0x11, 0x90, 0x56, 0xe5, 0x00])).unwrap();
        assert_eq!(
            (config.sample_rate().get(), config.channels(), config.frame_samples()),
            (48_000, 2, 1024)
        );
    }

    #[test]
    fn makes_its_own() {
        assert_eq!(AudioSpecificConfig::aac_lc(48_000, 2).unwrap().bytes()[..], [0x11, 0x90]);
        assert_eq!(AudioSpecificConfig::aac_lc(47_999, 2), None);
        assert_eq!(AudioSpecificConfig::aac_lc(48_000, 3), None);
    }

    #[test]
    fn he_aac_says_so_in_three_ways() {
        let said = |record: &'static [u8]| {
            let config = AudioSpecificConfig::parse(Bytes::from_static(record)).unwrap();
            let heard = (config.output_rate().get(), config.output_channels());
            (config.profile(), (config.sample_rate().get(), config.channels()), heard)
        };
        // Explicit: SBR of 22.05 kHz to 44.1 kHz, and PS.
        assert_eq!(said(&[0x2b, 0x92, 0x08, 0x00]), (5, (22_050, 2), (44_100, 2)));
        assert_eq!(said(&[0xeb, 0x8a, 0x08, 0x00]), (29, (22_050, 1), (44_100, 2)));
        // For those who know only LC: behind it.
        assert_eq!(said(&[0x13, 0x90, 0x56, 0xe5, 0xa0]), (5, (22_050, 2), (44_100, 2)));
        assert_eq!(said(&[0x13, 0x88, 0x56, 0xe5, 0xa5, 0x48, 0x80]), (29, (22_050, 1), (44_100, 2)));
        // Not said: the packets tell.
        assert_eq!(said(&[0x13, 0x90]), (2, (22_050, 2), (22_050, 2)));
        assert_eq!(said(&[0x11, 0x90, 0x56, 0xe5, 0x00]), (2, (48_000, 2), (48_000, 2)));
    }

    #[test]
    fn refuses_what_it_cannot_describe() {
        assert_eq!(AudioSpecificConfig::parse(Bytes::new()), Err(Truncated.into()));
        assert_eq!(
            AudioSpecificConfig::parse(Bytes::from_static(&[0x16, 0x90])),
            Err(AacConfigError::SampleRate)
        );
        assert_eq!(
            AudioSpecificConfig::parse(Bytes::from_static(&[0x11, 0x80])),
            Err(AacConfigError::Channels(0))
        );
        let of = |record: [u8; 5]| AudioSpecificConfig::parse(Bytes::copy_from_slice(&record));
        assert_eq!(of([0x17, 0x80, 0, 0, 0x90]), Err(AacConfigError::SampleRate), "1 Hz");
        assert_eq!(of([0x17, 0x80, 0x56, 0x22, 0x10]).unwrap().sample_rate().get(), 44_100);
        let padded = |length| {
            let mut record = vec![0x12, 0x10];
            record.resize(length, 0);
            AudioSpecificConfig::parse(record.into())
        };
        assert!(padded(MAX_LEN).is_ok());
        assert_eq!(padded(MAX_LEN + 1), Err(AacConfigError::TooLong));
    }

    #[test]
    fn silence_is_laid_out_by_channels() {
        let of = |channels| AudioSpecificConfig::aac_lc(48_000, channels).unwrap().silence().unwrap();
        assert_eq!(of(1)[..], [0, 0, 0, 0x07]);
        assert_eq!(of(2)[..], [0x21, 0, 0, 0, 0, 0x07 << 2]);
        let with = |bytes: &'static [u8]| AudioSpecificConfig::parse(Bytes::from_static(bytes)).unwrap();
        let surround = with(&[0x11, 0xb0]);
        assert_eq!((surround.channels(), surround.silence().unwrap().len()), (6, 19));
        assert!(with(&[0x2b, 0x92, 0x08, 0x00]).silence().is_some(), "HE-AAC");
        assert_eq!(with(&[0xb9, 0x90]).silence(), None, "low delay");
    }
}

//! Sound beside AAC and Opus: codecs whose packets say nearly all that a decoder must know.

use super::Codec;
use crate::time::ClockRate;
use crate::wire::BitReader;
use bytes::Bytes;

/// What is said of such sound outside its packets. Where packets say it too, as those of MP3 do, they are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoundConfig {
    /// One of [`SoundConfig::CODECS`].
    pub codec: Codec,
    /// Samples a second and channel.
    pub rate: ClockRate,
    /// At least 1.
    pub channels: u8,
    /// Bits of a sample of linear PCM: 8 (unsigned) or 16 (signed, the low byte first).
    pub bits: u8,
    /// The decoder's own header, where the codec has one and the publisher sends it.
    pub record: Bytes,
}

impl SoundConfig {
    /// All codecs that are described so.
    pub const CODECS: [Codec; 10] = [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::Pcm,
        Codec::Adpcm,
        Codec::Mp3,
        Codec::Speex,
        Codec::Nellymoser,
        Codec::Ac3,
        Codec::Eac3,
        Codec::Flac,
    ];

    /// Sound of 16 bits a sample without a header.
    pub const fn new(codec: Codec, rate: ClockRate, channels: u8) -> Self {
        Self { codec, rate, channels, bits: 16, record: Bytes::new() }
    }

    /// G.711 as telephones and WebRTC have it: 8 kHz, one channel.
    pub const fn telephone(codec: Codec) -> Self {
        Self::new(codec, ClockRate::TELEPHONE, 1)
    }

    /// As the head of a packet of MP3, AC-3 or E-AC-3 says; `None` where it has none, or the codec says nothing there.
    pub fn of_packet(codec: Codec, packet: &[u8]) -> Option<Self> {
        let bits = BitReader::new(packet);
        let (rate, channels) = match codec {
            Codec::Mp3 => mp3(bits)?,
            Codec::Ac3 => ac3(bits)?,
            Codec::Eac3 => eac3(bits)?,
            _ => return None,
        };
        Some(Self::new(codec, ClockRate::new(rate)?, channels))
    }

    /// As the header of a FLAC stream says: `fLaC` and the block STREAMINFO (RFC 9639, section 8.2). FFmpeg leaves out what
    /// stands before the block's content.
    pub fn of_flac(record: &[u8]) -> Option<Self> {
        const HEAD: &[u8; 8] = b"fLaC\x80\x00\x00\x22";
        const INFO: usize = 34;
        let info = match record.strip_prefix(b"fLaC") {
            Some([kind, _, _, _, info @ ..]) if kind & 0x7f == 0 => info.get(..INFO)?,
            Some(_) => return None,
            None => Some(record).filter(|record| record.len() == INFO)?,
        };
        let mut bits = BitReader::new(info.get(10..)?);
        let (rate, channels) = (bits.bits(20).ok()?, bits.bits(3).ok()? as u8 + 1);
        let record = [&HEAD[..], info].concat().into();
        Some(Self { record, ..Self::new(Codec::Flac, ClockRate::new(rate)?, channels) })
    }

    /// As WebCodecs registers it, for players and people.
    pub const fn codec_string(&self) -> &'static str {
        match self.codec {
            Codec::Pcmu => "ulaw",
            Codec::Pcma => "alaw",
            Codec::Pcm if self.bits == 8 => "pcm-u8",
            Codec::Pcm => "pcm-s16",
            Codec::Adpcm => "adpcm",
            Codec::Mp3 => "mp3",
            Codec::Speex => "speex",
            Codec::Nellymoser => "nellymoser",
            Codec::Ac3 => "ac-3",
            Codec::Eac3 => "ec-3",
            Codec::Flac => "flac",
            other => other.as_str(),
        }
    }
}

/// The head of a frame (ISO/IEC 11172-3, section 2.4.1.3, and what MPEG-2 and its unofficial extension made of it).
fn mp3(mut bits: BitReader<'_>) -> Option<(u32, u8)> {
    const RATES: [u32; 3] = [44_100, 48_000, 32_000];
    (bits.bits(11).ok()? == 0x7ff).then_some(())?;
    let halvings = match bits.bits(2).ok()? {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    (bits.bits(2).ok()? == 1).then_some(())?; // layer III
    bits.bits(5).ok()?; // protection, bit rate
    let rate = *RATES.get(bits.bits(2).ok()? as usize)?;
    bits.bits(2).ok()?;
    let mono = bits.bits(2).ok()? == 3;
    Some((rate >> halvings, if mono { 1 } else { 2 }))
}

/// Full-band channels by `acmod`.
const AC3_CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
const AC3_RATES: [u32; 3] = [48_000, 44_100, 32_000];
const AC3_SYNC: u32 = 0x0b77;

/// `syncinfo` and `bsi` (ETSI TS 102 366, sections 4.3.1 and 4.3.2).
fn ac3(mut bits: BitReader<'_>) -> Option<(u32, u8)> {
    (bits.bits(16).ok()? == AC3_SYNC).then_some(())?;
    bits.bits(16).ok()?; // crc1
    let rate = *AC3_RATES.get(bits.bits(2).ok()? as usize)?;
    bits.bits(14).ok()?; // size, version, kind of service
    let mode = bits.bits(3).ok()?;
    let mix = if mode & 1 != 0 && mode != 1 { 2 } else { 0 }
        + if mode & 4 != 0 { 2 } else { 0 }
        + if mode == 2 { 2 } else { 0 };
    bits.bits(mix).ok()?;
    let low = bits.bits(1).ok()? as u8;
    Some((rate, AC3_CHANNELS.get(mode as usize)? + low))
}

/// `syncinfo` and `bsi` (annex E, section E.1.2).
fn eac3(mut bits: BitReader<'_>) -> Option<(u32, u8)> {
    (bits.bits(16).ok()? == AC3_SYNC).then_some(())?;
    bits.bits(16).ok()?; // kind and number of the substream, size
    let rate = match bits.bits(2).ok()? {
        3 => *AC3_RATES.get(bits.bits(2).ok()? as usize)? / 2,
        other => {
            bits.bits(2).ok()?; // blocks
            *AC3_RATES.get(other as usize)?
        }
    };
    let mode = bits.bits(3).ok()?;
    let low = bits.bits(1).ok()? as u8;
    Some((rate, AC3_CHANNELS.get(mode as usize)? + low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(codec: Codec, head: &[u8]) -> Option<(u32, u8)> {
        SoundConfig::of_packet(codec, head).map(|config| (config.rate.get(), config.channels))
    }

    #[test]
    fn packets_say_what_they_are() {
        assert_eq!(said(Codec::Mp3, &[0xff, 0xfb, 0x90, 0x64]), Some((44_100, 2)), "joint stereo");
        assert_eq!(said(Codec::Mp3, &[0xff, 0xf3, 0x38, 0xc4]), Some((16_000, 1)), "MPEG-2");
        assert_eq!(said(Codec::Mp3, &[0xff, 0xe3, 0x18, 0xc4]), Some((8_000, 1)), "MPEG-2.5");
        assert_eq!(said(Codec::Mp3, &[0xff, 0xfd, 0x90, 0x64]), None, "layer II");
        assert_eq!(said(Codec::Mp3, b"ID3\x04"), None);
        // The first bytes of what FFmpeg's encoders write for 5.1.
        assert_eq!(said(Codec::Ac3, &[0x0b, 0x77, 0xfa, 0x91, 0x1e, 0x40, 0xeb, 0xf8]), Some((48_000, 6)));
        assert_eq!(said(Codec::Eac3, &[0x0b, 0x77, 0x03, 0x7f, 0x3f, 0x87]), Some((48_000, 6)));
        assert_eq!([said(Codec::Ac3, &[0x0b, 0x77]), said(Codec::Speex, &[0; 9])], [None, None]);
    }

    #[test]
    fn a_flac_header_is_read_and_cut() {
        let mut header = b"fLaC\x80\x00\x00\x22".to_vec();
        header.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xc4, 0x42, 0xf0]);
        header.resize(8 + 34 + 100, 7);
        let config = SoundConfig::of_flac(&header).unwrap();
        assert_eq!((config.rate.get(), config.channels, config.record.len()), (44_100, 2, 42));
        assert_eq!(SoundConfig::of_flac(&header[8..42]), Some(config), "as FFmpeg sends it");
        assert_eq!([&b"fLaC"[..], &header[8..41]].map(SoundConfig::of_flac), [None, None]);
        header[4] = 4;
        assert_eq!(SoundConfig::of_flac(&header), None, "another block");
    }
}

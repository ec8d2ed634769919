//! G.711 and linear PCM behind [`Decoder`]: a table and a scale.

use super::{CodecError, Decoder, Format, MAX_PACKET};
use crate::codec::Codec;
use crate::codec::g711::Law;
use crate::codec::sound::SoundConfig;

/// Samples of 8 or 16 bits -> samples.
pub(super) struct PlainDecoder {
    coding: Coding,
    format: Format,
}

#[derive(Clone, Copy)]
enum Coding {
    Law(Law),
    Unsigned8,
    Signed16,
}

impl PlainDecoder {
    /// `None` for codecs that take more than this.
    pub(super) fn new(config: &SoundConfig) -> Option<Self> {
        let coding = match (config.codec, config.bits) {
            (Codec::Pcmu, _) => Coding::Law(Law::Mu),
            (Codec::Pcma, _) => Coding::Law(Law::A),
            (Codec::Pcm, 8) => Coding::Unsigned8,
            (Codec::Pcm, _) => Coding::Signed16,
            _ => return None,
        };
        let channels = usize::from(config.channels.clamp(1, 2));
        Some(Self { coding, format: Format { rate: config.rate, channels } })
    }
}

impl Decoder for PlainDecoder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<Format, CodecError> {
        if packet.len() > MAX_PACKET {
            return Err(CodecError(format!("a packet of {} bytes", packet.len())));
        }
        let size = if matches!(self.coding, Coding::Signed16) { 2 } else { 1 };
        let whole = packet.len() - packet.len() % (size * self.format.channels);
        let packet = packet.get(..whole).unwrap_or_default();
        super::check_length(whole / size, self.format)?;
        let scale = |sample: i16| f32::from(sample) / 32_768.0;
        match self.coding {
            Coding::Law(law) => pcm.extend(packet.iter().map(|byte| scale(law.decode(*byte)))),
            Coding::Unsigned8 => pcm.extend(packet.iter().map(|byte| (f32::from(*byte) - 128.0) / 128.0)),
            Coding::Signed16 => {
                let samples = packet.chunks_exact(2).filter_map(|bytes| bytes.try_into().ok());
                pcm.extend(samples.map(|bytes| scale(i16::from_le_bytes(bytes))));
            }
        }
        Ok(self.format)
    }

    fn conceal(&mut self, samples: usize, _next: &[u8], pcm: &mut Vec<f32>) -> Result<(), CodecError> {
        pcm.resize(pcm.len() + samples * self.format.channels, 0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ClockRate;

    #[test]
    fn samples_of_every_size() {
        let decoded = |codec, bits, channels, packet: &[u8]| {
            let config = SoundConfig { bits, ..SoundConfig::new(codec, ClockRate::TELEPHONE, channels) };
            let mut pcm = Vec::new();
            let format = PlainDecoder::new(&config).unwrap().decode(packet, &mut pcm).unwrap();
            assert_eq!(format.channels, usize::from(channels));
            pcm
        };
        assert_eq!(decoded(Codec::Pcm, 8, 1, &[0, 128, 192]), [-1.0, 0.0, 0.5]);
        assert_eq!(decoded(Codec::Pcm, 16, 1, &[0, 0x80, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(
            decoded(Codec::Pcm, 16, 2, &[0, 0x80, 0, 0x40, 1, 2]),
            [-1.0, 0.5],
            "half a sample is none"
        );
        assert_eq!(decoded(Codec::Pcmu, 16, 1, &[0xff]), [0.0]);
        assert!(decoded(Codec::Pcma, 16, 1, &[0xaa])[0] > 0.98);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let mut decoder = PlainDecoder::new(&SoundConfig::telephone(Codec::Pcmu)).unwrap();
        assert!(decoder.decode(&vec![0; MAX_PACKET + 1], &mut Vec::new()).is_err());
        assert!(PlainDecoder::new(&SoundConfig::telephone(Codec::Speex)).is_none());
    }
}

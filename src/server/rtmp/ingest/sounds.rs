//! What a publisher sends of its sound, made into what the bus carries: parameters apart, packets without FLV's head.

use crate::codec::aac::AudioSpecificConfig;
use crate::codec::opus::{self, OpusConfig};
use crate::codec::sound::SoundConfig;
use crate::media::{Codec, CodecParams};
use crate::protocol::flv::AudioTag;
use crate::stream::Warning;
use bytes::Bytes;

/// Reads sound, of whatever codec comes.
#[derive(Default)]
pub(super) struct Sounds {
    params: Option<CodecParams>,
    /// The AudioSpecificConfig in force, as it came.
    record: Option<Bytes>,
}

/// What came of a message.
#[derive(Default)]
pub(super) struct Heard {
    /// Parameters that are new, from this packet on.
    pub(super) params: Option<CodecParams>,
    pub(super) packet: Option<Bytes>,
    /// What the publisher should know, and why.
    pub(super) complaint: Option<(Warning, String)>,
}

impl Sounds {
    /// Takes a message.
    pub(super) fn read(&mut self, tag: AudioTag) -> Heard {
        match tag {
            AudioTag::Config(codec, record) => self.configure(codec, &record),
            AudioTag::Packet(codec, packet) => self.packet(codec, packet),
            AudioTag::Plain(said, packet) => {
                let params = SoundConfig::of_packet(said.codec, &packet).unwrap_or(said);
                self.take(CodecParams::Sound(params), Some(packet))
            }
            AudioTag::Empty => Heard::default(),
            AudioTag::OtherTrack => Heard::complain(Warning::OtherTracks, "several tracks of sound"),
            AudioTag::Unsupported(codec) => Heard::complain(Warning::AudioCodec, &codec.to_string()),
        }
    }

    fn configure(&mut self, codec: Codec, record: &Bytes) -> Heard {
        match codec {
            Codec::Aac => {
                let is_in_force = matches!(self.params, Some(CodecParams::Aac(_)));
                if is_in_force && self.record.as_ref() == Some(record) {
                    return Heard::default();
                }
                let record = Bytes::copy_from_slice(record);
                match AudioSpecificConfig::parse(record.clone()) {
                    Ok(config) => {
                        self.record = Some(record);
                        self.take(CodecParams::Aac(config), None)
                    }
                    Err(error) => Heard::complain(Warning::AudioConfig, &error.to_string()),
                }
            }
            Codec::Opus => match OpusConfig::parse(record) {
                Some(config) => self.take(CodecParams::Opus(config), None),
                None => Heard::complain(
                    Warning::AudioConfig,
                    "an Opus header that is none, or of more than 2 channels",
                ),
            },
            Codec::Flac => match SoundConfig::of_flac(record) {
                Some(config) => self.take(CodecParams::Sound(config), None),
                None => Heard::complain(Warning::AudioConfig, "a FLAC header that cannot be read"),
            },
            // The others say it in their packets.
            _ => Heard::default(),
        }
    }

    fn packet(&mut self, codec: Codec, packet: Bytes) -> Heard {
        let said = match codec {
            Codec::Opus if opus::duration(&packet).is_none() => {
                return Heard::complain(Warning::AudioUnreadable, "a broken Opus packet");
            }
            // Without a header, a packet says of itself how many channels it has.
            Codec::Opus if !self.is(codec) => Some(CodecParams::Opus(OpusConfig::of_packet(&packet))),
            _ => SoundConfig::of_packet(codec, &packet).map(CodecParams::Sound),
        };
        match said {
            Some(params) => self.take(params, Some(packet)),
            // Before its configuration a packet cannot be decoded.
            None => Heard { packet: self.is(codec).then_some(packet), ..Heard::default() },
        }
    }

    /// What is known of the sound.
    pub(super) const fn params(&self) -> Option<&CodecParams> {
        self.params.as_ref()
    }

    fn is(&self, codec: Codec) -> bool {
        self.params.as_ref().is_some_and(|params| params.codec() == codec)
    }

    fn take(&mut self, params: CodecParams, packet: Option<Bytes>) -> Heard {
        let is_new = self.params.as_ref() != Some(&params);
        if is_new {
            self.params = Some(params.clone());
        }
        Heard { params: is_new.then_some(params), packet, complaint: None }
    }
}

impl Heard {
    fn complain(warning: Warning, why: &str) -> Self {
        Self { complaint: Some((warning, why.to_owned())), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(codec: Codec, rate: u32, packet: &'static [u8]) -> AudioTag {
        let rate = crate::time::ClockRate::new(rate).unwrap();
        AudioTag::Plain(SoundConfig::new(codec, rate, 1), Bytes::from_static(packet))
    }

    fn said(heard: &Heard) -> Option<(Codec, u32)> {
        heard.params.as_ref().map(|params| (params.codec(), params.clock_rate().get()))
    }

    #[test]
    fn parameters_are_told_where_they_change() {
        let mut sounds = Sounds::default();
        let speex = sounds.read(plain(Codec::Speex, 16_000, &[1]));
        assert_eq!(
            (said(&speex), speex.packet),
            (Some((Codec::Speex, 16_000)), Some(Bytes::from_static(&[1])))
        );
        assert_eq!(said(&sounds.read(plain(Codec::Speex, 16_000, &[1]))), None);
        let slower = sounds.read(plain(Codec::Nellymoser, 8_000, &[1]));
        assert_eq!(said(&slower), Some((Codec::Nellymoser, 8_000)));
        assert_eq!(
            said(&sounds.read(plain(Codec::Nellymoser, 11_025, &[1]))),
            Some((Codec::Nellymoser, 11_025))
        );
    }

    #[test]
    fn mp3_is_what_its_packets_say() {
        let mut sounds = Sounds::default();
        // FLV has no number for 48 kHz.
        let heard = sounds.read(plain(Codec::Mp3, 44_100, &[0xff, 0xfb, 0x94, 0x64]));
        assert_eq!(said(&heard), Some((Codec::Mp3, 48_000)));
    }

    #[test]
    fn what_needs_a_configuration_waits_for_it() {
        let mut sounds = Sounds::default();
        let packet = |codec| AudioTag::Packet(codec, Bytes::from_static(&[0xfc, 1]));
        assert!(sounds.read(packet(Codec::Aac)).packet.is_none());
        let config = AudioTag::Config(Codec::Aac, Bytes::from_static(&[0x11, 0x90]));
        assert_eq!(said(&sounds.read(config.clone())), Some((Codec::Aac, 48_000)));
        assert!(
            sounds.read(packet(Codec::Aac)).packet.is_some() && sounds.read(config.clone()).params.is_none()
        );
        let opus = sounds.read(packet(Codec::Opus));
        assert_eq!(opus.params, Some(CodecParams::Opus(OpusConfig { channels: 2 })));
        assert!(sounds.read(packet(Codec::Aac)).packet.is_none(), "Opus is in force");
        assert_eq!(said(&sounds.read(config)), Some((Codec::Aac, 48_000)), "again, as it came before");
        assert!(sounds.read(packet(Codec::Flac)).packet.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let mut sounds = Sounds::default();
        let mut complaint = |tag| sounds.read(tag).complaint.map(|(warning, _)| warning);
        for codec in [Codec::Aac, Codec::Opus, Codec::Flac] {
            assert_eq!(
                complaint(AudioTag::Config(codec, Bytes::from_static(&[0xff]))),
                Some(Warning::AudioConfig)
            );
        }
        let broken = AudioTag::Packet(Codec::Opus, Bytes::from_static(&[0xff]));
        assert_eq!(complaint(broken), Some(Warning::AudioUnreadable));
        assert_eq!(complaint(AudioTag::OtherTrack), Some(Warning::OtherTracks));
    }
}

//! The converters of a way, put together.

use super::chain::Then;
use super::converter::Converter;
use super::places::Places;
use super::plan::Conversion;
#[cfg(feature = "transcode")]
use super::video;
use super::{audio, depacketise, packetise};
use crate::config;
use crate::media::Codec;
#[cfg(feature = "transcode")]
use crate::media::MediaKind;
use crate::stream::Start;
#[cfg(feature = "transcode")]
use crate::time::BitRate;

/// What converters are made with.
#[cfg_attr(not(feature = "transcode"), expect(dead_code, reason = "both are about pictures"))]
pub(super) struct Tools<'a> {
    pub(super) config: &'a config::Bridge,
    pub(super) places: &'a Places,
}

impl Tools<'_> {
    /// The first, and behind it the rest, as one.
    pub(super) fn converters(&self, first: Conversion, rest: &[Conversion]) -> Box<dyn Converter> {
        rest.iter().fold(self.converter(first), |before, next| {
            Box::new(Then::new(before, self.converter(*next), next.from().kind()))
        })
    }

    fn converter(&self, conversion: Conversion) -> Box<dyn Converter> {
        match conversion {
            Conversion::PacketiseH264 => self.packetiser(),
            Conversion::PacketiseOpus => Box::new(packetise::Opus::new()),
            Conversion::PacketiseVp8 => Box::new(packetise::Vp8::new()),
            Conversion::DepacketiseH264 | Conversion::DepacketiseSingleNal => {
                Box::new(depacketise::H264::new())
            }
            Conversion::DepacketiseVp8 => Box::new(depacketise::Vp8::new()),
            Conversion::DepacketiseOpus => Box::new(depacketise::Sound::opus()),
            Conversion::DepacketiseG711(_) => Box::new(depacketise::Sound::g711()),
            Conversion::PacketiseG711(_) => Box::new(packetise::G711::new()),
            Conversion::ToG711 { from: Codec::Opus, to } => Box::new(audio::Transcoder::opus_to_g711(to)),
            Conversion::ToG711 { to, .. } => Box::new(audio::Transcoder::rtmp_to_g711(to)),
            Conversion::AacToOpus => Box::new(audio::Transcoder::to_opus()),
            Conversion::OpusToAac => Box::new(audio::Transcoder::to_aac()),
            Conversion::SoundToOpus(_) => Box::new(audio::Transcoder::to_opus()),
            Conversion::SoundToAac(_) => Box::new(audio::Transcoder::rtmp_to_aac()),
            Conversion::ToH264(_) => self.transcoder(Codec::H264),
            Conversion::ToVp8(_) => self.transcoder(Codec::Vp8),
        }
    }

    /// B-frames are put in order before packets are made, where that can be had.
    #[cfg(feature = "transcode")]
    fn packetiser(&self) -> Box<dyn Converter> {
        let flatten = video::Flatten::new(self.video_settings(), self.places.clone());
        Box::new(Then::new(Box::new(flatten), Box::new(packetise::H264::new()), MediaKind::Video))
    }

    #[cfg(not(feature = "transcode"))]
    fn packetiser(&self) -> Box<dyn Converter> {
        Box::new(packetise::H264::new())
    }

    #[cfg(feature = "transcode")]
    fn transcoder(&self, to: Codec) -> Box<dyn Converter> {
        Box::new(video::Transcoder::new(to, self.video_settings()))
    }

    #[cfg(not(feature = "transcode"))]
    fn transcoder(&self, _: Codec) -> Box<dyn Converter> {
        // The plan has no such way: this is a feed on which nothing comes.
        Box::new(super::converter::Nothing)
    }

    #[cfg(feature = "transcode")]
    const fn video_settings(&self) -> video::Settings {
        video::Settings {
            encoder: self.config.video_encoder,
            max_pixels: self.config.max_pixels,
            max_rate: BitRate::from_kbps(self.config.max_video_kbps as u64), // widens
        }
    }
}

/// Where a converter begins to read: those that put pictures together can use nothing before a keyframe, and those that decode need
/// what came before now.
pub(super) const fn start(conversion: Conversion) -> Start {
    match conversion {
        Conversion::DepacketiseH264 | Conversion::DepacketiseSingleNal | Conversion::DepacketiseVp8 => {
            Start::NextKeyframe
        }
        Conversion::PacketiseH264 if !cfg!(feature = "transcode") => Start::Anywhere,
        Conversion::PacketiseH264 | Conversion::ToH264(_) | Conversion::ToVp8(_) => Start::CachedGop,
        Conversion::PacketiseOpus
        | Conversion::PacketiseVp8
        | Conversion::DepacketiseOpus
        | Conversion::AacToOpus
        | Conversion::OpusToAac
        | Conversion::SoundToOpus(_)
        | Conversion::SoundToAac(_)
        | Conversion::PacketiseG711(_)
        | Conversion::DepacketiseG711(_)
        | Conversion::ToG711 { .. } => Start::Anywhere,
    }
}

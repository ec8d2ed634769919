//! Pictures -> coded frames.

use super::kind::Kind;
use super::scaler::{Scaler, Shape};
use super::{Picture, VideoError};
use crate::codec::h264::{AvcConfig, NalKind, ParameterSets, byte_stream};
use crate::codec::vp8;
use crate::media::{AccessUnit, Codec, CodecParams, Frame, Payload};
use crate::time::{BitRate, ClockRate, Timestamp};
use bytes::Bytes;
use ffmpeg_next::codec::{self, encoder};
use ffmpeg_next::{Dictionary, Packet, Rational, color, picture};

/// The longest way between keyframes, in pictures: whoever needs one asks.
const GOP: u32 = 300;
/// What encoders reckon with: they adapt the work to the time stamps, and the bits to what is told here.
const FRAME_RATE: i32 = 30;

/// Encodes pictures of one size as they are shown. Each comes out at once, and is a keyframe where that is asked for.
pub(in crate::bridge) struct Encoder {
    encoder: encoder::video::Encoder,
    kind: Kind,
    look: Look,
    /// Of H.264: those that came in band.
    sets: ParameterSets,
    config: Option<AvcConfig>,
    scaler: Scaler,
    packet: Packet,
}

/// What an encoder is told of its pictures once.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::bridge) struct Look {
    width: u32,
    height: u32,
    /// How wide a sample is to be seen, for its height.
    sample: Rational,
    /// How its numbers are meant as colours: these are kept.
    space: color::Space,
    primaries: color::Primaries,
    transfer: color::TransferCharacteristic,
}

impl Look {
    pub(super) fn of(Picture(picture): &Picture) -> Self {
        Self {
            width: picture.width(),
            height: picture.height(),
            sample: picture.aspect_ratio(),
            space: picture.color_space(),
            primaries: picture.color_primaries(),
            transfer: picture.color_transfer_characteristic(),
        }
    }
}

/// What comes out.
#[derive(Clone, Debug)]
pub(in crate::bridge) struct Encoded {
    /// Parameters that hold from this frame on, where they are others than before.
    pub(in crate::bridge) params: Option<CodecParams>,
    /// The frame.
    pub(in crate::bridge) frame: Frame,
}

impl Encoder {
    /// For pictures that look like this, at `rate` at most. Odd sizes lose a column or a line.
    pub(in crate::bridge) fn open(kind: Kind, look: &Look, rate: BitRate) -> Result<Self, VideoError> {
        let (width, height) = (look.width, look.height);
        let found = encoder::find_by_name(kind.name()).ok_or_else(|| VideoError::NoCodec(kind.name()))?;
        let mut context = codec::Context::new_with_codec(found).encoder().video()?;
        context.set_width(even(width));
        context.set_height(even(height));
        context.set_format(kind.pixels());
        context.set_color_range(color::Range::MPEG);
        context.set_colorspace(look.space);
        context.set_color_primaries(look.primaries);
        context.set_color_transfer_characteristic(look.transfer);
        context.set_aspect_ratio(look.sample);
        context.set_time_base(Rational(1, 90_000)); // as `ClockRate::VIDEO`
        context.set_frame_rate(Some(Rational(FRAME_RATE, 1)));
        context.set_gop(GOP);
        context.set_max_b_frames(0);
        let rate = usize::try_from(rate.bps()).unwrap_or(usize::MAX);
        context.set_bit_rate(rate);
        context.set_max_bit_rate(rate);
        let mut options = Dictionary::new();
        kind.options().iter().for_each(|(key, value)| options.set(key, value));
        // Half a second: what a keyframe may take from what follows.
        options.set("bufsize", &(rate / 2).to_string());
        options.set("threads", "1");
        let encoder = context.open_as_with(found, options)?;
        let scaler = Scaler::new(Shape { format: kind.pixels(), width: even(width), height: even(height) });
        let (sets, packet) = (ParameterSets::default(), Packet::empty());
        Ok(Self { encoder, kind, look: look.clone(), sets, config: None, scaler, packet })
    }

    /// Whether it was opened for pictures that look like this.
    pub(in crate::bridge) fn fits(&self, look: &Look) -> bool {
        self.look == *look
    }

    /// What may be made from now on. Encoders that cannot change go on as before.
    pub(in crate::bridge) fn set_rate(&mut self, rate: BitRate) {
        let rate = usize::try_from(rate.bps()).unwrap_or(usize::MAX);
        self.encoder.set_bit_rate(rate);
        self.encoder.set_max_bit_rate(rate);
    }

    /// Takes a picture that is shown at `time`, later than the one before, and gives it back as it was encoded.
    pub(in crate::bridge) fn encode(
        &mut self,
        picture: Picture,
        time: Timestamp,
        keyframe: bool,
    ) -> Result<Picture, VideoError> {
        let mut picture = self.scaler.run(picture)?;
        picture.set_pts(Some(time.to_ticks(ClockRate::VIDEO)));
        // What it was in its source is no hint for here.
        picture.set_kind(if keyframe { picture::Type::I } else { picture::Type::None });
        self.encoder.send_frame(&picture)?;
        Ok(Picture(picture))
    }

    /// The next frame, if one is ready.
    pub(in crate::bridge) fn next(&mut self) -> Option<Encoded> {
        self.encoder.receive_packet(&mut self.packet).ok()?;
        let time = Timestamp::from_ticks(self.packet.pts()?, ClockRate::VIDEO);
        let data = self.packet.data()?;
        let (params, keyframe, payload) = match self.kind.codec() {
            Codec::H264 => {
                let mut coded = Vec::new();
                for nal in byte_stream(data) {
                    match NalKind::of(nal) {
                        Some(NalKind::Sps | NalKind::Pps) => {
                            self.sets.add(&Bytes::copy_from_slice(nal));
                        }
                        Some(NalKind::Slice | NalKind::IdrSlice) => coded.push(nal),
                        _ => {}
                    }
                }
                let unit = AccessUnit::from_nals(coded);
                let keyframe = unit.is_idr();
                let config =
                    self.sets.config().filter(|config| keyframe && self.config.as_ref() != Some(config));
                if config.is_some() {
                    self.config.clone_from(&config);
                }
                (config.map(CodecParams::H264), keyframe, Payload::Nalus(unit))
            }
            _ => {
                let keyframe = vp8::is_keyframe(data);
                let params = keyframe.then_some(CodecParams::Vp8);
                (params, keyframe, Payload::Packet(Bytes::copy_from_slice(data)))
            }
        };
        let frame = Frame { kind: self.kind.codec().kind(), dts: time, pts: time, keyframe, payload };
        Some(Encoded { params, frame })
    }
}

const fn even(side: u32) -> u32 {
    if side < 2 { 2 } else { side & !1 }
}

//! What a publisher sends of its picture, made into what the bus carries: parameters apart, key frames known, framing of one
//! kind. One reader for each codec.

use crate::codec::av1::{self, Av1Config};
use crate::codec::h264::{AvcConfig, AvcConfigError, NalKind, is_recovery_point};
use crate::codec::hevc::{self, HevcConfig};
use crate::codec::vp8;
use crate::codec::vp9::{KeyHeader, Vp9Config};
use crate::media::{AccessUnit, Codec, CodecParams, Payload};
use crate::stream::Warning;
use bytes::{Bytes, BytesMut};

/// Reads the pictures of one codec.
pub(super) struct Pictures {
    codec: Codec,
    params: Option<CodecParams>,
    /// Parameters from the next key frame on.
    next: Option<CodecParams>,
    /// Whether there was a picture.
    has_begun: bool,
    /// Of NAL unit lengths, in bytes.
    length_size: usize,
    seen_idr: bool,
    /// A record whose rest is in the key frames.
    record: Option<Bytes>,
}

/// What came of a message.
#[derive(Default)]
pub(super) struct Taken {
    /// Parameters that are new, from this picture on.
    pub(super) params: Option<CodecParams>,
    /// The picture, and whether a decoder can start with it.
    pub(super) picture: Option<(bool, Payload)>,
    /// What the publisher should know, and why.
    pub(super) complaint: Option<(Warning, String)>,
}

/// The longest record that is kept until a key frame comes. Real ones have some ten bytes.
const MAX_RECORD: usize = 1_024;

impl Pictures {
    /// For any codec of pictures.
    pub(super) const fn new(codec: Codec) -> Self {
        Self {
            codec,
            params: None,
            next: None,
            has_begun: false,
            length_size: 4,
            seen_idr: false,
            record: None,
        }
    }

    /// What is read.
    pub(super) const fn codec(&self) -> Codec {
        self.codec
    }

    /// The parameters of the next picture, as far as they are known.
    pub(super) const fn params(&self) -> Option<&CodecParams> {
        self.params.as_ref()
    }

    /// Takes a decoder configuration record. Amid a stream it is about the pictures from the next key frame on: those before it are of
    /// the old parameters, for whomever they still reach.
    pub(super) fn configure(&mut self, record: &Bytes) -> Taken {
        let read = match self.codec {
            Codec::H264 => {
                AvcConfig::parse(record).map_err(|error| error.to_string()).map(|(config, size)| {
                    self.length_size = size;
                    Some(CodecParams::H264(config))
                })
            }
            Codec::Hevc => {
                HevcConfig::parse(record).map_err(|error| error.to_string()).map(|(config, size)| {
                    self.length_size = size;
                    Some(CodecParams::Hevc(config))
                })
            }
            Codec::Av1 => Av1Config::parse(record)
                .map_err(|error| error.to_string())
                .map(|config| config.map(CodecParams::Av1)),
            // Everything is in the pictures.
            Codec::Vp8 | Codec::Sorenson | Codec::Vp6 => Ok(None),
            // The size of the picture is in the key frames alone.
            _ => {
                let is_sensible = !record.is_empty() && record.len() <= MAX_RECORD;
                self.record = is_sensible.then(|| Bytes::copy_from_slice(record));
                Ok(None)
            }
        };
        match read {
            Ok(params) if self.has_begun => {
                self.next = params;
                Taken::default()
            }
            Ok(params) => Taken { params: params.and_then(|params| self.change(params)), ..Taken::default() },
            Err(error) => Taken::complaint(Warning::VideoConfig, error),
        }
    }

    /// Takes a picture, which its publisher calls a key frame or not.
    pub(super) fn read(&mut self, keyframe: bool, data: Bytes) -> Taken {
        let mut taken = match self.codec {
            Codec::H264 => self.h264(keyframe, data),
            Codec::Hevc => self.hevc(data),
            Codec::Av1 => self.av1(&data),
            Codec::Vp8 => self.plain(CodecParams::Vp8, vp8::is_keyframe(&data), data),
            Codec::Sorenson => self.plain(CodecParams::Sorenson, keyframe, data),
            Codec::Vp6 => self.plain(CodecParams::Vp6, keyframe, data),
            _ => self.vp9(data),
        };
        self.has_begun |= taken.picture.is_some() && self.params.is_some();
        if matches!(taken.picture, Some((true, _)))
            && let Some(next) = self.next.take()
            && taken.params.is_none()
        {
            taken.params = self.change(next);
        }
        taken
    }

    fn plain(&mut self, params: CodecParams, keyframe: bool, data: Bytes) -> Taken {
        let params = self.change(params);
        Taken { params, ..Taken::picture(keyframe, Payload::Packet(data)) }
    }

    fn h264(&mut self, keyframe: bool, data: Bytes) -> Taken {
        let unit = AccessUnit::from_length_prefixed(data, self.length_size);
        let (mut any, mut idr, mut recovery, mut sets) = (false, false, false, false);
        for nal in unit.nals() {
            any = true;
            match NalKind::of(nal) {
                Some(NalKind::IdrSlice) => idr = true,
                Some(NalKind::Sps | NalKind::Pps) => sets = true,
                Some(NalKind::Sei) if keyframe => recovery |= is_recovery_point(nal),
                _ => {}
            }
        }
        // GStreamer calls every picture of I slices a key frame, though later ones may refer to what was before it.
        self.seen_idr |= idr;
        let keyframe = idr || (keyframe && (recovery || !self.seen_idr));
        if !any {
            return Taken::complaint(Warning::VideoUnreadable, "no NAL units");
        }
        if !sets {
            return Taken::picture(keyframe, Payload::Nalus(unit));
        }
        let mut taken = self.h264_sets(&unit);
        // Frames carry no parameter sets: those within become the track's.
        let is_set = |nal: &&[u8]| matches!(NalKind::of(nal), Some(NalKind::Sps | NalKind::Pps));
        let rest = AccessUnit::from_nals(unit.nals().filter(|nal| !is_set(nal)));
        taken.picture = (!rest.as_length_prefixed().is_empty()).then_some((keyframe, Payload::Nalus(rest)));
        taken
    }

    fn h264_sets(&mut self, unit: &AccessUnit) -> Taken {
        let of_kind = |kind| -> Vec<Bytes> {
            unit.nals().filter(|nal| NalKind::of(nal) == Some(kind)).map(Bytes::copy_from_slice).collect()
        };
        let (mut sps, mut pps) = (of_kind(NalKind::Sps), of_kind(NalKind::Pps));
        if let Some(CodecParams::H264(known)) = &self.params {
            let is_known = sps.iter().all(|set| known.sps().contains(set))
                && pps.iter().all(|set| known.pps().contains(set));
            if is_known {
                return Taken::default();
            }
            sps = if sps.is_empty() { known.sps().to_vec() } else { sps };
            pps = if pps.is_empty() { known.pps().to_vec() } else { pps };
        }
        match AvcConfig::new(sps, pps) {
            Ok(config) => Taken { params: self.change(CodecParams::H264(config)), ..Taken::default() },
            // One kind may come before the other.
            Err(AvcConfigError::NoParameterSets) => Taken::default(),
            Err(error) => Taken::complaint(Warning::VideoConfig, error),
        }
    }

    fn hevc(&mut self, data: Bytes) -> Taken {
        let unit = AccessUnit::from_length_prefixed(data, self.length_size);
        let kinds = || unit.nals().filter_map(hevc::NalKind::of);
        let keyframe = kinds().any(|kind| kind == hevc::NalKind::RandomAccess);
        if kinds().next().is_none() {
            return Taken::complaint(Warning::VideoUnreadable, "no NAL units");
        }
        if !kinds().any(hevc::NalKind::is_set) {
            return Taken::picture(keyframe, Payload::Packet(unit.as_length_prefixed().clone()));
        }
        let known = match &self.params {
            Some(CodecParams::Hevc(config)) => Some(config),
            _ => None,
        };
        let mut taken = match HevcConfig::updated_by(known, unit.nals()) {
            Some(Ok(config)) => Taken { params: self.change(CodecParams::Hevc(config)), ..Taken::default() },
            // They may come one by one.
            Some(Err(error)) if self.params.is_some() => Taken::complaint(Warning::VideoConfig, error),
            Some(Err(_)) | None => Taken::default(),
        };
        let is_set = |nal: &&[u8]| hevc::NalKind::of(nal).is_some_and(hevc::NalKind::is_set);
        let rest = AccessUnit::from_nals(unit.nals().filter(|nal| !is_set(nal)));
        let rest = rest.as_length_prefixed().clone();
        taken.picture = (!rest.is_empty()).then_some((keyframe, Payload::Packet(rest)));
        taken
    }

    fn av1(&mut self, data: &Bytes) -> Taken {
        let unit = av1::without_delimiter(data);
        let header = av1::sequence_header(&unit);
        let mut taken = Taken::default();
        if let Some(header) = header {
            match Av1Config::new(header) {
                Ok(config) => taken.params = self.change(CodecParams::Av1(config)),
                Err(error) => return Taken::complaint(Warning::VideoConfig, error),
            }
        }
        // Without its sequence header nothing can be said of a picture, nor can it be decoded.
        let Some(CodecParams::Av1(config)) = &self.params else { return taken };
        if unit.is_empty() {
            taken.complaint = Some((Warning::VideoUnreadable, "no frame in a temporal unit".to_owned()));
            return taken;
        }
        let keyframe = av1::is_keyframe(&unit, config.said());
        let has_header = header.is_some();
        // Whoever begins with a key frame finds all that it needs in it.
        let unit = if keyframe && !has_header {
            BytesMut::from_iter(config.header().iter().chain(&unit)).freeze()
        } else {
            unit
        };
        taken.picture = Some((keyframe, Payload::Packet(unit)));
        taken
    }

    fn vp9(&mut self, data: Bytes) -> Taken {
        let mut taken = Taken::default();
        let key = match KeyHeader::parse(&data) {
            Ok(key) => key,
            Err(error) => return Taken::complaint(Warning::VideoUnreadable, error),
        };
        if let Some(key) = key {
            match Vp9Config::new(self.record.as_deref(), key).or_else(|_| Vp9Config::new(None, key)) {
                Ok(config) => taken.params = self.change(CodecParams::Vp9(config)),
                Err(error) => return Taken::complaint(Warning::VideoConfig, error),
            }
        }
        taken.picture = Some((key.is_some(), Payload::Packet(data)));
        taken
    }

    /// These parameters, if they are others than before.
    fn change(&mut self, params: CodecParams) -> Option<CodecParams> {
        if self.params.as_ref() == Some(&params) {
            return None;
        }
        self.params = Some(params);
        self.params.clone()
    }
}

impl Taken {
    fn picture(keyframe: bool, payload: Payload) -> Self {
        Self { picture: Some((keyframe, payload)), ..Self::default() }
    }

    fn complaint(warning: Warning, why: impl ToString) -> Self {
        Self { complaint: Some((warning, why.to_string())), ..Self::default() }
    }
}

//! Which codecs there are.

use std::fmt;

/// Sound or picture: names the track within a stream, as there is at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// A codec, without its parameters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// RFC 6386.
    Vp8,
    /// ITU-T H.265.
    Hevc,
    /// AV1 by the Alliance for Open Media.
    Av1,
    /// VP9 by the WebM project.
    Vp9,
    /// Sorenson's H.263, as Flash Player sent it.
    Sorenson,
    /// On2's VP6, as Flash encoders sent it, without alpha.
    Vp6,
    /// ISO/IEC 14496-3.
    Aac,
    /// RFC 6716.
    Opus,
    /// ITU-T G.711, mu-law.
    Pcmu,
    /// ITU-T G.711, A-law.
    Pcma,
    /// Linear PCM.
    Pcm,
    /// Adobe's ADPCM.
    Adpcm,
    /// MPEG-1 and MPEG-2 audio, layer III.
    Mp3,
    /// Speex by Xiph.
    Speex,
    /// Asao by Nellymoser.
    Nellymoser,
    /// ETSI TS 102 366.
    Ac3,
    /// The same, annex E.
    Eac3,
    /// RFC 9639.
    Flac,
}

impl MediaKind {
    /// The kind that this is not.
    pub const fn other(self) -> Self {
        match self {
            Self::Audio => Self::Video,
            Self::Video => Self::Audio,
        }
    }

    /// Lower case, for logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl Codec {
    /// Sound or picture.
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::H264 | Self::Vp8 | Self::Hevc | Self::Av1 | Self::Vp9 | Self::Sorenson | Self::Vp6 => {
                MediaKind::Video
            }
            Self::Aac
            | Self::Opus
            | Self::Pcmu
            | Self::Pcma
            | Self::Pcm
            | Self::Adpcm
            | Self::Mp3
            | Self::Speex
            | Self::Nellymoser
            | Self::Ac3
            | Self::Eac3
            | Self::Flac => MediaKind::Audio,
        }
    }

    /// The encoding name of SDP (`H264`, `VP8`, `H265`, `AV1`, `VP9`, `opus`, `PCMU`, `PCMA`), or the common one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Hevc => "H265",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
            Self::Sorenson => "Sorenson",
            Self::Vp6 => "VP6",
            Self::Aac => "AAC",
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Pcm => "PCM",
            Self::Adpcm => "ADPCM",
            Self::Mp3 => "MP3",
            Self::Speex => "Speex",
            Self::Nellymoser => "Nellymoser",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Flac => "FLAC",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

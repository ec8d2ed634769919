//! NAL unit headers. The framing by lengths is that of H.264 ([`length_prefixed`](crate::codec::h264::length_prefixed)).

/// `nal_unit_type` (ITU-T H.265, table 7-1), as far as a gateway tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalKind {
    /// 0 to 15: a slice segment of a picture that refers to others, or could.
    Slice,
    /// 16 to 23: a slice segment of a picture at which a decoder can start (IDR, CRA, BLA).
    RandomAccess,
    /// 32: video parameter set.
    Vps,
    /// 33: sequence parameter set.
    Sps,
    /// 34: picture parameter set.
    Pps,
    /// Anything else: delimiters, filler, SEI, what is reserved.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit by its first byte; `None` when its header of two bytes is not whole.
    pub fn of(nal: &[u8]) -> Option<Self> {
        let [first, _, ..] = nal else { return None };
        Some(match first >> 1 & 0x3f {
            0..=15 => Self::Slice,
            16..=23 => Self::RandomAccess,
            32 => Self::Vps,
            33 => Self::Sps,
            34 => Self::Pps,
            other => Self::Other(other),
        })
    }

    /// Whether it is a parameter set.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::Vps | Self::Sps | Self::Pps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_first_byte() {
        let kinds = [0x02, 0x2a, 0x40, 0x42, 0x44, 0x4e].map(|first| NalKind::of(&[first, 1]));
        let wanted = [
            NalKind::Slice,
            NalKind::RandomAccess,
            NalKind::Vps,
            NalKind::Sps,
            NalKind::Pps,
            NalKind::Other(39),
        ];
        assert_eq!(kinds, wanted.map(Some));
        assert_eq!([NalKind::of(&[]), NalKind::of(&[0x40])], [None, None]);
    }
}

//! NAL unit headers and the length-prefixed framing.

/// `nal_unit_type` (ITU-T H.264, table 7-1), as far as a gateway tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalKind {
    /// 1: a slice, or (2 to 4) a data partition, of a picture that is not an IDR.
    Slice,
    /// 5: a slice of an IDR picture.
    IdrSlice,
    /// 6: supplemental enhancement information.
    Sei,
    /// 7: sequence parameter set.
    Sps,
    /// 8: picture parameter set.
    Pps,
    /// 9: access unit delimiter.
    Delimiter,
    /// 12: filler data.
    Filler,
    /// Anything else.
    Other(u8),
}

impl NalKind {
    /// The kind of a NAL unit by its first byte; `None` when it is empty.
    pub fn of(nal: &[u8]) -> Option<Self> {
        nal.first().map(|header| match header & 0x1f {
            1..=4 => Self::Slice,
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::Delimiter,
            12 => Self::Filler,
            other => Self::Other(other),
        })
    }
}

/// Walks NAL units that stand behind big-endian lengths of `length_size` bytes (1, 2 or 4).
///
/// Empty units are passed over. A length that runs past the end ends the walk: what is left cannot be split.
pub fn length_prefixed(data: &[u8], length_size: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        loop {
            let (prefix, behind) = rest.split_at_checked(length_size)?;
            let length = prefix.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            let (nal, next) = behind.split_at_checked(length)?;
            rest = next;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_stops_at_a_lying_length() {
        let data = [0, 0, 0, 1, 0x65, 0, 0, 0, 0, 0, 0, 0, 2, 0x41, 1, 0, 0, 0, 9, 0x41];
        let nals: Vec<_> = length_prefixed(&data, 4).collect();
        assert_eq!(nals, [&[0x65][..], &[0x41, 1]]);
        assert_eq!(NalKind::of(nals[0]), Some(NalKind::IdrSlice));
    }
}

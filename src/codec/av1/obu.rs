//! Open bitstream units (section 5.3).

use crate::wire::{ByteReader, Truncated};

/// `obu_type` (section 6.2.2), as far as a gateway tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObuKind {
    /// 1.
    SequenceHeader,
    /// 2.
    TemporalDelimiter,
    /// 3: the header of a frame whose tiles follow.
    FrameHeader,
    /// 6: a frame with its header.
    Frame,
    /// Anything else.
    Other(u8),
}

/// One unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Obu<'a> {
    /// What it is.
    pub kind: ObuKind,
    /// With its header and its size.
    pub whole: &'a [u8],
    /// Without them.
    pub payload: &'a [u8],
}

/// A size has at most so many bytes, seven bits in each (section 4.10.5).
const MAX_SIZE_BYTES: u32 = 8;

/// Walks the units of a temporal unit. One without a size reaches up to the end; one whose size runs past the end ends the
/// walk.
pub fn obus(data: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (obu, behind) = first(rest).ok()?;
        rest = behind;
        Some(obu)
    })
}

fn first(data: &[u8]) -> Result<(Obu<'_>, &[u8]), Truncated> {
    let mut reader = ByteReader::new(data);
    let header = reader.u8()?;
    if header & 0x04 != 0 {
        reader.u8()?; // temporal and spatial layer
    }
    let length = if header & 0x02 != 0 { leb128(&mut reader)? } else { reader.len() };
    let payload = reader.bytes(length)?;
    let behind = reader.rest();
    let whole = data.get(..data.len() - behind.len()).ok_or(Truncated)?;
    let kind = match header >> 3 & 0x0f {
        1 => ObuKind::SequenceHeader,
        2 => ObuKind::TemporalDelimiter,
        3 => ObuKind::FrameHeader,
        6 => ObuKind::Frame,
        other => ObuKind::Other(other),
    };
    Ok((Obu { kind, whole, payload }, behind))
}

fn leb128(reader: &mut ByteReader<'_>) -> Result<usize, Truncated> {
    let mut value = 0u64;
    for at in 0..MAX_SIZE_BYTES {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| Truncated);
        }
    }
    Err(Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_and_stops_at_a_lying_size() {
        let data = [0x12, 0, 0x36, 0x08, 0x81, 0, 9, 0x32, 1, 7, 0x32, 5, 1];
        let found: Vec<_> = obus(&data).map(|obu| (obu.kind, obu.whole.len(), obu.payload)).collect();
        let wanted: [(ObuKind, usize, &[u8]); 3] =
            [(ObuKind::TemporalDelimiter, 2, &[]), (ObuKind::Frame, 5, &[9]), (ObuKind::Frame, 3, &[7])];
        assert_eq!(found, wanted);
        let endless = [0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        assert_eq!(obus(&endless).count(), 0);
    }

    #[test]
    fn without_a_size_it_is_all_that_is_left() {
        let obu = obus(&[0x30, 1, 2, 3]).next().unwrap();
        assert_eq!((obu.kind, obu.payload), (ObuKind::Frame, &[1, 2, 3][..]));
    }
}

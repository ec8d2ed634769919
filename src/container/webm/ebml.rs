//! Elements of EBML (RFC 8794): an identifier, a size of up to eight bytes, and the data.

use crate::wire::{ByteReader, Truncated};

/// The size that says "until the end", in eight bytes.
pub(super) const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// An identifier and a size are no longer.
pub(super) const MAX_HEAD: usize = 12;

/// What stands before the data of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) id: u32,
    /// Bytes of data; `None` if unknown.
    pub(super) size: Option<u64>,
    /// Bytes of the head itself: up to [`MAX_HEAD`].
    pub(super) len: usize,
}

/// Bytes that are no element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

impl From<Truncated> for Malformed {
    fn from(Truncated: Truncated) -> Self {
        Self
    }
}

impl Head {
    /// Reads the head at the start of `bytes`, also where it is cut short, which is an error like any other.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = ByteReader::new(bytes);
        // The leading zeros of the first byte count the bytes that follow it; in an identifier they stay.
        let first = reader.u8()?;
        let more = first.leading_zeros() as usize; // 8 at most
        if more > 3 {
            return Err(Malformed);
        }
        let id = number(first.into(), reader.bytes(more)?);
        let id = u32::try_from(id).map_err(|_| Malformed)?;

        let first = reader.u8()?;
        let more = first.leading_zeros() as usize; // 8 at most
        if more > 7 {
            return Err(Malformed);
        }
        let all_ones = (1 << (7 * (more + 1))) - 1;
        let size = number(u64::from(first), reader.bytes(more)?) & all_ones;
        Ok(Self { id, size: (size != all_ones).then_some(size), len: bytes.len() - reader.len() })
    }
}

/// The elements in `bytes`, which are the data of another one; ends with the first that does not fit.
pub(super) fn children(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u32, &[u8]), Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let child = child(bytes);
        bytes = child.as_ref().map_or(&[][..], |(_, _, rest)| rest);
        Some(child.map(|(id, data, _)| (id, data)))
    })
}

fn child(bytes: &[u8]) -> Result<(u32, &[u8], &[u8]), Malformed> {
    let head = Head::parse(bytes)?;
    let size = head.size.and_then(|size| usize::try_from(size).ok()).ok_or(Malformed)?;
    let (data, rest) = bytes.get(head.len..).and_then(|rest| rest.split_at_checked(size)).ok_or(Malformed)?;
    Ok((head.id, data, rest))
}

/// An unsigned integer of up to eight bytes; none at all are 0.
pub(super) fn uint(data: &[u8]) -> Result<u64, Malformed> {
    if data.len() > 8 {
        return Err(Malformed);
    }
    Ok(number(0, data))
}

fn number(first: u64, rest: &[u8]) -> u64 {
    rest.iter().fold(first, |number, byte| number << 8 | u64::from(*byte))
}

/// Appends a head, with the size in as few bytes as it needs.
pub(super) fn put_head(out: &mut Vec<u8>, id: u32, size: u64) {
    put_id(out, id);
    let len = (1..8).find(|len| size < (1 << (7 * len)) - 1).unwrap_or(8);
    let bytes = (size | 1 << (7 * len)).to_be_bytes();
    out.extend(&bytes[8 - len..]);
}

/// Appends a head, with the size in eight bytes.
pub(super) fn put_wide_head(out: &mut Vec<u8>, id: u32, size: u64) {
    put_id(out, id);
    out.extend(wide_size(size));
}

/// A size in eight bytes.
pub(super) fn wide_size(size: u64) -> [u8; 8] {
    debug_assert!(size < (1 << 56) - 1, "more than a size can say");
    (size | 1 << 56).to_be_bytes()
}

/// Appends an element with an unsigned integer, in as few bytes as it needs, but one.
pub(super) fn put_uint(out: &mut Vec<u8>, id: u32, value: u64) {
    let len = (8 - value.leading_zeros() as usize / 8).max(1); // 1 to 8
    put(out, id, &value.to_be_bytes()[8 - len..]);
}

/// Appends an element with a signed integer of up to 32 bits.
pub(super) fn put_int(out: &mut Vec<u8>, id: u32, value: i32) {
    put(out, id, &value.to_be_bytes());
}

/// Appends an element.
pub(super) fn put(out: &mut Vec<u8>, id: u32, data: &[u8]) {
    put_head(out, id, data.len() as u64);
    out.extend(data);
}

/// A gap of `len` bytes, head included: 2 to 127.
pub(super) fn void(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    put(&mut out, super::id::VOID, &vec![0; len.saturating_sub(2)]);
    debug_assert_eq!(out.len(), len, "a gap of this length");
    out
}

fn put_id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    let len = 4 - id.leading_zeros() as usize / 8; // the marker makes the first byte of an identifier not 0
    out.extend(&bytes[4 - len..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heads_of_every_length() {
        // RFC 8794, section 4: 1 in one byte, 127 in two, as all ones are "unknown".
        assert_eq!(Head::parse(&[0xec, 0x81]), Ok(Head { id: 0xec, size: Some(1), len: 2 }));
        assert_eq!(Head::parse(&[0xec, 0xff]), Ok(Head { id: 0xec, size: None, len: 2 }));
        let mut out = Vec::new();
        put_head(&mut out, 0x4dbb, 127);
        assert_eq!(out, [0x4d, 0xbb, 0x40, 0x7f]);
        let unknown = [&[0x18, 0x53, 0x80, 0x67][..], &UNKNOWN_SIZE].concat();
        assert_eq!(Head::parse(&unknown), Ok(Head { id: 0x1853_8067, size: None, len: 12 }));
        for end in 0..unknown.len() {
            assert_eq!(Head::parse(&unknown[..end]), Err(Malformed), "{end}");
        }
        assert_eq!(Head::parse(&[0x08, 0, 0, 0, 0, 0x81]), Err(Malformed), "an identifier of five bytes");
        assert_eq!(Head::parse(&[0xec, 0, 1, 2, 3, 4, 5, 6, 7, 8]), Err(Malformed), "a size of nine");
    }

    #[test]
    fn children_end_with_the_first_that_does_not_fit() {
        let read: Vec<_> = children(&[0xd7, 0x81, 5, 0x83, 0x82, 1]).collect();
        assert_eq!(read, [Ok((0xd7, &[5][..])), Err(Malformed)]);
        assert_eq!((uint(&[]), uint(&[1, 0]), uint(&[0; 9])), (Ok(0), Ok(256), Err(Malformed)));
        assert_eq!(void(21).len(), 21);
    }

    proptest! {
        #[test]
        fn numbers_survive(size in 0u64..(1 << 56) - 1, value: u64) {
            let mut out = Vec::new();
            put_head(&mut out, 0xa3, size);
            let head = Head::parse(&out).unwrap();
            prop_assert_eq!((head.id, head.size, head.len), (0xa3, Some(size), out.len()));
            out.clear();
            put_wide_head(&mut out, 0x1f43_b675, size);
            prop_assert_eq!(Head::parse(&out).unwrap(), Head { id: 0x1f43_b675, size: Some(size), len: 12 });
            out.clear();
            put_uint(&mut out, 0xe7, value);
            let (id, data) = children(&out).next().unwrap().unwrap();
            prop_assert_eq!((id, uint(data)), (0xe7, Ok(value)));
        }
    }
}

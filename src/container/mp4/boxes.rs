//! Boxes put together without copying what is in them.

use bytes::Bytes;
use mp4_atom::Encode;

/// Bytes in pieces, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Rope(Vec<Bytes>);

/// A box, or a table, that its 32-bit size cannot count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLarge;

impl Rope {
    /// One box of the library, or nothing.
    pub(super) fn leaf(of: &impl Encode) -> Result<Self, mp4_atom::Error> {
        let mut bytes = Vec::new();
        of.encode(&mut bytes)?;
        Ok(Self(vec![bytes.into()]))
    }

    /// A box around these.
    pub(super) fn container(
        kind: [u8; 4],
        children: impl IntoIterator<Item = Self>,
    ) -> Result<Self, TooLarge> {
        let mut pieces = vec![Bytes::new()];
        pieces.extend(children.into_iter().flat_map(|child| child.0));
        let mut rope = Self(pieces);
        let head = box_head(kind, rope.len())?;
        if let Some(first) = rope.0.first_mut() {
            *first = Bytes::copy_from_slice(&head);
        }
        Ok(rope)
    }

    /// A box with a version, no flags, and a table of `count` entries.
    pub(super) fn table(
        kind: [u8; 4],
        version: u8,
        fields: &[u32],
        entries: Bytes,
    ) -> Result<Self, TooLarge> {
        let mut head = vec![version, 0, 0, 0];
        head.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
        Self::container(kind, [Self(vec![head.into(), entries])])
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    pub(super) fn into_pieces(self) -> Vec<Bytes> {
        self.0
    }
}

/// The head of a box around `content` bytes.
pub(super) fn box_head(kind: [u8; 4], content: u64) -> Result<[u8; 8], TooLarge> {
    let size = content.checked_add(8).and_then(|size| u32::try_from(size).ok()).ok_or(TooLarge)?;
    let ([a, b, c, d], [e, f, g, h]) = (size.to_be_bytes(), kind);
    Ok([a, b, c, d, e, f, g, h])
}

/// The head, 16 bytes long, of an `mdat` of `size` bytes with it.
pub(super) fn large_mdat_head(size: u64) -> [u8; 16] {
    let mut head = *b"\0\0\0\x01mdat\0\0\0\0\0\0\0\0";
    head[8..].copy_from_slice(&size.to_be_bytes());
    head
}

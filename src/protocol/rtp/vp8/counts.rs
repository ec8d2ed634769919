//! How VP8 counts pictures in its payload descriptor (RFC 7741, section 4.2), and how the counts of one source go on as those
//! of another: a decoder takes a step back for an old picture, and leaves it out.

use super::Descriptor;
use smallvec::SmallVec;

/// A descriptor: six bytes at most.
pub type Head = SmallVec<[u8; 8]>;

/// The count of all pictures, modulo 2^15 or 2^7, and that of the pictures of the lowest temporal layer, modulo 2^8; or what is
/// added to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pictures: u16,
    layers: u8,
}

impl Counts {
    /// Those of a payload; zero where it has none.
    pub fn of(payload: &[u8]) -> Self {
        let Ok(descriptor) = Descriptor::parse(payload) else { return Self::default() };
        Self {
            pictures: descriptor.picture_id.unwrap_or_default(),
            layers: descriptor.layer_index.unwrap_or_default(),
        }
    }

    /// What has to be added to the counts of a picture so that it follows one of these.
    pub const fn up_from(self, next: Self) -> Self {
        Self {
            pictures: self.pictures.wrapping_add(1).wrapping_sub(next.pictures),
            layers: self.layers.wrapping_add(1).wrapping_sub(next.layers),
        }
    }

    /// The counts with these added.
    pub const fn plus(self, more: Self) -> Self {
        Self {
            pictures: self.pictures.wrapping_add(more.pictures),
            layers: self.layers.wrapping_add(more.layers),
        }
    }

    /// The descriptor of a payload with these added to its counts, in place of just as many bytes. A count of 7 bits stays
    /// one. `None` where the payload is to stay as it is, malformed ones too.
    pub fn added_to(self, payload: &[u8]) -> Option<Head> {
        if self == Self::default() {
            return None;
        }
        let descriptor = Descriptor::parse(payload).ok()?;
        let mut head = Head::from_slice(payload.get(..descriptor.len)?);
        let (flags, rest) = head.split_at_mut_checked(2)?;
        if flags[0] & 0x80 == 0 {
            return None;
        }
        let mut fields = rest.iter_mut();
        if flags[1] & 0x80 != 0 {
            let high = fields.next()?;
            let moved = descriptor.picture_id?.wrapping_add(self.pictures);
            if *high & 0x80 != 0 {
                let [upper, lower] = (moved | 0x8000).to_be_bytes();
                (*high, *fields.next()?) = (upper, lower);
            } else {
                *high = moved as u8 & 0x7f; // 7 bits
            }
        }
        if flags[1] & 0x40 != 0 {
            let layer = fields.next()?;
            *layer = layer.wrapping_add(self.layers);
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UP: Counts = Counts { pictures: 3, layers: 5 };

    #[test]
    fn counts_move_up_and_wrap() {
        let moved = |payload: &[u8]| UP.added_to(payload).unwrap().to_vec();
        assert_eq!(moved(&[0x90, 0xe0, 0xff, 0xfe, 253, 0x20, 9]), [0x90, 0xe0, 0x80, 1, 2, 0x20]);
        assert_eq!(moved(&[0x80, 0x80, 0x7f, 9]), [0x80, 0x80, 2], "seven bits");
        assert_eq!(moved(&[0x80, 0x40, 1, 9]), [0x80, 0x40, 6], "no picture id");
        assert_eq!(moved(&[0x90, 0x10, 0x20, 9]), [0x90, 0x10, 0x20], "neither");
        for same in [&[0x10, 0x51][..], &[0x80, 0x80], &[0x80, 0x80, 0x80], &[0x80], &[]] {
            assert_eq!(UP.added_to(same), None);
        }
        assert_eq!(Counts::default().added_to(&[0x80, 0x80, 0x7f, 9]), None);
    }

    proptest! {
        #[test]
        fn another_source_follows(last: (u16, u8), next: (u16, u8)) {
            let payload = |(pictures, layers): (u16, u8)| {
                let [high, low] = (pictures | 0x8000).to_be_bytes();
                [0x90, 0xe0, high, low, layers, 0x20, 0x51]
            };
            let (last, next) = (payload(last), payload(next));
            let up = Counts::of(&last).up_from(Counts::of(&next));
            let shown = up.added_to(&next).map_or_else(|| next.to_vec(), |head| head.to_vec());
            let one = Counts { pictures: 1, layers: 1 };
            prop_assert_eq!(&one.added_to(&last).unwrap()[2..5], &shown[2..5]);
            prop_assert_eq!(Counts::of(&next).plus(up).up_from(Counts::of(&next)), up.plus(one));
        }
    }
}

//! VP8 frames (RFC 6386): key frames and their size, and frames that no encoder has to make.

mod bool_encoder;
mod still;

pub use still::{black, repeat};

/// The largest width or height.
pub const MAX_SIDE: u16 = 0x3fff;

/// The size of a picture, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Size {
    width: u16,
    height: u16,
}

impl Size {
    /// `None` where a side is 0 or beyond [`MAX_SIDE`].
    pub const fn new(width: u16, height: u16) -> Option<Self> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return None;
        }
        Some(Self { width, height })
    }

    /// The size that a key frame states (section 9.1), read from its first ten bytes; `None` for anything else.
    pub fn of_keyframe(frame: &[u8]) -> Option<Self> {
        match frame {
            // The two top bits of each side say how to scale it for display, which nobody does.
            [tag, _, _, 0x9d, 0x01, 0x2a, a, b, c, d, ..] if tag & 1 == 0 => {
                Self::new(u16::from_le_bytes([*a, *b]) & MAX_SIDE, u16::from_le_bytes([*c, *d]) & MAX_SIDE)
            }
            _ => None,
        }
    }

    /// Columns.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Lines.
    pub const fn height(self) -> u16 {
        self.height
    }

    /// Macroblocks in a row, and rows of them.
    const fn macroblocks(self) -> (usize, usize) {
        (self.width.div_ceil(16) as usize, self.height.div_ceil(16) as usize)
    }
}

/// Whether a decoder can start with this frame: the lowest bit of its first byte is 0 (section 9.1).
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_key_frame() {
        let key = [0x50, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x41, 0xf0, 0xc0];
        assert_eq!(Size::of_keyframe(&key), Size::new(320, 240), "without the bits that scale");
        assert!(is_keyframe(&key));
        for end in 0..key.len() {
            assert_eq!(Size::of_keyframe(&key[..end]), None, "{end}");
        }
        let inter = [0x51, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0];
        assert_eq!((Size::of_keyframe(&inter), is_keyframe(&inter), is_keyframe(&[])), (None, false, false));
        assert_eq!(Size::of_keyframe(&[0, 0, 0, 0x9d, 0x01, 0x2a, 0, 0x40, 1, 0]), None, "no columns");
        assert_eq!((Size::new(0, 1), Size::new(1, 0x4000)), (None, None));
    }
}

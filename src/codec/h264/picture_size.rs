//! The size of the pictures that an SPS describes.

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, decode_nal};

/// Width and height in pixels, cropping applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureSize {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl PictureSize {
    /// Reads an SPS NAL unit; `None` if it is malformed or larger than its own level allows.
    pub fn of_sps(nal: &[u8]) -> Option<Self> {
        // The library indexes behind the header of what it decodes.
        if nal.len() < 2 {
            return None;
        }
        let payload = decode_nal(nal).ok()?;
        let sps = SeqParameterSet::from_bits(BitReader::new(payload.as_ref())).ok()?;
        let (width, height) = sps.pixel_dimensions().ok()?;
        Some(Self { width, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By x264 at 1920x1080: 120 by 68 macroblocks, eight rows cropped.
    const FULL_HD: [u8; 27] = [
        0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00,
        0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
    ];

    #[test]
    fn cropping_is_applied() {
        assert_eq!(PictureSize::of_sps(&FULL_HD), Some(PictureSize { width: 1920, height: 1080 }));
    }

    #[test]
    fn no_cut_is_a_size() {
        for end in 0..FULL_HD.len() - 1 {
            assert_eq!(PictureSize::of_sps(&FULL_HD[..end]), None, "{end}");
        }
    }
}

//! The order of an MP4 file's outermost boxes (ISO/IEC 14496-12 §4.2): whether players find the index at the front.

use std::io::{self, Read, Seek, SeekFrom};

/// How an MP4 file is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Structure {
    /// `moov` stands before all media; `None` without either.
    pub(crate) index_at_front: Option<bool>,
    /// Boxes of kind `moof`.
    pub(crate) fragments: u64,
}

/// Twelve hours of fragments of half a second; more boxes are not read.
const MOST_BOXES: usize = 400_000;

impl Structure {
    /// Reads the heads alone. A file that ends within a box is read up to there.
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut structure = Self::default();
        let mut at = 0_u64;
        for _ in 0..MOST_BOXES {
            if length.saturating_sub(at) < 8 {
                break;
            }
            file.seek(SeekFrom::Start(at))?;
            let (mut size, mut kind) = ([0; 4], [0; 4]);
            file.read_exact(&mut size)?;
            file.read_exact(&mut kind)?;
            let size = match u32::from_be_bytes(size) {
                0 => length - at,
                1 if length - at >= 16 => {
                    let mut large = [0; 8];
                    file.read_exact(&mut large)?;
                    u64::from_be_bytes(large)
                }
                size => u64::from(size),
            };
            match &kind {
                b"moov" => _ = structure.index_at_front.get_or_insert(true),
                b"mdat" => _ = structure.index_at_front.get_or_insert(false),
                b"moof" => {
                    structure.fragments += 1;
                    structure.index_at_front.get_or_insert(false);
                }
                _ => {}
            }
            // A box is not smaller than its head; such a file leads nowhere.
            match at.checked_add(size) {
                Some(next) if size >= 8 => at = next,
                _ => break,
            }
        }
        Ok(structure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxes(kinds: &[(&[u8; 4], u32)]) -> Vec<u8> {
        let mut file = Vec::new();
        for (kind, body) in kinds {
            file.extend((8 + body).to_be_bytes());
            file.extend(*kind);
            file.resize(file.len() + *body as usize, 0);
        }
        file
    }

    fn read(file: &[u8]) -> (Option<bool>, u64) {
        let structure = Structure::read(&mut Cursor::new(file)).unwrap();
        (structure.index_at_front, structure.fragments)
    }

    #[test]
    fn the_order_tells() {
        assert_eq!(read(&boxes(&[(b"ftyp", 8), (b"moov", 90), (b"mdat", 5)])), (Some(true), 0));
        assert_eq!(
            read(&boxes(&[(b"ftyp", 8), (b"free", 0), (b"mdat", 5), (b"moov", 90)])),
            (Some(false), 0)
        );
        let fragmented = boxes(&[(b"moov", 9), (b"moof", 9), (b"mdat", 9), (b"moof", 9), (b"mdat", 9)]);
        assert_eq!(read(&fragmented), (Some(true), 2));
        assert_eq!(read(b""), (None, 0));
    }

    #[test]
    fn large_boxes_and_the_rest_of_a_file() {
        let mut file = boxes(&[(b"ftyp", 8)]);
        file.extend([0, 0, 0, 1]);
        file.extend(b"mdat");
        file.extend(20_u64.to_be_bytes());
        file.extend([0; 4]);
        file.extend([0, 0, 0, 0]);
        file.extend(b"moov");
        assert_eq!(read(&file), (Some(false), 0));
    }

    #[test]
    fn lies_lead_nowhere() {
        for size in [2_u32, 7] {
            assert_eq!(read(&[&size.to_be_bytes()[..], b"free", &[0; 30]].concat()), (None, 0));
        }
        let endless = [&1_u32.to_be_bytes()[..], b"free", &u64::MAX.to_be_bytes()].concat();
        assert_eq!(read(&endless), (None, 0));
    }
}

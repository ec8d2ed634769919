//! Copies with the index in front, told from other files.

use super::fragment::{box_at, content};
use super::scan::ReadError;
use super::{MOVIE_SCALE, SLOT};
use crate::time::{ClockRate, MediaDuration, Timestamp};
use mp4_atom::{Atom, Mvhd};
use std::io::{Read, Seek, SeekFrom};

/// Bytes of a `mvhd`, which has one of two sizes.
const MAX_MVHD: u64 = 256;

/// How long a whole copy that [`faststart`](super::faststart()) made is. `None`: this is none, or not all of one.
pub fn fronted(file: &mut (impl Read + Seek)) -> Result<Option<MediaDuration>, ReadError> {
    let len = file.seek(SeekFrom::End(0))?;
    let is =
        |found: Option<super::fragment::BoxHead>, kind: &[u8; 4]| found.filter(|head| head.kind == *kind);
    let Some(file_type) = is(box_at(file, 0, len)?, b"ftyp") else { return Ok(None) };
    if file_type.content.1 != SLOT {
        return Ok(None);
    }
    let Some(index) = is(box_at(file, SLOT, len)?, b"moov") else { return Ok(None) };
    let (start, end) = index.content;
    if end > len || is(box_at(file, end, len)?, b"mdat").is_none_or(|media| media.content.1 != len) {
        return Ok(None);
    }
    let Some(head) = is(box_at(file, start, end)?, b"mvhd") else { return Ok(None) };
    let Some(body) = content(file, head, end, MAX_MVHD)? else { return Ok(None) };
    let Ok(head) = Mvhd::decode_body(&mut &body[..]) else { return Ok(None) };
    let (Some(scale), Ok(ticks)) = (ClockRate::new(head.timescale), i64::try_from(head.duration)) else {
        return Ok(None);
    };
    let is_ours = head.timescale == MOVIE_SCALE && ticks > 0;
    Ok(is_ours.then(|| Timestamp::from_ticks(ticks, scale).since_origin()))
}

//! Pictures that need no encoder: a black key frame of any size, and a frame in which nothing moves.
//!
//! Both say "as predicted" of every macroblock; the bits are those of RFC 6386, sections 9 and 19.2. Black is luma 16 and
//! chroma 128, what video means by it. Prediction begins with 128 where there is no neighbour, so only the first
//! macroblock of a key frame needs a coefficient.

use super::Size;
use super::bool_encoder::BoolEncoder;
use bytes::Bytes;

/// A black key frame. It takes some 3.5 bits a macroblock: 3.5 kB at 1080p.
pub fn black(size: Size) -> Bytes {
    let mut header = BoolEncoder::new();
    header.literal(0, 2); // colour space, clamping
    common(&mut header);
    header.flag(true); // refresh_entropy_probs
    keep_coefficient_probabilities(&mut header);
    skipping(&mut header);
    let (columns, rows) = size.macroblocks();
    for macroblock in 0..columns * rows {
        header.bit(PROB_SKIP_FALSE, macroblock != 0);
        // Each predicted by its neighbours' mean: DC_PRED, in the tree of section 11.2 for luma and chroma.
        header.bit(145, true);
        header.bit(156, false);
        header.bit(163, false);
        header.bit(142, false);
    }
    let header = header.finish();

    let mut frame = tag(true, header.len());
    frame.extend([0x9d, 0x01, 0x2a]);
    frame.extend(size.width.to_le_bytes());
    frame.extend(size.height.to_le_bytes());
    frame.extend(header);
    frame.extend(darken());
    frame.into()
}

/// A frame that shows the one before it again and changes nothing else in the decoder. It needs some 0.15 bits a macroblock:
/// 0.2 kB at 1080p. `size` is that of the key frame before it.
pub fn repeat(size: Size) -> Bytes {
    let mut header = BoolEncoder::new();
    common(&mut header);
    header.literal(0, 2); // golden and alternate frame stay,
    header.literal(0, 4); // and nothing is copied there,
    header.literal(0, 2); // nor turned round
    header.flag(true); // refresh_entropy_probs
    header.flag(true); // refresh_last, with the same
    keep_coefficient_probabilities(&mut header);
    skipping(&mut header);
    header.literal(PROB_INTRA.into(), 8);
    header.literal(PROB_LAST.into(), 8);
    header.literal(PROB_GOLDEN.into(), 8);
    header.literal(0, 2); // the probabilities of intra modes stay
    for probability in MOTION_UPDATE.into_iter().flatten() {
        header.bit(probability, false);
    }
    let (columns, rows) = size.macroblocks();
    for row in 0..rows {
        for column in 0..columns {
            header.bit(PROB_SKIP_FALSE, true);
            header.bit(PROB_INTRA, true); // predicted from another frame,
            header.bit(PROB_LAST, false); // the last one,
            header.bit(no_motion(row > 0, column > 0), false); // in the same place
        }
    }
    let header = header.finish();
    let mut frame = tag(false, header.len());
    frame.extend(header);
    // The second partition has no bits; decoders want to see that it is there.
    frame.push(0);
    frame.into()
}

/// The frame tag (section 9.1): shown, version 0.
fn tag(key: bool, first_partition: usize) -> Vec<u8> {
    // 19 bits hold it: at the largest size the first partition has 460,000 bytes.
    let tag = u32::from(!key) | 1 << 4 | (first_partition as u32) << 5;
    tag.to_le_bytes()[..3].to_vec()
}

/// What the headers of both kinds share: no segments, no loop filter, one partition of coefficients, the finest quantiser.
fn common(header: &mut BoolEncoder) {
    header.flag(false); // segmentation_enabled
    header.flag(false); // filter_type
    header.literal(0, 6); // loop_filter_level
    header.literal(0, 3); // sharpness_level
    header.flag(false); // loop_filter_adj_enable
    header.literal(0, 2); // log2_nbr_of_dct_partitions
    header.literal(0, 7); // y_ac_qi
    header.literal(0, 5); // no deltas
}

fn keep_coefficient_probabilities(header: &mut BoolEncoder) {
    for row in COEFFICIENT_UPDATE {
        for at in 0..11 {
            header.bit(row.get(at).copied().unwrap_or(255), false);
        }
    }
}

fn skipping(header: &mut BoolEncoder) {
    header.flag(true); // mb_no_coeff_skip
    header.literal(PROB_SKIP_FALSE.into(), 8);
}

/// The coefficients of the first macroblock: one in Y2, which brings all of luma from 128 down to 16 (section 13.2).
fn darken() -> Vec<u8> {
    let mut coefficients = BoolEncoder::new();
    // Default probabilities of the first coefficient of a Y2 block with nothing around it. From "not the end" to category 6:
    // all branches of the tree lead to the right.
    let [end, zero, one, low, category, high, top] = [198, 35, 237, 223, 162, 145, 62];
    for probability in [end, zero, one, low, category, high, top] {
        coefficients.bit(probability, true);
    }
    // At the finest quantiser a step is 8, and the two transforms divide by 8 each: 900 * 8 / 64 = 112.5, rounded to 112.
    let extra = DARKER - 67;
    for (at, probability) in [254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129].into_iter().enumerate() {
        coefficients.bit(probability, extra >> (10 - at) & 1 == 1);
    }
    coefficients.flag(true); // negative
    let mut bytes = coefficients.finish();
    // "No more" for this and the 24 other blocks is a zero bit each, of at most 8 bits' worth; so zeros will do.
    bytes.extend([0; 25]);
    bytes
}

/// How likely a macroblock without motion is, by whether there are macroblocks above it and to its left; all of these
/// are at rest (sections 5 and 16.3).
const fn no_motion(above: bool, left: bool) -> u8 {
    // A neighbour above or beside counts two, the one above to the left one.
    match (above, left) {
        (false, false) => 7,
        (true, true) => 234,
        _ => 135,
    }
}

/// The size of the coefficient that makes black.
const DARKER: u32 = 900;
/// The probability, of 256, that a macroblock has coefficients.
const PROB_SKIP_FALSE: u8 = 1;
/// That it is predicted within its frame.
const PROB_INTRA: u8 = 1;
/// That it is predicted from the last frame rather than from another one.
const PROB_LAST: u8 = 255;
/// That it is predicted from the golden frame rather than from the alternate one.
const PROB_GOLDEN: u8 = 128;

/// The probabilities that those of motion vectors stay (section 17.2).
const MOTION_UPDATE: [[u8; 19]; 2] = [
    [237, 246, 253, 253, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 250, 250, 252, 254, 254],
    [231, 243, 245, 253, 254, 254, 254, 254, 254, 254, 254, 254, 254, 254, 251, 251, 254, 254, 254],
];

/// The probabilities that those of coefficients stay (section 13.4): 4 kinds of blocks, 8 bands, 3 contexts and 11 nodes. A
/// row ends where the rest of it is 255.
#[rustfmt::skip]
const COEFFICIENT_UPDATE: [&[u8]; 96] = [
    &[], &[], &[], &[176, 246], &[223, 241, 252], &[249, 253, 253], &[255, 244, 252], &[234, 254, 254],
    &[253], &[255, 246, 254], &[239, 253, 254], &[254, 255, 254], &[255, 248, 254], &[251, 255, 254], &[],
    &[255, 253, 254], &[251, 254, 254], &[254, 255, 254], &[255, 254, 253, 255, 254],
    &[250, 255, 254, 255, 254], &[254], &[], &[], &[], &[217], &[225, 252, 241, 253, 255, 255, 254],
    &[234, 250, 241, 250, 253, 255, 253, 254], &[255, 254], &[223, 254, 254], &[238, 253, 254, 254],
    &[255, 248, 254], &[249, 254], &[], &[255, 253], &[247, 254], &[], &[255, 253, 254], &[252], &[],
    &[255, 254, 254], &[253], &[], &[255, 254, 253], &[250], &[254], &[], &[], &[], &[186, 251, 250],
    &[234, 251, 244, 254], &[251, 251, 243, 253, 254, 255, 254], &[255, 253, 254], &[236, 253, 254],
    &[251, 253, 253, 254, 254], &[255, 254, 254], &[254, 254, 254], &[], &[255, 254], &[254, 254], &[254],
    &[], &[254], &[], &[], &[], &[], &[], &[], &[], &[], &[], &[], &[248], &[250, 254, 252, 254],
    &[248, 254, 249, 253], &[255, 253, 253], &[246, 253, 253], &[252, 254, 251, 254, 254], &[255, 254, 252],
    &[248, 254, 253], &[253, 255, 254, 254], &[255, 251, 254], &[245, 251, 254], &[253, 253, 254],
    &[255, 251, 253], &[252, 253, 254], &[255, 254], &[255, 252], &[249, 255, 254], &[255, 255, 254],
    &[255, 255, 253], &[250], &[], &[], &[254], &[],
];

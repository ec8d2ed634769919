//! What the media path costs: `cargo bench`.
//!
//! Each case does what one second of a stream asks for, so that a time in milliseconds is the share of a core, in
//! thousandths, that the stream takes. Renditions run as they do in the gateway, between a feed and a subscriber.

mod congestion;
mod fan_out;
mod recording;
mod rendition;

use bytes::Bytes;

fn main() {
    divan::main();
}

/// Bytes that nothing can compress or mistake for a start code, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8 | 0x04
    })
    .take(len)
    .collect()
}

/// Bytes that are written as digits.
fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

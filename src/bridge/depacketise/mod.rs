//! RTP packets -> frames, once per stream, behind a jitter buffer: only who wants whole frames waits for late packets.

mod h264;
mod pictures;
mod sound;
#[cfg(test)]
mod tests;
mod vp8;

pub(super) use h264::H264;
pub(super) use sound::Sound;
pub(super) use vp8::Vp8;

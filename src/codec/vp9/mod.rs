//! VP9 (VP9 Bitstream & Decoding Process Specification; VP Codec ISO Media File Format Binding): key frames and what they say,
//! the vpcC record.

mod config;
mod header;

pub use config::Vp9Config;
pub use header::KeyHeader;

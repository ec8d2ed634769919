//! HEVC as ITU-T H.265 and ISO/IEC 14496-15 lay it out: NAL units, parameter sets, the hvcC record.

mod config;
mod nal;
mod sps;

pub use config::HevcConfig;
pub use nal::NalKind;
pub use sps::Sps;

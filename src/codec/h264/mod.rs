//! H.264 as ITU-T H.264 and ISO/IEC 14496-15 lay it out: NAL units, parameter sets, the avcC record.

mod avc_config;
mod black;
mod nal;
mod parameter_sets;
mod references;
mod slice;
mod sps;

pub use avc_config::{AvcConfig, AvcConfigError};
pub use black::{Black, BlackError};
pub(super) use nal::unescape;
pub use nal::{NalKind, byte_stream, is_recovery_point, length_prefixed};
pub use parameter_sets::ParameterSets;
pub use references::{Pending, PictureInfo, References};
pub use slice::{Pps, SliceHeader, SliceType};
pub use sps::{HeaderError, Sps, allow_gaps};

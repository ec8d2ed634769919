//! The one vocabulary that RTMP, WebRTC, the bridge and recording share.
//!
//! A stream is one publication with at most one audio and one video track. A track exists in up to two forms:
//! [`Frame`]s (access units and codec packets with DTS and PTS) and RTP [`Packet`]s. Both carry times on the stream's
//! timeline; both share their payload by reference count.

mod access_unit;
mod clock;
mod frame;
mod packet;
mod params;

pub use crate::codec::{Codec, MediaKind};
pub use access_unit::AccessUnit;
pub use clock::{PictureTimes, Repair, Repairs, StampedClock, StreamClock};
pub use frame::{Frame, Payload};
pub use packet::{Extensions, MAX_PAYLOAD, Packet, PacketGroup};
pub use params::CodecParams;

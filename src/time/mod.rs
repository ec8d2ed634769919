//! Instants, durations and clock rates as types, and the one place where they are converted.
//!
//! Depends on nothing. Everything above speaks in [`Timestamp`]s; raw wire clocks ([`RtpTime`], [`RtmpTime`]) stay raw
//! until an [`Unwrapper`] has made 64-bit ticks of them.

mod bit_rate;
mod meter;
mod ntp;
mod timestamp;
mod unwrap;

pub use bit_rate::BitRate;
pub use meter::Meter;
pub use ntp::NtpTime;
pub use timestamp::{ClockRate, MediaDuration, Timestamp};
pub use unwrap::{RtmpTime, RtpTime, Unwrapper};

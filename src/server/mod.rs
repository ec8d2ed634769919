//! Sockets and the real clock: only here and in the gateway.

pub mod http;
pub mod rtmp;
pub mod webrtc;

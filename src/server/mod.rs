//! Sockets and the real clock: only here and in the gateway.

pub mod conference;
pub mod hooks;
pub mod http;
mod places;
pub mod rtmp;
pub mod s3;
pub mod tls;
pub mod webrtc;

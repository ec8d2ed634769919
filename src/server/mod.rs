//! Sockets and the real clock: only here and in the gateway.

pub mod rtmp;

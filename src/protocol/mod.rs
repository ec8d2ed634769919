//! Wire protocols, sans-IO: bytes and the time go in; messages, events and bytes to send come out.

pub mod rtp;

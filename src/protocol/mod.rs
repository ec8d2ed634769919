//! Wire protocols, sans-IO: bytes and the time go in; messages, events and bytes to send come out.

pub mod amf0;
pub mod amf3;
pub mod congestion;
pub mod dtls;
pub mod flv;
pub mod ice;
pub mod room_api;
pub mod rtcp;
pub mod rtmp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
pub mod whip;

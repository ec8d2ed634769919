//! Commonroom: browsers over WebRTC, OBS and ffmpeg over RTMP and Flash-style clients in one live room.
//!
//! Layers, each of which leans only on those below it:
//!
//! ```text
//! main.rs -> gateway.rs                        assemble, run, shut down
//!         -> compose/  probe/                  commands that lead FFmpeg's programs; no server in them
//! server/      rtmp    webrtc    http          sockets and the real clock: only here
//! room/                                        who is here, what is published
//! bridge/                                      who needs which codec; renditions, shared and on demand
//! stream/                                      the bus: one publisher, many subscribers (tokio starts here)
//! media/                                       Frame, Packet, CodecParams, StreamClock
//! protocol/    codec/       container/         bytes <-> meaning: pure functions, sans-IO state machines
//! time/        wire/                           units and byte readers; depend on nothing
//! ```

pub mod bridge;
pub mod certificate;
pub mod codec;
pub mod compose;
pub mod config;
pub mod container;
pub mod gateway;
pub mod media;
pub mod metrics;
pub mod probe;
pub mod protocol;
pub mod recording;
pub mod room;
pub mod server;
pub mod shutdown;
pub mod stream;
pub mod time;
pub mod wire;

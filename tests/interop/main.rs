//! The built program between real clients, judged on what those clients decode.
//!
//! Every case plays a signal of our own (`signal`) through the gateway: a picture that carries its frame number, a
//! continuous tone, and a flash and a beep at each whole second. What comes out at the far end is decoded by somebody
//! else's decoder and read back (`analysis`), so that "bytes arrived" never passes for "it plays".
//!
//! A client that is missing on the machine fails its cases. The cases share two cores with browsers and encoders and
//! measure milliseconds, so they run one at a time: `cargo test --test interop -- --test-threads=1`.
#![expect(clippy::disallowed_methods, reason = "real clients live in real time")]

mod analysis;
mod browser;
mod client;
mod driver;
mod ffmpeg;
mod ffmpeg_7;
mod gateway;
mod http;
mod npm;
mod obs;
mod patience;
mod people;
mod relay;
mod signal;

// The cases.
mod acme;
mod app;
mod boxes;
mod compose;
mod encoders;
mod first_picture;
mod layers;
mod legacy;
mod modules;
mod pages;
mod pairs;
mod probe;
mod publish;
mod recorded;
mod recording;
mod rtmp;
mod sdk;
mod snapshot;
mod trouble;
mod watch;
mod webm;

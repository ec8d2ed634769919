//! HTTP: the pages, WHIP and WHEP signalling, the room API over WebSocket, the API, metrics and health.
//!
//! `listener` owns the sockets and their limits; `router` puts the routes together and what surrounds them all; `cors`
//! decides which foreign pages may speak to us, and `hosts` knows our own names; `secure` has what TLS changes; every refusal is a `problem` in JSON;
//! `recordings` lists and serves what was recorded, in the pieces (`range`) that players ask for, with some work on the disk at a time (`disk`). Nothing here keeps state of its own
//! but `sampler`, which turns counters into rates.

mod api;
mod cors;
mod disk;
mod health;
mod hosts;
mod listener;
mod pages;
mod problem;
mod range;
mod recordings;
mod router;
mod sampler;
mod secure;
mod signalling;
mod snapshot;
mod websocket;

pub use listener::{BindError, Parts, Server};

//! RTMP over TCP: a listener, one task a connection, and the way between FLV tag bodies and the bus.
//!
//! `connection` owns a socket and its [`ServerSession`](crate::protocol::rtmp::ServerSession); `requests` begin what it
//! publishes and plays, `streams` has it; `member` is a
//! client of the room API; `ingest` makes frames of what a publisher sends, on a clock that mends its times (`media::StampedClock`);
//! `egress` makes tag bodies for a player; `directory` carries a publisher's metadata to players; `players` lists those; `address` finds the room.

mod address;
mod connection;
mod counters;
mod directory;
mod egress;
mod ingest;
mod listener;
mod member;
mod outbox;
mod players;
mod reordering;
mod requests;
mod socket;
mod sockopt;
mod streams;

pub use address::{Address, AddressError};
pub use listener::Server;
pub use players::{PlayerInfo, Players};

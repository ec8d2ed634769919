//! The RTMP server over real sockets, with a client of our own: what publishers and players see of each other.

mod client;
mod logs;
mod members;
mod news;
mod revoked;
#[path = "../common/rtmp.rs"]
mod rtmp;
mod slow;
mod stamps;
mod streams;
mod trouble;

//! The room API over real WebSockets: rooms and chat, streams, and what clients do that should not.

mod client;
mod rooms;
mod streams;
mod trouble;

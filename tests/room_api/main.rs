//! The room API over real WebSockets: rooms and chat, streams, and what clients do that should not.

mod client;
mod rooms;
#[path = "../common/site.rs"]
mod site;
mod streams;
mod trouble;

//! The HTTP server over real sockets: signalling, the API, foreign origins, bounds, and the order in which all stops.

mod bounds;
mod client;
mod recordings;
mod reports;
mod signalling;
#[path = "../common/site.rs"]
mod site;

//! What a user of the room API can do: a session in terms of its messages, free of the transport that carries them.
//!
//! A [`Session`] takes what a client says and gives what the client is to be told; WebSocket connections and RTMP connections
//! of room clients own one each. It holds the user's memberships, publications and playbacks, so that dropping it takes
//! the user out of everything. `talk` has the commands to rooms, `streams` publications and playbacks, `lend` what a transport needs
//! that carries streams itself, `translate` puts what happens in a room into the words of the wire.

mod alive;
mod close;
mod lend;
mod quality;
mod refuse;
mod session;
mod snapshot;
mod streams;
mod talk;
mod translate;

pub use close::Close;
pub use session::{Output, Session};

use crate::bridge::Bridge;
use crate::room::Rooms;
use crate::server::webrtc;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What all sessions share. Cloning gives another handle to the same.
#[derive(Clone)]
pub struct Conference(Arc<Services>);

/// What sessions lean on.
pub struct Services {
    /// The rooms.
    pub rooms: Rooms,
    /// What is made of streams.
    pub bridge: Bridge,
    /// Who answers offers.
    pub webrtc: webrtc::Server,
    /// Where RTMP listens, for clients to be told.
    pub rtmp_port: u16,
    /// Cancelled when the server begins to go down.
    pub stop: CancellationToken,
}

impl Conference {
    /// Of these.
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl std::ops::Deref for Conference {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.0
    }
}

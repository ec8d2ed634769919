//! How much a line carries, as the sender finds it out: Google congestion control (draft-ietf-rmcat-gcc-02) on
//! transport-wide feedback.
//!
//! A [`Transport`] numbers what one peer is sent and reads what its feedback says of it: what has arrived, how fast, and
//! whether queues build up on the way. A [`Controller`] makes one [`estimate`](Controller::estimate) of what the
//! transports that share a line tell: down when a queue builds up or much is lost, slowly up while the line is full and
//! all is well, and up in steps by probes, for which the caller sends padding.
//!
//! It differs from a video sender's in one thing: what we send is not ours to make, so most of the time it is less than
//! the line carries. Until something has gone wrong there is no estimate, and nothing is held back or probed for.
//!
//! Feedback is dear, so a line that is calm is only glanced at now and then; [`Vigilance`] says when.
//!
//! Sans-IO: times come in, everything is bounded, and the peer's word is never trusted with an index or an allocation.

mod controller;
mod delay;
mod history;
mod probe;
mod throughput;
mod transport;
mod vigilance;

pub use controller::Controller;
pub use delay::Signal;
pub use probe::Filler;
pub use transport::{Report, Transport};
pub use vigilance::Vigilance;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

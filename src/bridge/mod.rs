//! Who needs which codec: finds or starts the rendition that a subscriber accepts.
//!
//! A subscriber states what it [accepts](Accepts), not what it is. The bridge attaches it to the publisher's own feed
//! where that fits, else to a derived one, which it starts with the first subscriber that needs it, shares, and stops a
//! few seconds after the last has left.
//!
//! [`plan`] is the table of what can become what; a *converter* does one row of it without I/O, `chain` several, `tools`
//! puts those of a way together, and `worker` runs them between a subscriber queue and a feed, as a task or on a thread of its own.
//! `rendition` keeps the table of those that run, `places` how many may transcode pictures. `snapshot` takes the last picture out of a stream,
//! `black` makes a picture that stands where a stream has none.

mod audio;
mod black;
mod chain;
mod converter;
mod depacketise;
mod order;
mod packetise;
mod places;
pub mod plan;
mod rendition;
mod snapshot;
mod subscription;
#[cfg(test)]
mod tests;
mod tools;
#[cfg(feature = "transcode")]
mod video;
mod worker;

pub use plan::{Conversion, Reason, Refusal, packet_codecs};
pub use rendition::{Bridge, RefusalMark, RenditionInfo};
pub use snapshot::{ImageFormat, SnapshotError};
pub use subscription::{Accepts, StartingPicture, Subscription};

//! Who needs which codec: finds or starts the rendition that a subscriber accepts.
//!
//! A subscriber states what it [accepts](Accepts), not what it is. The bridge attaches it to the publisher's own feed
//! where that fits, else to a derived one, which it starts with the first subscriber that needs it, shares, and stops a
//! few seconds after the last has left.

mod subscription;

pub use subscription::{Accepts, Bridge, Subscription};

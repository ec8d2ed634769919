//! The bus: one publisher, many subscribers, and no waiting between them.
//!
//! A [`Stream`] is one publication. It holds *feeds*: the publisher's own tracks and whatever the bridge derives from
//! them, each named by a [`FeedKey`] (kind, codec, form). Whoever writes a feed holds its [`FeedWriter`]; whoever reads
//! holds a [`Subscriber`], a bounded queue that may be attached to several feeds of one stream. Writing never waits: a
//! subscriber that falls behind loses whole GOPs of video, or packets of audio, alone.

mod bus;
mod cache;
mod feed;
mod gate;
mod keyframes;
mod layer;
mod queue;
mod recorded;
mod repairs;
mod subscriber;
mod warnings;

pub use bus::{EndReason, KeyframeRequests, Publisher, Stream, StreamName};
pub use feed::{FeedInfo, FeedKey, FeedWriter, Form};
pub use layer::{Layer, Layers};
pub use queue::QueueLimits;
pub use recorded::Recorded;
pub use subscriber::{Event, Start, Subscriber};
pub use warnings::{Warning, WarningMark, Warnings};

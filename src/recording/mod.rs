//! Recording: each stream in a file of its own, all of a room's on one clock.

pub mod manifest;
#[expect(dead_code, unused_imports, reason = "the files that it is for come next")]
mod timeline;

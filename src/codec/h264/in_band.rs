//! Parameter sets in band, for a file whose sample entry cannot be written again.

use super::AvcConfig;
use bytes::{BufMut, Bytes, BytesMut};

/// Knows what must stand in front of a key picture: nothing while the stream has the parameter sets that its file began
/// with, and from the first change on the sets in force, even if they are the first ones again.
#[derive(Clone, Debug)]
pub struct InBand {
    current: AvcConfig,
    sets: Option<Bytes>,
}

impl InBand {
    /// Of a file whose sample entry has these.
    pub const fn new(described: AvcConfig) -> Self {
        Self { current: described, sets: None }
    }

    /// The stream has these from its next key picture on.
    pub fn change(&mut self, config: &AvcConfig) {
        if self.current != *config {
            self.current = config.clone();
            self.sets = Some(config.length_prefixed());
        }
    }

    /// What to put in front of a key picture: sets with lengths of 4 bytes, or nothing.
    pub fn prefix(&self) -> Bytes {
        self.sets.clone().unwrap_or_default()
    }
}

impl AvcConfig {
    /// Every set behind a length of 4 bytes, as they stand in an access unit.
    pub fn length_prefixed(&self) -> Bytes {
        let mut out = BytesMut::new();
        for set in self.sps().iter().chain(self.pps()) {
            out.put_u32(set.len() as u32); // at most 4 KB
            out.put_slice(set);
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_first_change_on() {
        let config = |level| {
            let sps = Bytes::copy_from_slice(&[0x67, 0x42, 0xc0, level]);
            AvcConfig::new(vec![sps], vec![Bytes::from_static(&[0x68, 0xce])]).unwrap()
        };
        let mut sets = InBand::new(config(30));
        assert!(sets.prefix().is_empty());
        sets.change(&config(30));
        assert!(sets.prefix().is_empty(), "no change");
        sets.change(&config(31));
        assert_eq!(sets.prefix()[..], [0, 0, 0, 4, 0x67, 0x42, 0xc0, 31, 0, 0, 0, 2, 0x68, 0xce]);
        sets.change(&config(30));
        assert_eq!(sets.prefix()[7], 30, "a decoder has others by now");
    }
}

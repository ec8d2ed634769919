//! Message streams: made by `createStream`, used to publish or play, deleted.

use crate::protocol::rtmp::event::StreamId;

/// Message streams at the same time: a camera and the other participants of a room of sixteen, or a screen besides.
const MAX_STREAMS: usize = 16;

/// What a message stream is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Idle,
    Publishing,
    Playing,
}

/// All message streams of a connection. At most [`MAX_STREAMS`].
#[derive(Debug, Default)]
pub(super) struct Streams {
    list: Vec<(StreamId, Role)>,
    last: u32,
}

impl Streams {
    /// A new stream; `None` if there are too many.
    pub(super) fn create(&mut self) -> Option<StreamId> {
        if self.list.len() >= MAX_STREAMS {
            return None;
        }
        self.last = self.last.checked_add(1)?;
        self.list.push((StreamId(self.last), Role::Idle));
        Some(StreamId(self.last))
    }

    pub(super) fn role(&self, id: StreamId) -> Option<Role> {
        self.list.iter().find(|(stream, _)| *stream == id).map(|(_, role)| *role)
    }

    /// Gives a stream another role and says which it had; `None` if there is no such stream.
    pub(super) fn set_role(&mut self, id: StreamId, role: Role) -> Option<Role> {
        let (_, current) = self.list.iter_mut().find(|(stream, _)| *stream == id)?;
        Some(std::mem::replace(current, role))
    }

    pub(super) fn delete(&mut self, id: StreamId) -> Option<Role> {
        let at = self.list.iter().position(|(stream, _)| *stream == id)?;
        Some(self.list.swap_remove(at).1)
    }

    pub(super) fn any(&self, role: Role) -> bool {
        self.list.iter().any(|(_, other)| *other == role)
    }

    /// The stream of this role, if it is the only one.
    pub(super) fn only(&self, role: Role) -> Option<StreamId> {
        let mut streams = self.list.iter().filter(|(_, other)| *other == role);
        let (id, _) = streams.next()?;
        streams.next().is_none().then_some(*id)
    }

    /// Whether the client has ever made a second stream, as programs do that handle several.
    pub(super) const fn were_several(&self) -> bool {
        self.last > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_and_never_the_same() {
        let mut streams = Streams::default();
        let ids: Vec<_> = std::iter::from_fn(|| streams.create()).collect();
        assert_eq!((ids.len(), ids.first(), ids.last()), (16, Some(&StreamId(1)), Some(&StreamId(16))));
        assert_eq!(streams.delete(StreamId(5)), Some(Role::Idle));
        assert_eq!(streams.delete(StreamId(5)), None);
        assert_eq!(streams.create(), Some(StreamId(17)));
    }

    #[test]
    fn the_only_one_of_a_role() {
        let mut streams = Streams::default();
        let (first, second) = (streams.create().unwrap(), streams.create().unwrap());
        assert_eq!(streams.only(Role::Playing), None);
        streams.set_role(first, Role::Playing);
        assert_eq!(streams.only(Role::Playing), Some(first));
        streams.set_role(second, Role::Playing);
        assert_eq!(streams.only(Role::Playing), None);
    }
}

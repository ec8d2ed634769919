//! Whether a stream is recorded, and under which name: the recorder says it here, and those who carry the stream tell its
//! publisher.

use super::bus::Stream;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// How a stream is, or was, recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The file, by the name that clients ask for: `ROOM/SESSION/FILE`.
    pub name: Arc<str>,
    /// Whether it is at the moment.
    pub is_live: bool,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_live { "this stream is being recorded" } else { "the recording has ended" };
        write!(f, "{state}: {}", self.name)
    }
}

impl Stream {
    /// What the publisher's client calls it by; said once, before anybody hears of it.
    pub fn set_client_id(&self, id: &str) {
        // It is said once.
        drop(self.shared().client_id.set(id.into()));
    }

    /// What the publisher's client calls it by, or else its name.
    pub fn client_id(&self) -> &str {
        self.shared().client_id.get().map_or(&self.name().stream, |id| id)
    }

    /// The recorder writes the stream into this file from now on.
    pub fn begin_recording(&self, name: &str) {
        self.shared().recorded.send_replace(Some(Recorded { name: name.into(), is_live: true }));
    }

    /// It does so no longer, unless it goes into another file already. The name stays known.
    pub fn end_recording(&self, name: &str) {
        self.shared().recorded.send_if_modified(|recorded| {
            let mut same = recorded.as_mut().filter(|recorded| *recorded.name == *name);
            same.as_mut().is_some_and(|recorded| std::mem::replace(&mut recorded.is_live, false))
        });
    }

    /// How it is recorded, and changes of that. `None`: it never was.
    pub fn recorded(&self) -> watch::Receiver<Option<Recorded>> {
        self.shared().recorded.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bus::StreamName;
    use super::*;
    use crate::time::NtpTime;

    #[test]
    fn clients_call_streams_as_they_like() {
        let name = StreamName { room: "r".into(), participant: "a".into(), stream: "r-a-1".into() };
        let (stream, _publisher) = Stream::publish(name, NtpTime::default());
        assert_eq!(stream.client_id(), "r-a-1");
        stream.set_client_id("4b1d");
        stream.set_client_id("later");
        assert_eq!(stream.client_id(), "4b1d");
    }

    #[test]
    fn the_name_outlives_the_recording() {
        let name = StreamName { room: "r".into(), participant: "a".into(), stream: "r-a-1".into() };
        let (stream, _publisher) = Stream::publish(name, NtpTime::default());
        let mut recorded = stream.recorded();
        stream.end_recording("r/s/a.mp4");
        assert_eq!((recorded.has_changed().unwrap(), recorded.borrow_and_update().clone()), (false, None));
        stream.begin_recording("r/s/a.mp4");
        let is = |is_live| Some(Recorded { name: "r/s/a.mp4".into(), is_live });
        assert_eq!((recorded.has_changed().unwrap(), recorded.borrow_and_update().clone()), (true, is(true)));
        stream.end_recording("r/s/a.mp4");
        assert_eq!(
            (recorded.has_changed().unwrap(), recorded.borrow_and_update().clone()),
            (true, is(false))
        );
        stream.end_recording("r/s/a.mp4");
        assert!(!recorded.has_changed().unwrap(), "it had ended");
        stream.begin_recording("r/t/a.mp4");
        recorded.mark_unchanged();
        stream.end_recording("r/s/a.mp4");
        assert!(
            !recorded.has_changed().unwrap(),
            "the next session has begun before the last one was complete"
        );
    }
}

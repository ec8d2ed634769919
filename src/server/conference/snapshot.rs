//! `snapshot`: the last picture of a stream, for whoever may play it.

use super::session::{News, Session};
use crate::bridge::ImageFormat;
use crate::protocol::room_api::{Label, Notice, ServerMessage, Stream, StreamNotice};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Lines of a picture. It goes the same way as all that a client waits for, so it is to be half a megabyte and not twenty.
const LINES: u32 = 480;

impl Session {
    /// Begins to take a picture, one at a time.
    pub(super) fn take_snapshot(&mut self, stream: Stream) {
        if let Err(reason) = self.try_snapshot(&stream) {
            self.say_snapshot(stream.media_session_id, Err(reason.to_owned()));
        }
    }

    fn try_snapshot(&mut self, stream: &Stream) -> Result<(), &'static str> {
        if self.snapshot {
            return Err("the picture that was asked for before is still being taken");
        }
        let name = stream.name.as_ref().ok_or("of which stream?")?;
        let source = self.find(None, name).map_err(|_| "there is no such stream")?;
        self.snapshot = true;
        let (bridge, id) = (self.conference.bridge.clone(), stream.media_session_id.clone());
        self.news.push(Box::pin(async move {
            let taken = bridge.snapshot(&source, ImageFormat::Png, Some(LINES)).await;
            News::Snapshot { id, taken: taken.map_err(|error| error.to_string()) }
        }));
        Ok(())
    }

    /// The picture is there, or will not come.
    pub(super) fn snapshot_taken(&mut self, id: Label, taken: Result<Bytes, String>) {
        self.snapshot = false;
        self.say_snapshot(id, taken);
    }

    fn say_snapshot(&mut self, media_session_id: Label, taken: Result<Bytes, String>) {
        let notice = match taken {
            Ok(image) => Notice::SnapshotCompleted { snapshot: STANDARD.encode(image) },
            Err(info) => Notice::SnapshotFailed { info },
        };
        let notice = StreamNotice { media_session_id, notice };
        self.say(ServerMessage::NotifyStreamEvent((notice,)));
    }
}

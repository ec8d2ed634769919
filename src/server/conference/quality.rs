//! How well streams arrive at a client, in words that people understand. Looked at every few seconds, told when it changes.

use super::session::Session;
use crate::bridge::{Bridge, Reason};
use crate::media::MediaKind;
use crate::protocol::room_api::{
    Event, OnData, Quality, Reason as Remark, RoomEvent, ServerMessage, StreamQuality,
};
use crate::room::Media;
use crate::server::webrtc::{Picture, SessionInfo};
use crate::stream;
use crate::stream::Form;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(3);
/// Of a hundred packets, those that may be missing before it is seen or heard now and then, and all the time.
const FAIR: u64 = 3;
const POOR: u64 = 10;

/// The figures of a playback at one look.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Figures {
    packets: u64,
    lost: u64,
    /// Of the publisher, over all.
    writes: u64,
    /// Whether anything is to come.
    due: bool,
}

impl Session {
    /// Looks at all playbacks of the rooms the client is in.
    pub(super) fn look(&mut self, now: Instant) {
        self.look_at = Some(now + INTERVAL);
        let mut rooms: BTreeMap<_, BTreeMap<String, StreamQuality>> = BTreeMap::new();
        for stream in self.streams.values_mut() {
            let Some((source, session)) = stream.playing() else { continue };
            let Some(info) = self.conference.webrtc.info(session).filter(is_connected) else { continue };
            let (source, reasons) = (source.clone(), reasons(&self.conference.bridge, source));
            let seat = self.seats.get(stream.room());
            let silent = seat.and_then(|seat| seat.muted.get(&source.name().stream.parse().ok()?));
            let due = is_due(&source, silent.copied().unwrap_or_default(), info.picture);
            let figures = Figures { packets: info.packets, lost: info.lost, writes: source.writes(), due };
            let quality =
                stream.figures.replace(figures).map_or(Quality::Good, |before| judge(before, figures));
            let name = source.name().stream.as_ref().to_owned();
            let login = source.name().participant.as_ref().to_owned();
            let seen = StreamQuality { login, name: name.clone(), quality, reasons };
            rooms.entry(stream.room().clone()).or_default().insert(name, seen);
        }
        let mut told = Vec::new();
        for (room, seat) in &mut self.seats {
            let seen: Vec<_> = rooms.remove(room).unwrap_or_default().into_values().collect();
            if seen != seat.quality {
                seat.quality.clone_from(&seen);
                told.push((room.to_string(), seen));
            }
        }
        for (room_name, seen) in told {
            let event = Event::Quality { info: seen.clone(), commonroom: seen };
            self.say(ServerMessage::OnData((OnData { payload: RoomEvent { room_name, event } },)));
        }
    }
}

fn is_connected(info: &SessionInfo) -> bool {
    info.connect_time.is_some()
}

/// Whether sound or picture is to come to a viewer: there is some, nobody has muted it, and the picture is not left out.
fn is_due(source: &stream::Stream, silent: Media, picture: Picture) -> bool {
    let comes = |kind| source.sends(kind) != Some(false) && !silent.has(kind) && !source.is_muted(kind);
    comes(MediaKind::Audio) || (comes(MediaKind::Video) && !picture.audio_only)
}

/// What makes a stream less for browsers than what was sent.
fn reasons(bridge: &Bridge, stream: &stream::Stream) -> Vec<Remark> {
    let mut reasons: Vec<_> = stream
        .warnings()
        .into_iter()
        .map(|warning| Remark { reason: warning.as_str().to_owned(), message: warning.to_string() })
        .collect();
    let renditions = bridge.renditions(stream).into_iter();
    // Another packaging of the same takes nothing away, nor does what is shown for a moment, and what others read is no matter here.
    let is_told = |reason| !matches!(reason, Reason::Packetised | Reason::FirstPicture);
    let renditions = renditions.filter(|info| info.feed.form != Form::Frames && is_told(info.reason));
    for info in renditions {
        if !reasons.iter().any(|known| known.reason == info.reason.as_str()) {
            let (reason, message) = (info.reason.as_str().to_owned(), info.reason.to_string());
            reasons.push(Remark { reason, message });
        }
    }
    reasons
}

/// What became of a playback between two looks.
fn judge(before: Figures, now: Figures) -> Quality {
    let packets = now.packets.saturating_sub(before.packets);
    let lost = now.lost.saturating_sub(before.lost);
    if packets == 0 || now.writes == before.writes {
        // Silence that is wanted is none to worry about.
        if before.due && now.due { Quality::Poor } else { Quality::Good }
    } else if lost * 100 >= packets * POOR {
        Quality::Poor
    } else if lost * 100 >= packets * FAIR {
        Quality::Fair
    } else {
        Quality::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::stream::{FeedKey, StreamName};
    use crate::time::NtpTime;

    #[test]
    fn what_is_lost_is_seen_and_heard() {
        let before = Figures { packets: 1_000, lost: 50, writes: 7, due: true };
        let after = |packets: u64, lost: u64| {
            judge(before, Figures { packets: 1_000 + packets, lost: 50 + lost, writes: 8, due: true })
        };
        assert_eq!(after(100, 0), Quality::Good);
        assert_eq!(after(100, 2), Quality::Good);
        assert_eq!(after(100, 3), Quality::Fair);
        assert_eq!(after(100, 9), Quality::Fair);
        assert_eq!(after(100, 10), Quality::Poor);
        assert_eq!(after(0, 0), Quality::Poor, "nothing arrives");
        let silent = Figures { packets: 1_100, ..before };
        assert_eq!(judge(before, silent), Quality::Poor, "nothing is sent");
        for (was, is) in [(true, false), (false, true), (false, false)] {
            let (before, now) = (Figures { due: was, ..before }, Figures { due: is, ..before });
            assert_eq!(judge(before, now), Quality::Good, "nothing was to come, at least for a part");
        }
    }

    #[test]
    fn what_nobody_wants_to_send_or_see_is_not_missed() {
        let name = |text: &str| text.into();
        let name = StreamName { room: name("r"), participant: name("p"), stream: name("r-p-1") };
        let (stream, publisher) = stream::Stream::publish(name, NtpTime::default());
        let _sound = publisher.track(FeedKey::new(Codec::Opus, Form::Packets)).unwrap();
        let _video = publisher.track(FeedKey::new(Codec::H264, Form::Packets)).unwrap();
        let (all, none) = (Media { audio: true, video: true }, Media::default());
        let sound = Media { audio: true, video: false };
        let (shown, left_out) = (Picture::default(), Picture { audio_only: true, ..Picture::default() });
        assert!(is_due(&stream, none, shown));
        assert!(is_due(&stream, none, left_out), "the sound");
        assert!(is_due(&stream, sound, shown), "the picture");
        assert!(!is_due(&stream, all, shown), "muted by its publisher");
        assert!(!is_due(&stream, sound, left_out), "paused, or not for this line");
        stream.set_muted(MediaKind::Video, true);
        assert!(!is_due(&stream, sound, shown), "held back by a host");
    }

    #[test]
    fn what_is_not_there_is_not_missed() {
        let name = |text: &str| text.into();
        let name = StreamName { room: name("r"), participant: name("p"), stream: name("r-p-1") };
        let (stream, publisher) = stream::Stream::publish(name, NtpTime::default());
        let _video = publisher.track(FeedKey::new(Codec::H264, Form::Packets)).unwrap();
        publisher.declare(&[MediaKind::Video]);
        let left_out = Picture { audio_only: true, ..Picture::default() };
        assert!(is_due(&stream, Media::default(), Picture::default()));
        assert!(
            !is_due(&stream, Media::default(), left_out),
            "a screen without sound whose tile is out of sight"
        );
    }
}

//! What happens in a room, in the words of the wire.

use crate::media::MediaKind;
use crate::protocol::room_api as api;
use crate::room::{self, Event, LeaveReason, Limits, Media, StreamView};

/// The event that a member hears, if it has a name there. Who has not `declared` to know the additions hears less.
pub(super) fn event(
    event: &Event,
    member: &room::Name,
    declared: bool,
    limits: &Limits,
) -> Option<api::Event> {
    let ours = || declared.then_some(());
    Some(match event {
        Event::State(state) => api::Event::State {
            info: state.participants.iter().flat_map(present).collect(),
            commonroom: ours().map(|()| Box::new(room_state(state, limits))),
        },
        Event::Joined(newcomer) => api::Event::Joined {
            info: newcomer.login.to_string(),
            commonroom: ours().map(|()| participant(newcomer)),
        },
        Event::Left { login, reason } => api::Event::Left {
            info: login.to_string(),
            commonroom: ours().map(|()| api::Left { login: login.to_string(), reason: left(*reason) }),
        },
        Event::Published { login, stream: view } => api::Event::Published {
            info: api::StreamOf::new(login.as_str(), view.name.as_str()),
            commonroom: ours().map(|()| api::Published { login: login.to_string(), stream: stream(view) }),
        },
        Event::Unpublished { login, stream, failed } => {
            let info = api::StreamOf::new(login.as_str(), stream.as_str());
            let reason = if *failed { api::StreamEndReason::Failed } else { api::StreamEndReason::Stopped };
            let end = |()| api::StreamEnd { login: login.to_string(), name: stream.to_string(), reason };
            let commonroom = ours().map(end);
            if *failed {
                api::Event::Failed { info, commonroom }
            } else {
                api::Event::Unpublished { info, commonroom }
            }
        }
        Event::Message(line) => api::Event::Message {
            info: api::Line { from: line.from.to_string(), text: line.text.as_ref().to_owned() },
            commonroom: ours().map(|()| message(line)),
        },
        // The rest has a name for those who know the additions alone.
        _ => return ours().and_then(|()| addition(event, member)),
    })
}

fn addition(event: &Event, member: &room::Name) -> Option<api::Event> {
    Some(match event {
        Event::Muted { login, stream, medium: kind, muted, by, .. } => {
            let muted = api::Muted {
                login: login.to_string(),
                name: Some(stream.to_string()),
                medium: medium(*kind),
                muted: *muted,
                by: by.as_ref().map(ToString::to_string),
            };
            api::Event::Muted { info: muted.clone(), commonroom: muted }
        }
        Event::Held { login, medium: kind, muted, by } => {
            let (login, by) = (login.to_string(), Some(by.to_string()));
            let muted = api::Muted { login, name: None, medium: medium(*kind), muted: *muted, by };
            api::Event::Muted { info: muted.clone(), commonroom: muted }
        }
        Event::Role { login, role: new } => {
            let change = api::RoleChange { login: login.to_string(), role: role(*new) };
            api::Event::Role { info: change.clone(), commonroom: change }
        }
        Event::Locked { locked, by } => {
            let locked = api::Locked { locked: *locked, by: by.to_string() };
            api::Event::Locked { info: locked.clone(), commonroom: locked }
        }
        Event::Recording { recording, wanted } => {
            let recording = api::Recording { recording: *recording, wanted: *wanted };
            api::Event::Recording { info: recording.clone(), commonroom: recording }
        }
        Event::Expelled(room::Expulsion::Kicked { by }) => {
            let by = api::By { by: by.to_string() };
            api::Event::Kicked { info: by.clone(), commonroom: by }
        }
        Event::Expelled(room::Expulsion::Ended { by }) => {
            let by = api::By { by: by.to_string() };
            api::Event::Ended { info: by.clone(), commonroom: by }
        }
        Event::Expelled(room::Expulsion::TakenOver) => {
            let taken_over = api::TakenOver { login: member.to_string() };
            api::Event::TakenOver { info: taken_over.clone(), commonroom: taken_over }
        }
        // Told in other ways, or above.
        Event::Expelled(room::Expulsion::TooSlow)
        | Event::Data { .. }
        | Event::State(_)
        | Event::Joined(_)
        | Event::Left { .. }
        | Event::Published { .. }
        | Event::Unpublished { .. }
        | Event::Message(_)
        | Event::Wanted(_) => return None,
    })
}

fn present(participant: &room::Participant) -> Vec<api::Present> {
    let login = participant.login.as_str();
    if participant.streams.is_empty() {
        return vec![api::Present::Silent(login.to_owned())];
    }
    let of = |view: &StreamView| api::Present::Publishing(api::StreamOf::new(login, view.name.as_str()));
    participant.streams.iter().map(of).collect()
}

fn room_state(state: &room::State, limits: &Limits) -> api::RoomState {
    api::RoomState {
        you: api::You {
            login: state.you.login.to_string(),
            role: role(state.you.role),
            host_muted: media(state.host_muted),
        },
        participants: state.participants.iter().map(participant).collect(),
        locked: state.locked,
        recording: state.recording,
        record_wanted: state.record_wanted,
        recording_policy: match limits.recording {
            room::RecordingPolicy::Never => api::RecordingPolicy::Never,
            room::RecordingPolicy::OnRequest => api::RecordingPolicy::OnRequest,
            room::RecordingPolicy::Always => api::RecordingPolicy::Always,
        },
        messages: state.messages.iter().map(message).collect(),
        limits: api::Bounds {
            participants: u32::try_from(limits.participants).unwrap_or(u32::MAX),
            text_length: u32::try_from(limits.message_length).unwrap_or(u32::MAX),
            messages_per_second: limits.messages_per_second,
        },
    }
}

fn participant(seen: &room::Participant) -> api::Participant {
    api::Participant {
        login: seen.login.to_string(),
        protocol: match seen.protocol {
            room::Protocol::Rtmp => api::Protocol::Rtmp,
            room::Protocol::Whip => api::Protocol::Whip,
            room::Protocol::WebSocket => api::Protocol::WebSocket,
            room::Protocol::Flash => api::Protocol::Flash,
        },
        role: role(seen.role),
        joined: seen.joined.unix_millis(),
        streams: seen.streams.iter().map(stream).collect(),
    }
}

fn stream(view: &StreamView) -> api::StreamState {
    api::StreamState {
        name: view.name.to_string(),
        kind: match view.kind {
            room::StreamKind::Camera => api::Kind::Camera,
            room::StreamKind::Screen => api::Kind::Screen,
        },
        audio: view.media.audio,
        video: view.media.video,
        audio_muted: view.muted.audio,
        video_muted: view.muted.video,
        host_muted: media(view.host_muted),
    }
}

fn media(Media { audio, video }: Media) -> Vec<api::Medium> {
    let media = [(audio, api::Medium::Audio), (video, api::Medium::Video)];
    media.into_iter().filter(|(has, _)| *has).map(|(_, medium)| medium).collect()
}

fn message(line: &room::Message) -> api::Message {
    api::Message {
        id: line.id.0,
        from: line.from.to_string(),
        to: line.to.as_ref().map(ToString::to_string),
        text: line.text.as_ref().to_owned(),
        time: line.time.unix_millis(),
    }
}

const fn left(reason: LeaveReason) -> api::LeftReason {
    match reason {
        LeaveReason::Left => api::LeftReason::Left,
        LeaveReason::Vanished => api::LeftReason::Vanished,
        LeaveReason::Kicked => api::LeftReason::Kicked,
        LeaveReason::Ended => api::LeftReason::Ended,
    }
}

const fn role(role: room::Role) -> api::Role {
    match role {
        room::Role::Viewer => api::Role::Viewer,
        room::Role::Speaker => api::Role::Speaker,
        room::Role::Host => api::Role::Host,
    }
}

const fn medium(kind: MediaKind) -> api::Medium {
    match kind {
        MediaKind::Audio => api::Medium::Audio,
        MediaKind::Video => api::Medium::Video,
    }
}

/// The other way.
pub(super) const fn kind(medium: api::Medium) -> MediaKind {
    match medium {
        api::Medium::Audio => MediaKind::Audio,
        api::Medium::Video => MediaKind::Video,
    }
}

/// The other way.
pub(super) const fn role_of(role: api::Role) -> room::Role {
    match role {
        api::Role::Viewer => room::Role::Viewer,
        api::Role::Speaker => room::Role::Speaker,
        api::Role::Host => room::Role::Host,
    }
}

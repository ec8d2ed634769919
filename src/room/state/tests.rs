mod again;
mod record;

use super::super::event::{Event, Expulsion, LeaveReason};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// A room and what each member has heard, in words.
struct World {
    room: Room,
    now: Now,
    members: u64,
    heard: BTreeMap<MemberId, Vec<String>>,
    /// Effects that are no news, in words.
    acts: Vec<String>,
    /// What whoever observes the room has heard.
    observed: Vec<String>,
}

impl World {
    fn new(limits: Limits) -> Self {
        let now = Now { instant: Instant::now(), wall: NtpTime::default() };
        Self {
            room: Room::new(name("r"), limits, now),
            now,
            members: 0,
            heard: BTreeMap::new(),
            acts: Vec::new(),
            observed: Vec::new(),
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.now.instant += Duration::from_secs_f64(seconds);
    }

    fn handle(&mut self, command: Command) -> Result<(), Refusal> {
        for effect in self.room.handle(command, self.now)? {
            match effect {
                Effect::Tell { to, event } => self.heard.entry(to).or_default().push(words(&event)),
                Effect::Expel(id) => self.acts.push(format!("expel {}", id.0)),
                Effect::End { stream, .. } => self.acts.push(format!("end {stream}")),
                Effect::Gate { stream, medium, muted } => {
                    self.acts.push(format!("gate {stream} {} {muted}", medium.as_str()));
                }
                Effect::Observe(event) => self.observed.push(words(&event)),
                Effect::Said(id, _) => self.acts.push(format!("said {}", id.0)),
            }
        }
        Ok(())
    }

    fn enter(&mut self, login: &str, key: Option<&str>, listens: bool) -> Result<MemberId, Refusal> {
        self.members += 1;
        let member = MemberId(self.members);
        let protocol = if listens { Protocol::WebSocket } else { Protocol::Rtmp };
        let entry = Entry { login: name(login), protocol, key: key.map(Key::new), listens };
        self.handle(Command::Enter { member, entry })?;
        Ok(member)
    }

    /// Several who listen and have no key.
    fn with<const N: usize>(&mut self, logins: [&str; N]) -> [MemberId; N] {
        let members = logins.map(|login| self.enter(login, None, true).unwrap());
        self.heard.clear();
        members
    }

    fn publish(&mut self, member: MemberId, stream: &str) {
        self.handle(reserve(member, stream)).unwrap();
        self.handle(Command::Begin { stream: published(stream), media: Media { audio: true, video: true } })
            .unwrap();
    }

    fn say(&mut self, member: MemberId, to: Option<&str>, private: bool, text: &str) -> Result<(), Refusal> {
        self.handle(Command::Say { member, to: to.map(name), private, text: text.into() })
    }

    fn moderate(&mut self, member: MemberId, action: Moderation) -> Result<(), Refusal> {
        self.handle(Command::Moderate { member, action })
    }

    /// What a member has heard since the last time.
    fn hears(&mut self, member: MemberId) -> String {
        self.heard.remove(&member).unwrap_or_default().join("; ")
    }

    fn acts(&mut self) -> String {
        std::mem::take(&mut self.acts).join("; ")
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn published(text: &str) -> PublishedName {
    text.parse().unwrap()
}

/// Of a stream that is what its name says.
fn reserve(member: MemberId, stream: &str) -> Command {
    let stream = published(stream);
    let kind = stream.kind();
    Command::Reserve { member, stream, kind }
}

fn seen(participant: &Participant) -> String {
    let streams: Vec<_> = participant.streams.iter().map(|stream| stream.name.as_str()).collect();
    format!("{}/{}[{}]", participant.login, participant.role.as_str(), streams.join(" "))
}

fn words(event: &Event) -> String {
    match event {
        Event::State(state) => {
            let others: Vec<_> = state.participants.iter().map(seen).collect();
            let lines: Vec<_> = state.messages.iter().map(|line| &*line.text).collect();
            format!("state you={} others={} lines={}", seen(&state.you), others.join(","), lines.join(","))
        }
        Event::Joined(participant) => format!("joined {}", seen(participant)),
        Event::Left { login, reason } => format!("left {login} {}", reason.as_str()),
        Event::Published { login, stream } => format!("published {login} {}", stream.name),
        Event::Unpublished { login, stream, failed } => {
            format!("{} {login} {stream}", if *failed { "failed" } else { "unpublished" })
        }
        Event::Message(line) => {
            let to = line.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
            format!("{} {}{to}: {}", line.id.0, line.from, line.text)
        }
        Event::Muted { login, stream, medium, muted, silent, by } => {
            let by = by.as_ref().map_or("self", |by| by.as_str());
            let heard = if muted == silent { "" } else { ", silent all the same" };
            format!("muted {login} {stream} {} {muted} by {by}{heard}", medium.as_str())
        }
        Event::Held { login, medium, muted, by } => {
            format!("held {login} {} {muted} by {by}", medium.as_str())
        }
        Event::Data { stream, payload } => format!("data {stream} {payload}"),
        Event::Role { login, role } => format!("role {login} {}", role.as_str()),
        Event::Locked { locked, by } => format!("locked {locked} by {by}"),
        Event::Recording { recording, wanted } => format!("recording {recording} {wanted}"),
        Event::Wanted(wanted) => format!("wanted {} and {}", wanted.room, wanted.streams.len()),
        Event::Expelled(Expulsion::Kicked { by }) => format!("kicked by {by}"),
        Event::Expelled(Expulsion::Ended { by }) => format!("ended by {by}"),
        Event::Expelled(Expulsion::TakenOver) => "taken over".to_owned(),
        Event::Expelled(Expulsion::TooSlow) => "too slow".to_owned(),
    }
}

#[test]
fn everybody_hears_of_comings_and_goings_and_streams_in_order() {
    let mut world = World::new(Limits::default());
    let alice = world.enter("alice", None, true).unwrap();
    assert_eq!(world.hears(alice), "state you=alice/host[] others= lines=");
    world.publish(alice, "r-alice-1");
    let bob = world.enter("bob", None, true).unwrap();
    assert_eq!(world.hears(bob), "state you=bob/speaker[] others=alice/host[r-alice-1] lines=");
    world.publish(bob, "r-bob-1");
    world.publish(bob, "r-bob-2-screenShare");
    world.handle(Command::Finish { stream: published("r-bob-1"), failed: false }).unwrap();
    world.handle(Command::Leave { member: bob, reason: LeaveReason::Vanished }).unwrap();
    assert_eq!(
        world.hears(alice),
        "joined bob/speaker[]; published bob r-bob-1; published bob r-bob-2-screenShare; unpublished bob r-bob-1; \
         failed bob r-bob-2-screenShare; left bob vanished"
    );
    assert_eq!(world.acts(), "end r-bob-2-screenShare");
    assert_eq!(world.hears(bob), "", "nobody is told of itself");
    world.handle(Command::Leave { member: bob, reason: LeaveReason::Left }).unwrap();
    assert_eq!(world.hears(alice), "", "gone once");
}

#[test]
fn an_encoder_is_there_from_its_first_picture_on() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let obs = world.enter("obs", None, false).unwrap();
    world.handle(reserve(obs, "r-obs-1")).unwrap();
    assert_eq!(world.hears(alice), "");
    let bob = world.enter("bob", None, true).unwrap();
    assert_eq!(world.hears(bob), "state you=bob/speaker[] others=alice/host[] lines=");
    assert_eq!(world.say(bob, Some("obs"), true, "hi"), Err(Refusal::UnknownParticipant(name("obs"))));
    world
        .handle(Command::Begin { stream: published("r-obs-1"), media: Media { audio: true, video: false } })
        .unwrap();
    assert_eq!(world.hears(bob), "joined obs/speaker[]; published obs r-obs-1");
    world.say(bob, Some("obs"), true, "hi").unwrap();
    world.handle(Command::Leave { member: obs, reason: LeaveReason::Left }).unwrap();
    assert_eq!(world.hears(bob), "unpublished obs r-obs-1; left obs left");
}

#[test]
fn an_encoder_that_never_came_through_is_not_said_to_have_gone() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let obs = world.enter("obs", None, false).unwrap();
    world.handle(reserve(obs, "r-obs-1")).unwrap();
    world.handle(Command::Leave { member: obs, reason: LeaveReason::Vanished }).unwrap();
    assert_eq!(world.hears(alice), "");
    assert_eq!(world.acts(), "end r-obs-1");
}

#[test]
fn admission_has_bounds() {
    let mut world = World::new(Limits { participants: 2, streams: 1, ..Limits::default() });
    let [alice] = world.with(["alice"]);
    assert!(matches!(world.enter("alice", None, true), Err(Refusal::LoginInUse { .. })));
    assert!(matches!(world.enter("alice", None, false), Err(Refusal::LoginInUse { .. })));
    let [_] = world.with(["bob"]);
    assert!(matches!(world.enter("eve", None, true), Err(Refusal::RoomFull { limit: 2, .. })));
    world.publish(alice, "s");
    assert_eq!(world.handle(reserve(alice, "t")), Err(Refusal::TooManyStreams(1)));
    assert_eq!(world.handle(reserve(alice, "s")), Err(Refusal::StreamNameInUse(published("s"))));
    assert_eq!(world.handle(reserve(MemberId(99), "t")), Err(Refusal::NotJoined));
}

#[test]
fn a_proven_key_takes_over_at_once_and_keeps_the_role() {
    let mut world = World::new(Limits { participants: 2, ..Limits::default() });
    let alice = world.enter("alice", Some("k"), true).unwrap();
    let [bob] = world.with(["bob"]);
    world.publish(alice, "r-alice-1");
    world.heard.clear();
    assert!(matches!(world.enter("alice", Some("x"), true), Err(Refusal::LoginInUse { .. })));
    let again = world.enter("alice", Some("k"), true).unwrap();
    assert_eq!(world.hears(alice), "taken over");
    assert_eq!(world.hears(bob), "failed alice r-alice-1");
    assert_eq!(world.hears(again), "state you=alice/host[] others=bob/speaker[] lines=");
    assert_eq!(world.acts(), "end r-alice-1; expel 1");
    // Even a connection that has gone silent stays with its key.
    world.pass(60.0);
    assert!(matches!(world.enter("alice", None, true), Err(Refusal::LoginInUse { .. })));
}

#[test]
fn without_keys_only_the_silent_are_replaced() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    world.pass(4.9);
    assert!(matches!(world.enter("alice", None, true), Err(Refusal::LoginInUse { .. })));
    world.room.heard(alice, world.now);
    world.pass(4.9);
    assert!(matches!(world.enter("alice", None, true), Err(Refusal::LoginInUse { .. })));
    world.pass(0.1);
    let again = world.enter("alice", None, true).unwrap();
    assert_eq!(world.hears(alice), "taken over");
    // What the old connection still does is nobody's.
    assert_eq!(world.say(alice, None, false, "hi"), Err(Refusal::NotJoined));
    world.handle(Command::Leave { member: alice, reason: LeaveReason::Vanished }).unwrap();
    assert!(world.say(again, None, false, "hi").is_ok());
}

#[test]
fn the_longest_here_is_host_when_the_last_one_goes_and_the_old_one_gets_its_role_back() {
    let mut world = World::new(Limits::default());
    let alice = world.enter("alice", Some("k"), true).unwrap();
    world.enter("obs", None, false).unwrap();
    let [carol, bob] = world.with(["carol", "bob"]);
    world.handle(Command::Leave { member: alice, reason: LeaveReason::Vanished }).unwrap();
    assert_eq!(world.hears(bob), "left alice vanished; role carol host");
    assert_eq!(world.hears(carol), "left alice vanished; role carol host");
    world.enter("alice", Some("k"), true).unwrap();
    assert_eq!(world.hears(bob), "joined alice/host[]");
}

#[test]
fn public_lines_are_kept_for_newcomers_in_the_servers_order() {
    let mut world = World::new(Limits { history: 2, ..Limits::default() });
    let [alice, bob, carol] = world.with(["alice", "bob", "carol"]);
    world.say(alice, None, false, "1").unwrap();
    world.say(bob, Some("carol"), true, "secret").unwrap();
    world.say(bob, None, false, "3").unwrap();
    world.say(carol, None, false, "4").unwrap();
    assert_eq!(world.hears(carol), "1 alice: 1; 2 bob to carol: secret; 3 bob: 3");
    assert_eq!(world.hears(alice), "3 bob: 3; 4 carol: 4", "no echo");
    assert_eq!(world.acts(), "said 1; said 2; said 3; said 4");
    let dan = world.enter("dan", None, true).unwrap();
    assert!(world.hears(dan).ends_with("lines=3,4"));
}

#[test]
fn copies_to_everybody_are_one_public_line() {
    let mut world = World::new(Limits { messages_per_second: 1, ..Limits::default() });
    let [alice, bob, carol] = world.with(["alice", "bob", "carol"]);
    for (text, to) in [("hi", "bob"), ("hi", "carol"), ("psst", "bob")] {
        world.say(alice, Some(to), false, text).unwrap();
    }
    assert_eq!(world.hears(bob), "1 alice: hi; 2 alice: psst");
    assert_eq!(world.hears(carol), "1 alice: hi");
    let dan = world.enter("dan", None, true).unwrap();
    assert!(world.hears(dan).ends_with("lines=hi"), "what not everybody got is not public");
    assert_eq!(world.acts(), "said 1; said 1; said 2");
}

#[test]
fn a_flood_of_lines_is_refused_and_hurts_nobody() {
    let mut world = World::new(Limits { messages_per_second: 2, message_length: 3, ..Limits::default() });
    let [alice, bob] = world.with(["alice", "bob"]);
    assert_eq!(world.say(alice, None, false, "1234"), Err(Refusal::TextTooLong(3)));
    world.say(bob, None, false, "щит").unwrap();
    world.heard.clear();
    let said = (0..20).filter(|_| world.say(alice, None, false, "x").is_ok()).count();
    assert_eq!(said, 6);
    assert_eq!(world.say(alice, None, false, "x"), Err(Refusal::RateLimited));
    world.say(bob, None, false, "y").unwrap();
    world.pass(0.5);
    world.say(alice, None, false, "x").unwrap();
    assert_eq!(world.say(alice, Some("eve"), true, "x"), Err(Refusal::UnknownParticipant(name("eve"))));
}

#[test]
fn mutes_and_data_are_for_the_owner_of_a_stream() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    world.publish(alice, "s");
    let mute =
        |member| Command::Mute { member, stream: published("s"), medium: MediaKind::Audio, muted: true };
    let data = |member| Command::Data { member, stream: published("s"), payload: "{}".into() };
    assert_eq!(world.handle(mute(bob)), Err(Refusal::UnknownStream));
    assert_eq!(world.handle(data(bob)), Err(Refusal::UnknownStream));
    world.handle(mute(alice)).unwrap();
    world.handle(data(alice)).unwrap();
    assert_eq!(world.hears(bob), "published alice s; muted alice s audio true by self; data s {}");
    let [seen, _] = &world.room.participants()[..] else { panic!() };
    let muted = Media { audio: true, video: false };
    assert_eq!((seen.streams[0].muted, seen.streams[0].host_muted), (muted, Media::default()));
}

#[test]
fn only_hosts_moderate() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    let kick = |who: &str| Moderation::Kick(name(who));
    assert_eq!(world.moderate(bob, kick("alice")), Err(Refusal::NotHost));
    assert_eq!(world.moderate(alice, kick("alice")), Err(Refusal::LastHost));
    assert_eq!(world.moderate(alice, kick("eve")), Err(Refusal::UnknownParticipant(name("eve"))));
    let step_down = Moderation::SetRole(name("alice"), Role::Speaker);
    assert_eq!(world.moderate(alice, step_down.clone()), Err(Refusal::LastHost));
    world.moderate(alice, Moderation::SetRole(name("bob"), Role::Host)).unwrap();
    world.moderate(alice, step_down).unwrap();
    assert_eq!(world.hears(bob), "role bob host; role alice speaker");
    assert_eq!(world.moderate(alice, kick("bob")), Err(Refusal::NotHost));
}

#[test]
fn who_is_kicked_stays_out_by_name_and_by_key() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let bob = world.enter("bob", Some("b"), true).unwrap();
    world.publish(bob, "s");
    world.heard.clear();
    world.moderate(alice, Moderation::Kick(name("bob"))).unwrap();
    assert_eq!(world.hears(bob), "kicked by alice");
    assert_eq!(world.hears(alice), "unpublished bob s; left bob kicked");
    assert_eq!(world.acts(), "end s; expel 2");
    assert_eq!(world.enter("bob", None, true).unwrap_err(), Refusal::Kicked(name("r")));
    assert_eq!(world.enter("rob", Some("b"), true).unwrap_err(), Refusal::Kicked(name("r")));
    assert!(world.enter("carol", None, true).is_ok());
}

#[test]
fn a_lock_keeps_out_all_but_those_who_were_here() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let bob = world.enter("bob", Some("b"), true).unwrap();
    world.moderate(alice, Moderation::Lock(true)).unwrap();
    world.handle(Command::Leave { member: bob, reason: LeaveReason::Vanished }).unwrap();
    for listens in [true, false] {
        assert_eq!(world.enter("carol", None, listens).unwrap_err(), Refusal::Locked(name("r")));
    }
    assert!(world.enter("bob", Some("b"), true).is_ok());
    world.moderate(alice, Moderation::Lock(false)).unwrap();
    assert!(world.enter("carol", None, true).is_ok());
}

#[test]
fn a_host_mutes_what_is_published_and_what_will_be() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    world.publish(bob, "s");
    let mute = |stream: Option<&str>, muted| Moderation::Mute {
        login: name("bob"),
        stream: stream.map(published),
        medium: MediaKind::Audio,
        muted,
    };
    world.moderate(alice, mute(None, true)).unwrap();
    assert_eq!(world.hears(bob), "muted bob s audio true by alice");
    world.publish(bob, "t");
    assert_eq!(world.acts(), "gate s audio true; gate t audio true");
    world.moderate(alice, mute(Some("t"), false)).unwrap();
    assert_eq!(world.acts(), "gate t audio false");
    assert_eq!(world.moderate(alice, mute(Some("u"), true)), Err(Refusal::UnknownStream));
}

#[test]
fn a_screen_is_what_is_said_to_be_one() {
    let mut world = World::new(Limits::default());
    let [_, bob, carol] = world.with(["alice", "bob", "carol"]);
    let (stream, media) = (published("a"), Media { audio: false, video: true });
    world.handle(Command::Reserve { member: bob, stream: stream.clone(), kind: StreamKind::Screen }).unwrap();
    world.publish(bob, "b");
    assert_eq!(
        world.room.first_stream(&name("bob")),
        Some(&published("b")),
        "the camera, though it came later"
    );
    let effects = world.room.handle(Command::Begin { stream, media }, world.now).unwrap();
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Tell { to, event } if *to == carol => Some(event.clone()),
        _ => None,
    });
    let Some(Event::Published { stream, .. }) = told.as_deref() else { panic!("{told:?}") };
    assert_eq!(stream.kind, StreamKind::Screen);
}

#[test]
fn viewers_do_not_publish() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    world.publish(bob, "s");
    world.moderate(alice, Moderation::SetRole(name("bob"), Role::Viewer)).unwrap();
    assert_eq!(world.hears(alice), "published bob s; unpublished bob s; role bob viewer");
    assert_eq!(world.acts(), "end s");
    assert_eq!(world.handle(reserve(bob, "s")), Err(Refusal::NotSpeaker));
}

#[test]
fn the_end_is_for_all() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    let obs = world.enter("obs", None, false).unwrap();
    world.publish(obs, "s");
    world.say(bob, None, false, "bye").unwrap();
    world.heard.clear();
    world.acts();
    world.moderate(alice, Moderation::End).unwrap();
    assert_eq!((world.hears(alice), world.hears(bob)), ("ended by alice".into(), "ended by alice".into()));
    assert_eq!(world.acts(), "end s; expel 1; expel 2; expel 3");
    let bob = world.enter("bob", None, true).unwrap();
    assert_eq!(world.hears(bob), "state you=bob/host[] others= lines=", "another room");
}

#[test]
fn a_room_outlives_its_last_member_a_little() {
    let mut world = World::new(Limits { linger: Duration::from_secs(30), ..Limits::default() });
    let [alice] = world.with(["alice"]);
    world.say(alice, None, false, "note").unwrap();
    world.pass(100.0);
    assert!(!world.room.is_over(world.now));
    world.handle(Command::Leave { member: alice, reason: LeaveReason::Left }).unwrap();
    world.pass(29.0);
    assert!(!world.room.is_over(world.now));
    let bob = world.enter("bob", None, true).unwrap();
    assert_eq!(world.hears(bob), "state you=bob/host[] others= lines=note");
    world.handle(Command::Leave { member: bob, reason: LeaveReason::Left }).unwrap();
    world.pass(30.0);
    assert!(world.room.is_over(world.now));
}

/// What a member of the room protocol does with its news, which takes nothing on trust.
#[derive(Default)]
struct Client {
    /// With what nobody hears or sees of each stream.
    participants: BTreeMap<String, BTreeMap<String, Media>>,
    locked: bool,
    recording: bool,
}

impl Client {
    fn hear(&mut self, event: &Event) {
        let muted = |view: &StreamView| (view.name.to_string(), view.muted);
        match event {
            Event::State(state) => {
                assert!(self.participants.is_empty(), "one state");
                (self.locked, self.recording) = (state.locked, state.recording);
                for other in &state.participants {
                    let streams = other.streams.iter().map(muted).collect();
                    self.participants.insert(other.login.to_string(), streams);
                }
            }
            Event::Joined(other) => {
                let before = self.participants.insert(other.login.to_string(), BTreeMap::new());
                assert!(before.is_none(), "joined twice");
            }
            Event::Left { login, .. } => {
                let streams = self.participants.remove(login.as_str());
                assert_eq!(streams, Some(BTreeMap::new()), "its streams have ended before");
            }
            Event::Published { login, stream } => {
                let streams = self.participants.get_mut(login.as_str()).expect("joined before");
                assert!(streams.insert(stream.name.to_string(), stream.muted).is_none(), "published twice");
            }
            Event::Unpublished { login, stream, .. } => {
                let streams = self.participants.get_mut(login.as_str()).expect("joined before");
                streams.remove(stream.as_str()).expect("published before");
            }
            Event::Message(line) => {
                assert!(self.participants.contains_key(line.from.as_str()), "from somebody who is known");
            }
            Event::Muted { login, stream, medium, silent, .. } => {
                // Of one's own streams, and of those that are yet to begin, nothing is shown.
                let streams = self.participants.get_mut(login.as_str());
                if let Some(media) = streams.and_then(|streams| streams.get_mut(stream.as_str())) {
                    media.set(*medium, *silent);
                }
            }
            Event::Locked { locked, .. } => self.locked = *locked,
            Event::Recording { recording, .. } => self.recording = *recording,
            Event::Wanted(_) => panic!("for observers alone"),
            Event::Data { .. } | Event::Role { .. } | Event::Held { .. } | Event::Expelled(_) => {}
        }
    }
}

proptest! {
    /// Whatever happens, every member's picture of the room is consistent at each step and true in the end.
    #[test]
    fn every_member_sees_a_consistent_room(steps in proptest::collection::vec((0..15u8, 0..5u8, 0..5u8, any::<bool>()), 1..120)) {
        let mut world = World::new(Limits { participants: 4, streams: 2, ..Limits::default() });
        let (mut ids, mut clients, mut gates) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (what, who, whom, flag) in steps {
            let login = |n: u8| name(["a", "b", "c", "d", "e"][usize::from(n)]);
            let member = ids.get(usize::from(who)).copied().unwrap_or(MemberId(0));
            let stream = published(&format!("s{whom}"));
            let command = match what {
                0 | 1 => {
                    let entry = Entry {
                        login: login(who),
                        protocol: Protocol::WebSocket,
                        key: flag.then(|| Key::new(&who.to_string())),
                        listens: whom != 0,
                    };
                    ids.insert(0, MemberId(ids.len() as u64 + 1));
                    Command::Enter { member: ids[0], entry }
                }
                2 => Command::Leave { member, reason: LeaveReason::Left },
                3 | 4 => reserve(member, stream.as_str()),
                5 => Command::Begin { stream, media: Media { audio: true, video: true } },
                6 => Command::Finish { stream, failed: flag },
                7 => Command::Say { member, to: flag.then(|| login(whom)), private: whom == 1, text: "t".into() },
                8 => Command::Moderate { member, action: Moderation::SetRole(login(whom), if flag { Role::Host } else { Role::Viewer }) },
                9 => Command::Moderate { member, action: if flag { Moderation::Kick(login(whom)) } else { Moderation::End } },
                10 => Command::Moderate { member, action: Moderation::Lock(flag) },
                11 => {
                    let (stream, medium) = ((who == 0).then_some(stream), MediaKind::Audio);
                    Command::Moderate { member, action: Moderation::Mute { login: login(whom), stream, medium, muted: flag } }
                }
                12 => Command::Mute { member, stream, medium: MediaKind::Audio, muted: flag },
                13 => Command::Data { member, stream, payload: "1".into() },
                _ => Command::Record(flag),
            };
            if let Command::Finish { stream, .. } = &command {
                gates.remove(stream);
            }
            world.now.instant += Duration::from_millis(400);
            for effect in world.room.handle(command, world.now).unwrap_or_default() {
                match effect {
                    Effect::Tell { to, event } => clients.entry(to).or_insert_with(Client::default).hear(&event),
                    Effect::Expel(id) => drop(clients.remove(&id)),
                    Effect::End { stream, .. } => drop(gates.remove(&stream)),
                    Effect::Gate { stream, muted, .. } => drop(gates.insert(stream, muted)),
                    Effect::Said(..) | Effect::Observe(_) => {}
                }
            }
            let here: Vec<_> = world.room.participants();
            for (login, member) in &world.room.members {
                let Some(client) = clients.get(&member.id).filter(|_| member.listens) else { continue };
                let others = here.iter().filter(|other| other.login != *login);
                let muted = |view: &StreamView| (view.name.to_string(), view.muted);
                let others = others.map(|other| (other.login.to_string(), other.streams.iter().map(muted).collect()));
                prop_assert_eq!(&client.participants, &others.collect::<BTreeMap<_, BTreeMap<_, _>>>());
                prop_assert_eq!((client.locked, client.recording), (world.room.is_locked(), world.room.recording));
            }
            // Nothing passes of what a host has muted.
            for (name, published) in &world.room.streams {
                prop_assert_eq!(gates.get(name).copied().unwrap_or_default(), published.host_muted.audio);
            }
            prop_assert!(world.room.members.values().all(|member| !member.listens) || world.room.host().is_some());
        }
    }
}

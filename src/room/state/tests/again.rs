//! Those who come again: what goes on for them, and what they cannot leave behind.

use super::*;

fn demote(login: &str) -> Moderation {
    Moderation::SetRole(name(login), Role::Viewer)
}

fn mute(login: &str, muted: bool) -> Moderation {
    Moderation::Mute { login: name(login), stream: None, medium: MediaKind::Audio, muted }
}

fn leave(world: &mut World, member: MemberId) {
    world.handle(Command::Leave { member, reason: LeaveReason::Left }).unwrap();
}

fn reserve(world: &mut World, member: MemberId, stream: &str) -> Result<(), Refusal> {
    world.handle(super::reserve(member, stream))
}

#[test]
fn an_encoder_that_was_made_a_viewer_stays_one() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let obs = world.enter("obs", None, false).unwrap();
    world.publish(obs, "r-obs-1");
    world.moderate(alice, demote("obs")).unwrap();
    assert!(world.acts().contains("end r-obs-1"));
    for _ in 0..2 {
        leave(&mut world, obs);
        let obs = world.enter("obs", None, false).unwrap();
        assert_eq!(reserve(&mut world, obs, "r-obs-2"), Err(Refusal::NotSpeaker));
        leave(&mut world, obs);
    }
    let obs = world.enter("obs", None, false).unwrap();
    world.moderate(alice, Moderation::SetRole(name("obs"), Role::Speaker)).unwrap();
    leave(&mut world, obs);
    let obs = world.enter("obs", None, false).unwrap();
    assert_eq!(reserve(&mut world, obs, "r-obs-3"), Ok(()), "it may again");
}

#[test]
fn a_hosts_mute_goes_on_by_name_and_by_key() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let bob = world.enter("bob", Some("k"), true).unwrap();
    world.moderate(alice, mute("bob", true)).unwrap();
    // By another connection of the same, by its name alone, by its key under another name.
    let proven = world.enter("bob", Some("k"), true).unwrap();
    world.acts();
    world.publish(proven, "r-bob-1");
    assert_eq!(world.acts(), "gate r-bob-1 audio true");
    assert!(world.say(bob, None, false, "old").is_err());
    leave(&mut world, proven);
    for (login, key) in [("bob", None), ("robert", Some("k"))] {
        let again = world.enter(login, key, true).unwrap();
        world.acts();
        world.publish(again, "r-bob-2");
        assert_eq!(world.acts(), "gate r-bob-2 audio true", "{login}");
        leave(&mut world, again);
    }
    let bob = world.enter("robert", Some("k"), true).unwrap();
    world.moderate(alice, mute("robert", false)).unwrap();
    leave(&mut world, bob);
    let bob = world.enter("robert", Some("k"), true).unwrap();
    world.acts();
    world.publish(bob, "r-bob-3");
    assert_eq!(world.acts(), "", "it was lifted");
}

#[test]
fn a_name_alone_takes_over_no_rights() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    world.pass(5.0);
    world.room.heard(bob, world.now);
    world.publish(alice, "r-alice-1");
    world.heard.clear();
    let mallory = world.enter("alice", Some("mallory"), true).unwrap();
    assert_eq!(world.hears(alice), "taken over");
    assert_eq!(
        world.hears(bob),
        "failed alice r-alice-1; left alice vanished; role bob host; joined alice/speaker[]"
    );
    assert_eq!(world.hears(mallory), "state you=alice/speaker[] others=bob/host[] lines=");
    assert_eq!(world.moderate(mallory, Moderation::Lock(true)), Err(Refusal::NotHost));
}

#[test]
fn a_name_alone_opens_no_locked_room() {
    let mut world = World::new(Limits::default());
    let alice = world.enter("alice", None, true).unwrap();
    let bob = world.enter("bob", Some("k"), true).unwrap();
    world.moderate(alice, Moderation::Lock(true)).unwrap();
    world.pass(60.0);
    assert_eq!(world.enter("alice", Some("mallory"), true), Err(Refusal::Locked(name("r"))));
    assert!(world.room.members().any(|(seen, _)| seen.login == name("alice")), "nothing has changed");
    assert!(world.enter("bob", Some("k"), true).is_ok(), "by another connection");
    leave(&mut world, bob);
}

#[test]
fn a_room_in_which_nobody_is_left_to_open_it_is_open() {
    let mut world = World::new(Limits::default());
    let [alice] = world.with(["alice"]);
    let obs = world.enter("obs", None, false).unwrap();
    world.publish(obs, "r-obs-1");
    world.moderate(alice, Moderation::Lock(true)).unwrap();
    leave(&mut world, alice);
    assert!(!world.room.is_locked());
    let bob = world.enter("bob", None, true).unwrap();
    assert_eq!(world.hears(bob), "state you=bob/host[] others=obs/speaker[r-obs-1] lines=");
}

#[test]
fn coming_again_does_not_help_to_write_more() {
    let mut world = World::new(Limits { messages_per_second: 1, ..Limits::default() });
    let [_alice] = world.with(["alice"]);
    let mut said = 0;
    for _ in 0..20 {
        let Ok(bob) = world.enter("bob", None, true) else { continue };
        said += (0..9).filter(|_| world.say(bob, None, false, "x").is_ok()).count();
        leave(&mut world, bob);
    }
    assert_eq!(said, 3, "as if it had stayed");
    world.pass(3.0);
    assert!(world.enter("bob", None, true).is_ok());
}

#[test]
fn a_login_and_a_stream_never_share_a_name() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "r-alice-1"]);
    assert_eq!(
        reserve(&mut world, alice, "r-alice-1"),
        Err(Refusal::StreamNameInUse(published("r-alice-1"))),
        "somebody is called so"
    );
    leave(&mut world, bob);
    reserve(&mut world, alice, "r-alice-1").unwrap();
    assert!(matches!(world.enter("r-alice-1", None, true), Err(Refusal::LoginInUse { .. })));
}

#[test]
fn who_is_muted_twice_is_heard_when_both_have_had_enough() {
    let mut world = World::new(Limits::default());
    let [alice, bob, carol] = world.with(["alice", "bob", "carol"]);
    world.publish(bob, "r-bob-1");
    world.heard.clear();
    let own =
        |muted| Command::Mute { member: bob, stream: published("r-bob-1"), medium: MediaKind::Audio, muted };
    world.moderate(alice, mute("bob", true)).unwrap();
    world.handle(own(true)).unwrap();
    world.handle(own(false)).unwrap();
    world.moderate(alice, mute("bob", false)).unwrap();
    assert_eq!(
        world.hears(carol),
        "muted bob r-bob-1 audio true by alice; muted bob r-bob-1 audio true by self; \
         muted bob r-bob-1 audio false by self, silent all the same; muted bob r-bob-1 audio false by alice"
    );
}

#[test]
fn whoever_publishes_nothing_is_told_all_the_same() {
    let mut world = World::new(Limits::default());
    let [alice, bob] = world.with(["alice", "bob"]);
    world.moderate(alice, mute("bob", true)).unwrap();
    world.moderate(alice, mute("bob", false)).unwrap();
    assert_eq!(world.hears(bob), "held bob audio true by alice; held bob audio false by alice");
}

#[test]
fn lines_do_not_use_up_what_there_is_for_mutes() {
    let mut world = World::new(Limits { messages_per_second: 1, ..Limits::default() });
    let [alice] = world.with(["alice"]);
    world.publish(alice, "r-alice-1");
    while world.say(alice, None, false, "x").is_ok() {}
    let mute = Command::Mute {
        member: alice,
        stream: published("r-alice-1"),
        medium: MediaKind::Video,
        muted: true,
    };
    let taken = (0..9).filter(|_| world.handle(mute.clone()).is_ok()).count();
    assert_eq!(taken, 3);
}

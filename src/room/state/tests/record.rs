//! Who may have what recorded, and what observers hear.

use super::super::super::recording::{Alignment, RecordingPolicy};
use super::*;

fn world(recording: RecordingPolicy) -> World {
    World::new(Limits { recording, ..Limits::default() })
}

fn want(world: &mut World, by: Option<MemberId>, wish: Wish) -> Result<(), Refusal> {
    world.handle(Command::Want { by, wish })
}

fn observed(world: &mut World) -> String {
    std::mem::take(&mut world.observed).join("; ")
}

#[test]
fn hosts_ask_for_the_room_and_publishers_for_their_own_streams() {
    let mut world = world(RecordingPolicy::OnRequest);
    let [alice, bob] = world.with(["alice", "bob"]);
    world.publish(bob, "r-bob-1");
    observed(&mut world);
    assert_eq!(want(&mut world, Some(bob), Wish::Room(true)), Err(Refusal::NotHost));
    let own = Wish::Stream(published("r-bob-1"));
    assert_eq!(want(&mut world, Some(alice), own.clone()), Err(Refusal::UnknownStream), "another's");
    want(&mut world, Some(bob), own.clone()).unwrap();
    want(&mut world, Some(bob), own).unwrap();
    assert_eq!(observed(&mut world), "wanted false and 1", "once");
    assert!(
        world.room.wanted().has(&published("r-bob-1")) && !world.room.wanted().has(&published("r-bob-2"))
    );
    want(&mut world, Some(alice), Wish::Room(true)).unwrap();
    assert!(world.room.wanted().has(&published("r-bob-2")));
    world.handle(Command::Finish { stream: published("r-bob-1"), failed: false }).unwrap();
    assert_eq!(observed(&mut world), "recording false true; wanted true and 1; unpublished bob r-bob-1");
    assert!(world.room.wanted().streams.is_empty(), "its name may be another's next");
    want(&mut world, None, Wish::Room(false)).unwrap();
    assert!(world.room.wanted().is_nothing());
    let room = "recording false true; unpublished bob r-bob-1; recording false false";
    assert_eq!(
        world.hears(alice),
        format!("published bob r-bob-1; {room}"),
        "the wish for a stream is no news"
    );
}

#[test]
fn the_operator_decides() {
    let mut never = world(RecordingPolicy::Never);
    let [alice] = never.with(["alice"]);
    assert_eq!(want(&mut never, Some(alice), Wish::Room(true)), Err(Refusal::NotRecorded));
    assert_eq!(want(&mut never, Some(alice), Wish::Room(false)), Ok(()));
    let mut always = world(RecordingPolicy::Always);
    let [alice] = always.with(["alice"]);
    assert!(always.room.wanted().room);
    assert_eq!(want(&mut always, Some(alice), Wish::Room(false)), Err(Refusal::AlwaysRecorded));
    assert_eq!(want(&mut always, None, Wish::Room(false)), Err(Refusal::AlwaysRecorded));
    assert_eq!(want(&mut always, Some(alice), Wish::Room(true)), Ok(()));
}

#[test]
fn how_files_lie_is_wished_without_being_recorded_for_it() {
    for policy in [RecordingPolicy::OnRequest, RecordingPolicy::Always] {
        let mut world = world(policy);
        let [alice, bob] = world.with(["alice", "bob"]);
        observed(&mut world);
        let wish = Wish::Align(Alignment::Full);
        assert_eq!(want(&mut world, Some(bob), wish.clone()), Err(Refusal::NotHost));
        assert_eq!(world.room.wanted().align, None);
        want(&mut world, None, wish.clone()).unwrap();
        want(&mut world, None, wish).unwrap();
        let always = policy == RecordingPolicy::Always;
        assert_eq!(observed(&mut world), format!("wanted {always} and 0"), "once");
        want(&mut world, Some(alice), Wish::Room(true)).unwrap();
        drop(want(&mut world, Some(alice), Wish::Room(false)));
        assert_eq!(world.room.wanted().align, Some(Alignment::Full), "for as long as there is the room");
    }
    let mut never = world(RecordingPolicy::Never);
    assert_eq!(want(&mut never, None, Wish::Align(Alignment::Full)), Err(Refusal::NotRecorded));
}

#[test]
fn everybody_is_told_when_it_begins_and_ends() {
    let mut world = world(RecordingPolicy::Always);
    let [alice] = world.with(["alice"]);
    for recording in [true, true, false] {
        world.handle(Command::Record(recording)).unwrap();
    }
    assert_eq!(world.hears(alice), "recording true true; recording false true");
}

#[test]
fn observers_hear_what_all_hear_and_nothing_private() {
    let mut world = world(RecordingPolicy::OnRequest);
    let [alice, bob] = world.with(["alice", "bob"]);
    assert_eq!(observed(&mut world), "joined alice/host[]; joined bob/speaker[]");
    world.say(alice, None, false, "to all").unwrap();
    world.say(alice, Some("bob"), true, "psst").unwrap();
    world.say(bob, Some("alice"), false, "a copy to each").unwrap();
    assert_eq!(observed(&mut world), "1 alice: to all; 3 bob: a copy to each");
    world.publish(bob, "r-bob-1");
    want(&mut world, Some(alice), Wish::Room(true)).unwrap();
    observed(&mut world);
    world.moderate(alice, Moderation::End).unwrap();
    assert_eq!(observed(&mut world), "left alice ended; left bob ended; wanted false and 0");
}

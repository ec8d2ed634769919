use super::*;
use crate::recording::manifest::{Alignment, Cause, File, Gap, Part, SessionState, TimedEvent};
use proptest::prelude::*;

pub(in crate::compose) fn file(name: &str, participant: &str, start: f64, end: f64) -> File {
    File {
        name: name.into(),
        state: FileState::Finished,
        error: None,
        participant: participant.into(),
        kind: Kind::Camera,
        streams: vec![Part { stream: "s".into(), start, end, clock: vec![] }],
        start,
        end,
        audio: None,
        video: None,
        gaps: vec![],
        size: 0,
        sha256: None,
    }
}

pub(in crate::compose) fn manifest(files: Vec<File>) -> Manifest {
    Manifest {
        version: manifest::VERSION,
        room: "room".into(),
        session: "2026-11-21T21-31-57Z".into(),
        state: SessionState::Finished,
        align: Alignment::Off,
        start: "2026-11-21T21:31:57Z".into(),
        end: None,
        duration: 0.0,
        files,
        events: vec![],
        events_left_out: 0,
    }
}

pub(in crate::compose) fn whole(duration: f64) -> Contents {
    Contents { has_video: true, channels: Some(2), duration: Some(duration) }
}

/// The session and the warnings.
fn session(manifest: &Manifest, contents: &Contents) -> (Session, Vec<String>) {
    let mut warnings = Vec::new();
    let session = Session::new(manifest, |_| Ok(contents.clone()), |text| warnings.push(text));
    (session, warnings)
}

#[test]
fn a_file_has_its_place_on_the_clock() {
    let mut late = file("bob-camera.webm", "bob", 5.0, 20.0);
    late.gaps.push(Gap { track: Track::Video, start: 8.0, end: 10.0, cause: Cause::Mute, filled: false });
    late.gaps.push(Gap { track: Track::Video, start: 12.0, end: 12.2, cause: Cause::Loss, filled: false });
    late.gaps.push(Gap { track: Track::Audio, start: 13.0, end: 15.0, cause: Cause::Loss, filled: false });
    let (session, warnings) = session(&manifest(vec![late]), &whole(15.0));
    let source = &session.sources[0];
    assert_eq!((source.start, source.container, session.duration), (5.0, Container::Matroska, 20.0));
    assert_eq!(source.there, [Span::new(5.0, 20.0)], "the tile stays while the picture is away");
    assert_eq!(source.pictured, [Span::new(5.0, 8.0), Span::new(10.0, 20.0)]);
    assert!(warnings.is_empty());
}

#[test]
fn what_fills_an_aligned_file_is_hidden() {
    let mut aligned = file("bob-camera.mp4", "bob", 45.0, 60.0);
    aligned.start = 0.0;
    aligned.end = 100.0;
    aligned.streams.push(Part { stream: "t".into(), start: 70.0, end: 80.0, clock: vec![] });
    let (session, _) = session(&manifest(vec![aligned]), &whole(100.0));
    assert_eq!(session.sources[0].there, [Span::new(45.0, 60.0), Span::new(70.0, 80.0)]);
    assert_eq!((session.sources[0].start, session.duration), (0.0, 80.0));
}

#[test]
fn who_comes_again_soon_keeps_the_tile_and_shows_a_card_meanwhile() {
    let mut again = file("a.mp4", "a", 0.0, 10.0);
    again.end = 30.0;
    again.streams.push(Part { stream: "t".into(), start: 13.0, end: 30.0, clock: vec![] });
    let (session, _) = session(&manifest(vec![again]), &whole(30.0));
    assert_eq!(session.sources[0].there, [Span::new(0.0, 30.0)]);
    assert_eq!(session.sources[0].pictured, [Span::new(0.0, 10.0), Span::new(13.0, 30.0)]);
}

#[test]
fn an_unfinished_file_goes_as_far_as_it_goes() {
    let mut cut = file("a.mp4", "a", 2.0, 2.0);
    cut.state = FileState::Recording;
    let (session, warnings) = session(&manifest(vec![cut]), &whole(7.5));
    assert_eq!(session.sources[0].there, [Span::new(2.0, 9.5)]);
    assert!(warnings[0].contains("unfinished"), "{warnings:?}");
}

#[test]
fn a_file_that_is_shorter_than_said_ends_earlier() {
    let (session, _) = session(&manifest(vec![file("a.mp4", "a", 2.0, 60.0)]), &whole(10.0));
    assert_eq!(session.sources[0].there, [Span::new(2.0, 12.5)]);
}

#[test]
fn a_file_without_a_picture_has_a_card() {
    let sound = Contents { has_video: false, channels: Some(1), duration: None };
    let (session, _) = session(&manifest(vec![file("a.m4a", "a", 0.0, 10.0)]), &sound);
    assert_eq!((session.sources[0].pictured.len(), session.sources[0].channels), (0, Some(1)));
    assert_eq!(session.sources[0].there, [Span::new(0.0, 10.0)]);
}

#[test]
fn names_that_leave_the_folder_are_not_even_looked_at() {
    let names = [
        "../a.mp4",
        "/etc/a.mp4",
        "a/b.mp4",
        "..",
        ".",
        "",
        ".a.mp4",
        "a\\b.mp4",
        "a\n.mp4",
        "a.m3u8",
        "mp4",
    ];
    let manifest = manifest(names.iter().map(|name| file(name, "a", 0.0, 1.0)).collect());
    let mut warnings = 0;
    let look = |name: &str| panic!("looked at {name}");
    let session = Session::new(&manifest, look, |_| warnings += 1);
    assert_eq!((session.sources.len(), warnings), (0, names.len()));
}

#[test]
fn what_cannot_be_used_is_left_out_with_a_reason() {
    let mut lost = file("lost.mp4", "a", 0.0, 1.0);
    lost.state = FileState::Lost;
    let mut odd = file("odd.mp4", "a", 0.0, 1.0);
    odd.streams[0].start = 1e300;
    let files = vec![
        lost,
        odd,
        file("twice.mp4", "a", 0.0, 1.0),
        file("twice.mp4", "a", 0.0, 1.0),
        file("empty.mp4", "a", 3.0, 3.0),
    ];
    let (session, warnings) = session(&manifest(files), &whole(1.0));
    assert_eq!(session.sources.len(), 1);
    let expected = ["it was lost", "out of bounds", "listed twice", "nothing is in it"];
    assert!(warnings.iter().zip(expected).all(|(warning, why)| warning.contains(why)), "{warnings:?}");
}

#[test]
fn those_beyond_what_can_be_put_together_are_counted() {
    let files = (0..MOST_FILES + 3).map(|number| file(&format!("{number}.mp4"), "a", 0.0, 1.0));
    let (session, warnings) = session(&manifest(files.collect()), &whole(1.0));
    assert_eq!((session.sources.len(), session.beyond, warnings.len()), (MOST_FILES, 3, 3));
}

#[test]
fn who_was_there_before_is_there_from_the_beginning() {
    let mut manifest = manifest(vec![]);
    let joined = Event::Joined { login: "a\nb".into(), protocol: "rtmp".into() };
    manifest.events.push(TimedEvent { time: -30.0, event: joined });
    let message = Event::Message { id: 1, from: "a".into(), text: "b".into() };
    manifest.events.push(TimedEvent { time: 1.0, event: message });
    let (session, _) = session(&manifest, &whole(1.0));
    assert_eq!(session.moves, [Move { time: 0.0, name: "a b".into(), is_arrival: true }]);
}

fn numbers() -> impl Strategy<Value = f64> {
    let odd = prop_oneof![any::<f64>(), -10.0..0.0, Just(1e6), Just(f64::NAN), Just(f64::INFINITY)];
    prop_oneof![19 => 0.0..100.0, 1 => odd]
}

/// Whatever can be written into a manifest.
pub(in crate::compose) fn hostile() -> impl Strategy<Value = Manifest> {
    let name = prop_oneof!["[a-z]{1,3}\\.(mp4|webm|m4a)", "\\PC{0,12}", "-[a-z]{1,3}\\.mp4"];
    let part = (numbers(), numbers()).prop_map(|(start, end)| Part {
        stream: String::new(),
        start,
        end,
        clock: vec![],
    });
    let gap = (any::<bool>(), numbers(), numbers()).prop_map(|(video, start, end)| Gap {
        track: if video { Track::Video } else { Track::Audio },
        start,
        end,
        cause: Cause::Loss,
        filled: false,
    });
    let state = prop::sample::select(vec![FileState::Finished, FileState::Recording, FileState::Recovered]);
    let file = (
        name,
        ".{0,80}",
        any::<bool>(),
        state,
        numbers(),
        numbers(),
        prop::collection::vec(part, 0..4),
        prop::collection::vec(gap, 0..4),
    );
    let file = file.prop_map(|(name, participant, screen, state, start, end, streams, gaps)| File {
        kind: if screen { Kind::Screen } else { Kind::Camera },
        state,
        streams,
        gaps,
        start,
        end,
        ..self::file(&name, &participant, 0.0, 0.0)
    });
    let event = (numbers(), ".{0,20}").prop_map(|(time, login)| TimedEvent {
        time,
        event: Event::Joined { login, protocol: String::new() },
    });
    (prop::collection::vec(file, 0..6), prop::collection::vec(event, 0..6), ".{0,30}", ".{0,30}").prop_map(
        |(files, events, room, start)| {
            let mut manifest = manifest(files);
            (manifest.events, manifest.room, manifest.start) = (events, room, start);
            manifest
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_written_times_are_in_bounds_and_names_in_the_folder(manifest in hostile()) {
        let (session, _) = session(&manifest, &whole(50.0));
        prop_assert!(session.duration.is_finite() && session.duration <= LONGEST);
        for source in &session.sources {
            prop_assert!(!source.file.contains('/') && !source.file.starts_with('.'));
            prop_assert!((0.0..=LONGEST).contains(&source.start));
            for span in source.there.iter().chain(&source.pictured) {
                prop_assert!(0.0 <= span.start && span.start < span.end && span.end <= LONGEST + SHORT);
            }
            prop_assert!(source.there.is_sorted_by(|a, b| a.end < b.start));
        }
        prop_assert!(session.moves.iter().all(|change| change.time >= 0.0 && change.time.is_finite()));
    }
}

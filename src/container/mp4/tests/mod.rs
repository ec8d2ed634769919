//! Files written, cut, killed, finished and read back by the library's own decoder.

mod tools;

use super::*;
use crate::codec::MediaKind;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::opus::OpusConfig;
use crate::container::Sample;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use bytes::Bytes;
use mp4_atom::Codec;
use proptest::prelude::*;
use std::io::Cursor;
use std::time::UNIX_EPOCH;
use tools::{Disk, File, Ordinary, aac, picture, sound, video};

/// Three fragments of four pictures with B-frames, and sound that begins later.
fn ordinary() -> File {
    let rate = ClockRate::new(44_100).unwrap();
    let fragments = (0..3).map(|fragment| {
        let pictures = [(0, 80, true), (40, 160, false), (80, 40, false), (120, 0, false)];
        let pictures = pictures.into_iter().enumerate().map(move |(index, (ms, later, key))| {
            let nal = if key { 0x65 } else { 0x41 };
            let payload = vec![0, 0, 0, 2, nal, index as u8 + 10 * fragment as u8];
            picture(fragment * 160 + ms, later, key, payload)
        });
        let sounds = (0..5).map(move |packet| {
            sound(2 + fragment * 5 + packet, rate, vec![packet as u8; 3 + packet as usize])
        });
        pictures.chain(sounds).collect()
    });
    File::write(Some(&video()), Some(&aac(44_100)), fragments.collect())
}

#[test]
fn a_finished_file_says_what_was_written() {
    let file = ordinary();
    let mut disk = Disk::new(&file.bytes);
    let growing = scan(&mut disk).unwrap();
    assert_eq!(
        (growing.state, growing.fragments, growing.whole),
        (State::Growing, 3, file.bytes.len() as u64)
    );
    let finalised = finalise(&mut disk).unwrap();
    assert_eq!((finalised.before, finalised.lost), (growing, 0));

    let rate = ClockRate::new(44_100).unwrap();
    let ordinary = Ordinary::read(disk.held());
    assert_eq!(ordinary.track(VIDEO_ID), file.expect(3, MediaKind::Video, ClockRate::VIDEO));
    assert_eq!(ordinary.track(AUDIO_ID), file.expect(3, MediaKind::Audio, rate));
    let mvhd = &ordinary.moov.mvhd;
    assert_eq!(mvhd.creation_time, 1_795_300_000 + 2_082_844_800);
    assert_eq!(mvhd.duration, 480 * 90, "12 pictures of 40 ms; 17 packets end before them");
    let trak = &ordinary.moov.trak[1];
    assert_eq!(trak.mdia.mdhd.duration, 15 * 1_024);
    assert_eq!((trak.mdia.hdlr.name.as_str(), trak.mdia.mdhd.language.as_str()), ("Audio", "und"));
    let entry = &ordinary.moov.trak[0].mdia.minf.stbl.stsd.codecs[0];
    assert!(matches!(entry, Codec::Avc1(avc1) if avc1.visual.width == 1_280 && avc1.visual.height == 720));
    assert!(matches!(entry, Codec::Avc1(avc1) if avc1.visual.data_reference_index == 1), "they count from 1");
    let entry = &ordinary.moov.trak[1].mdia.minf.stbl.stsd.codecs[0];
    assert!(matches!(entry, Codec::Mp4a(mp4a) if mp4a.audio.data_reference_index == 1));
    // The media have not moved.
    let media = file.ends[0]..file.bytes.len();
    assert_eq!(disk.held()[media.clone()], file.bytes[media]);

    let again = disk.held().to_vec();
    disk.changes = 0;
    assert_eq!(finalise(&mut disk).unwrap().before.state, State::Finalised);
    assert_eq!((disk.held(), disk.changes), (&again[..], 0), "nothing is written twice");
    assert_eq!(scan(&mut disk).unwrap().tracks, scan(&mut Cursor::new(&file.bytes)).unwrap().tracks);
}

#[test]
fn tracks_are_told() {
    let file = ordinary();
    let scan = scan(&mut Cursor::new(&file.bytes)).unwrap();
    let [video, audio] = scan.tracks[..] else { panic!("two tracks") };
    assert_eq!((video.codec, video.samples), (crate::codec::Codec::H264, 12));
    assert_eq!((video.start, video.end), (Timestamp::ZERO, Timestamp::from_millis(480)));
    let rate = ClockRate::new(44_100).unwrap();
    assert_eq!((audio.codec, audio.samples, audio.timescale), (crate::codec::Codec::Aac, 15, rate));
    assert_eq!(audio.start, Timestamp::from_ticks(2_048, rate));
    assert_eq!(audio.end, Timestamp::from_ticks(17 * 1_024, rate));
    assert_eq!(scan.track(MediaKind::Audio), Some(&audio));
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_fragments() {
    let file = ordinary();
    let rate = ClockRate::new(44_100).unwrap();
    for cut in 0..=file.bytes.len() {
        let mut disk = Disk::new(&file.bytes[..cut]);
        let Some(whole) = file.ends.iter().rposition(|end| *end <= cut) else {
            assert!(matches!(finalise(&mut disk), Err(ReadError::Foreign)), "cut at {cut}");
            continue;
        };
        let finalised = finalise(&mut disk).unwrap();
        assert_eq!(finalised.before.fragments, whole as u64);
        assert_eq!(finalised.lost, (cut - file.ends[whole]) as u64, "cut at {cut}");
        if whole == 0 {
            assert_eq!(disk.held(), &file.bytes[..file.ends[0]]);
            continue;
        }
        let ordinary = Ordinary::read(disk.held());
        assert_eq!(ordinary.track(VIDEO_ID), file.expect(whole, MediaKind::Video, ClockRate::VIDEO));
        assert_eq!(ordinary.track(AUDIO_ID), file.expect(whole, MediaKind::Audio, rate));
    }
}

#[test]
fn killed_at_any_step_it_is_finished_by_the_next_run() {
    let file = ordinary();
    let mut wanted = Disk::new(&file.bytes);
    finalise(&mut wanted).unwrap();
    for torn in [0, 1, 9, 70] {
        let cut = file.bytes.len() - torn;
        let mut whole = Disk::new(&file.bytes[..cut]);
        finalise(&mut whole).unwrap();
        for steps in 0..whole.changes {
            let mut disk = Disk::dying(&file.bytes[..cut], steps);
            assert!(matches!(finalise(&mut disk), Err(ReadError::Io(_))));
            // As it lies there it is a fragmented file with at most something behind it, or a finished one.
            let between = scan(&mut Cursor::new(disk.held())).unwrap();
            assert_eq!(between.fragments, if torn == 0 { 3 } else { 2 });
            let mut disk = Disk::new(disk.held());
            finalise(&mut disk).unwrap();
            assert_eq!(disk.held(), whole.held(), "killed after {steps} steps");
        }
    }
}

#[test]
fn an_index_that_got_lost_is_made_again() {
    let file = ordinary();
    let mut disk = Disk::new(&file.bytes);
    finalise(&mut disk).unwrap();
    let finished = disk.held().to_vec();
    for cut in [1, 9, finished.len() - file.bytes.len(), finished.len() - file.bytes.len() + 3] {
        let mut disk = Disk::new(&finished[..finished.len() - cut]);
        let before = scan(&mut disk).unwrap();
        assert_eq!(before.state, State::HalfFinalised, "cut by {cut}");
        finalise(&mut disk).unwrap();
        let fragments = if cut > finished.len() - file.bytes.len() { 2 } else { 3 };
        let ordinary = Ordinary::read(disk.held());
        assert_eq!(ordinary.track(VIDEO_ID), file.expect(fragments, MediaKind::Video, ClockRate::VIDEO));
    }
}

#[test]
fn the_copy_with_the_index_in_front_holds_the_same() {
    let file = ordinary();
    let mut disk = Disk::new(&file.bytes);
    let mut from_growing = Vec::new();
    faststart(&mut disk, &mut from_growing).unwrap();
    finalise(&mut disk).unwrap();
    let mut from_finished = Vec::new();
    faststart(&mut disk, &mut from_finished).unwrap();
    assert_eq!(from_growing, from_finished);
    let (copy, original) = (Ordinary::read(&from_finished), Ordinary::read(disk.held()));
    assert_eq!(copy.tracks, original.tracks);
    assert_eq!(&from_finished[SLOT as usize + 4..][..4], b"moov");
    assert!(from_finished.len() < disk.held().len(), "the heads of the fragments are left out");
    let end = scan(&mut disk).unwrap().tracks.iter().map(|track| track.end).max().unwrap();
    assert_eq!(fronted(&mut Cursor::new(&from_finished)).unwrap(), Some(end.since_origin()));
    assert_eq!(fronted(&mut disk).unwrap(), None, "its index is at the end");
    for cut in 0..from_finished.len() {
        assert_eq!(fronted(&mut Cursor::new(&from_finished[..cut])).unwrap(), None, "cut at {cut}");
    }
    let (_, head) = Writer::new(Some(&video()), None, UNIX_EPOCH).unwrap();
    let nothing = faststart(&mut Cursor::new(head.concat()), &mut Vec::new());
    assert!(matches!(nothing, Err(ReadError::Empty)));
}

#[test]
fn parameter_sets_in_band_keep_the_entry_that_allows_them() {
    let sets = Bytes::from_static(&[0, 0, 0, 2, 9, 0xf0, 0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x68]);
    for (at, in_band) in [(None, false), (Some(0), true), (Some(1), true)] {
        let key = |index| Sample {
            prefix: if at == Some(index) { sets.clone() } else { Bytes::new() },
            ..picture(index * 40, 0, true, vec![0, 0, 0, 2, 0x65, 1])
        };
        let file = File::write(Some(&video()), None, vec![vec![key(0)], vec![key(1)]]);
        let mut disk = Disk::new(&file.bytes);
        finalise(&mut disk).unwrap();
        let ordinary = Ordinary::read(disk.held());
        let entry = &ordinary.moov.trak[0].mdia.minf.stbl.stsd.codecs[0];
        assert_eq!(matches!(entry, Codec::Avc3(_)), in_band, "{at:?}");
        assert_eq!(ordinary.track(VIDEO_ID), file.expect(2, MediaKind::Video, ClockRate::VIDEO));
    }
}

#[test]
fn times_beyond_32_bits() {
    // 27 hours are more than 32 bits of 90,000 a second, and a track may begin there.
    let hours = 27 * 3_600_000;
    let pictures =
        |from: i64| (0..25).map(move |n| picture(from + n * 40, 0, n == 0, vec![0, 0, 0, 1, 0x65])).collect();
    for first in [0, hours - 1_000] {
        let mut fragments: Vec<Vec<_>> = vec![pictures(first)];
        fragments.extend((1..4).map(|n| pictures(first + n * 12 * 3_600_000)));
        let file = File::write(Some(&video()), None, fragments);
        let mut disk = Disk::new(&file.bytes);
        finalise(&mut disk).unwrap();
        let ordinary = Ordinary::read(disk.held());
        assert_eq!(ordinary.track(VIDEO_ID), file.expect(4, MediaKind::Video, ClockRate::VIDEO));
        let end = (first + 36 * 3_600_000 + 1_000) * 90;
        assert_eq!(ordinary.moov.mvhd.duration, end as u64);
        assert_eq!(ordinary.moov.trak[0].tkhd.duration, end as u64);
    }
}

#[test]
fn sound_alone_and_every_codec_of_it() {
    let extended = AudioSpecificConfig::parse(Bytes::from_static(&[0x2b, 0x92, 0x08, 0x00])).unwrap();
    assert_eq!(extended.object_type(), 5, "HE-AAC");
    for (entry, rate) in [
        (aac(96_000), 96_000),
        (AudioEntry::Aac(extended.clone()), extended.sample_rate().get()),
        (AudioEntry::Opus(OpusConfig { channels: 1 }), 48_000),
    ] {
        let rate = ClockRate::new(rate).unwrap();
        let packets = |from: i64| (from..from + 4).map(|n| sound(n, rate, vec![n as u8; 9])).collect();
        let file = File::write(None, Some(&entry), vec![packets(0), packets(4)]);
        let mut disk = Disk::new(&file.bytes);
        finalise(&mut disk).unwrap();
        let ordinary = Ordinary::read(disk.held());
        assert_eq!(ordinary.track(AUDIO_ID), file.expect(2, MediaKind::Audio, rate));
        let stbl = &ordinary.moov.trak[0].mdia.minf.stbl;
        assert_eq!((stbl.stts.entries.len(), &stbl.stss, &stbl.ctts), (1, &None, &None));
        match &stbl.stsd.codecs[0] {
            Codec::Mp4a(mp4a) => {
                let AudioEntry::Aac(config) = &entry else { panic!("not AAC") };
                let specific = mp4a.esds.es_desc.dec_config.dec_specific.as_ref().unwrap();
                assert_eq!(specific.raw, config.bytes()[..]);
            }
            Codec::Opus(opus) => assert_eq!((opus.dops.output_channel_count, opus.dops.pre_skip), (1, 0)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_no_trace() {
    assert!(matches!(Writer::new(None, None, UNIX_EPOCH), Err(WriteError::NoTracks)));
    let rate = ClockRate::new(48_000).unwrap();
    let (mut writer, _) = Writer::new(Some(&video()), None, UNIX_EPOCH).unwrap();
    let one = |ms| picture(ms, 0, true, vec![1]);
    assert!(writer.fragment(&[]).unwrap().is_empty());
    assert!(matches!(
        writer.fragment(&[sound(0, rate, vec![1])]),
        Err(WriteError::NoTrack(MediaKind::Audio))
    ));
    assert!(matches!(writer.fragment(&[one(-40)]), Err(WriteError::OutOfOrder)));
    assert!(matches!(writer.fragment(&[picture(0, -40, true, vec![1])]), Err(WriteError::OutOfOrder)));
    assert!(matches!(writer.fragment(&[one(40), one(0)]), Err(WriteError::OutOfOrder)));
    assert!(matches!(writer.fragment(&[one(0), one(50_000_000)]), Err(WriteError::TooLong)), "13.9 hours");
    assert!(matches!(writer.fragment(&vec![one(0); MAX_SAMPLES + 1]), Err(WriteError::TooManySamples)));
    writer.fragment(&vec![one(80); MAX_SAMPLES]).unwrap();
    assert!(matches!(writer.fragment(&[one(40)]), Err(WriteError::OutOfOrder)), "across fragments too");
    assert!(matches!(writer.fragment(&[one(50_000_000)]), Err(WriteError::TooLong)));
    // The sequence number stands behind the heads of `moof` and `mfhd`: the second that was written.
    assert_eq!(writer.fragment(&[one(80)]).unwrap()[0][20..24], [0, 0, 0, 2]);
}

#[test]
fn a_fragment_of_more_than_32_bits_is_refused() {
    let (mut writer, _) = Writer::new(Some(&video()), Some(&aac(48_000)), UNIX_EPOCH).unwrap();
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    let pictures = |count: i64| (0..count).map(|n| picture(n, 0, true, megabyte.clone())).collect::<Vec<_>>();
    writer.fragment(&pictures(4_095)).unwrap();
    assert!(
        matches!(writer.fragment(&pictures(4_096)), Err(WriteError::OutOfOrder)),
        "the clock has gone on"
    );
    let (mut writer, _) = Writer::new(Some(&video()), Some(&aac(48_000)), UNIX_EPOCH).unwrap();
    assert!(matches!(writer.fragment(&pictures(4_096)), Err(WriteError::TooLarge)));
    let mut both = pictures(2_048);
    both.push(sound(0, ClockRate::new(48_000).unwrap(), vec![1]));
    assert!(matches!(writer.fragment(&both), Err(WriteError::TooLarge)), "sound more than 2 GiB in");
}

#[test]
fn the_largest_fragment_that_is_written_is_read() {
    let (mut writer, head) = Writer::new(Some(&video()), None, UNIX_EPOCH).unwrap();
    let mut bytes = head.concat();
    let samples: Vec<_> = (0..MAX_SAMPLES as i64).map(|n| picture(n, n % 3, n == 0, vec![1])).collect();
    bytes.extend(writer.fragment(&samples).unwrap().concat());
    assert_eq!(scan(&mut Cursor::new(bytes)).unwrap().fragments, 1);
}

#[test]
fn others_are_refused_and_left_alone() {
    let file = ordinary();
    let mut other = file.bytes;
    other[SLOT as usize + 4..][..4].copy_from_slice(b"skip");
    for bytes in [&b""[..], b"\0\0\0\x1cftyp", &[0xff; 4_000], &other] {
        let mut disk = Disk::new(bytes);
        assert!(matches!(scan(&mut disk), Err(ReadError::Foreign)));
        assert!(matches!(finalise(&mut disk), Err(ReadError::Foreign)));
        assert_eq!((disk.held(), disk.changes), (bytes, 0));
    }
}

#[test]
fn a_box_that_lies_ends_the_file_there() {
    let file = ordinary();
    let moof = file.ends[1];
    for (at, word) in [
        (moof, 0u32),
        (moof, 4),
        (moof, u32::MAX),
        (moof, 1),
        // The count of the first run, and where its data stand.
        (moof + 8 + 16 + 8 + 16 + 20 + 12, u32::MAX),
        (moof + 8 + 16 + 8 + 16 + 20 + 16, 0),
        (moof + 8 + 16 + 8 + 16 + 20 + 16, i32::MAX as u32),
    ] {
        let mut bytes = file.bytes.clone();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        let scan = scan(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!((scan.fragments, scan.state), (1, State::Cut), "{word:#x} at {}", at - moof);
    }
}

prop_compose! {
    fn fragments()(
        steps in prop::collection::vec((0i64..3_000, -50i64..400, any::<bool>(), 0usize..40, any::<bool>()), 1..60),
        cuts in prop::collection::vec(1usize..12, 1..12),
    ) -> Vec<Vec<Sample>> {
        let rate = ClockRate::new(44_100).unwrap();
        let (mut video, mut audio) = (steps[0].0 * 3, steps[0].0 * 7);
        let mut samples = steps.into_iter().map(|(step, later, keyframe, size, is_video)| {
            let place = if is_video { &mut video } else { &mut audio };
            *place += step;
            let (kind, rate) = if is_video { (MediaKind::Video, ClockRate::VIDEO) } else { (MediaKind::Audio, rate) };
            let later = if is_video { later } else { 0 };
            Sample {
                kind,
                dts: Timestamp::from_ticks(*place, rate),
                pts: Timestamp::from_ticks((*place + later).max(0), rate),
                duration: MediaDuration::from_ticks(step, rate),
                keyframe: keyframe || !is_video,
                prefix: Bytes::new(),
                payload: vec![size as u8; size].into(),
            }
        });
        cuts.into_iter().map(|count| samples.by_ref().take(count).collect()).collect()
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(fragments in fragments(), cut in 0.0f64..1.0) {
        let written: Vec<_> = fragments.into_iter().filter(|fragment: &Vec<Sample>| !fragment.is_empty()).collect();
        let file = File::write(Some(&video()), Some(&aac(44_100)), written);
        let cut = file.ends[0] + ((file.bytes.len() - file.ends[0]) as f64 * cut) as usize;
        let whole = file.ends.iter().rposition(|end| *end <= cut).unwrap();
        let mut disk = Disk::new(&file.bytes[..cut]);
        prop_assert_eq!(finalise(&mut disk).unwrap().before.fragments, whole as u64);
        if whole > 0 {
            let ordinary = Ordinary::read(disk.held());
            let rate = ClockRate::new(44_100).unwrap();
            prop_assert_eq!(ordinary.track(VIDEO_ID), file.expect(whole, MediaKind::Video, ClockRate::VIDEO));
            prop_assert_eq!(ordinary.track(AUDIO_ID), file.expect(whole, MediaKind::Audio, rate));
            let once = disk.held().to_vec();
            finalise(&mut disk).unwrap();
            prop_assert_eq!(disk.held(), once);
            let mut copy = Vec::new();
            faststart(&mut disk, &mut copy).unwrap();
            prop_assert_eq!(&Ordinary::read(&copy).tracks, &ordinary.tracks);
        }
    }
}

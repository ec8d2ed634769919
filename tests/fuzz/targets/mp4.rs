//! Recorded files after anything may have happened to them.

use bytes::Bytes;
use commonroom::codec::MediaKind;
use commonroom::codec::aac::AudioSpecificConfig;
use commonroom::codec::h264::AvcConfig;
use commonroom::container::Sample;
use commonroom::container::mp4::{
    AudioEntry, ReadError, State, VideoEntry, Writer, faststart, finalise, scan,
};
use commonroom::time::{MediaDuration, Timestamp};
use std::io::{self, Cursor};
use std::time::UNIX_EPOCH;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00,
    0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
];

/// Scanned, copied and finished; what was finished stays so.
pub(crate) fn file(input: &[u8]) {
    let mut disk = Cursor::new(input.to_vec());
    let before = scan(&mut disk);
    drop(faststart(&mut disk, &mut io::sink()));
    let Ok(finalised) = finalise(&mut disk) else {
        // Nothing but a file that begins like one of ours, or holds too much, is refused.
        assert!(matches!(before, Err(ReadError::Foreign)) || before.is_ok());
        return;
    };
    assert_eq!(before.ok().as_ref(), Some(&finalised.before));
    let bytes = disk.get_ref().clone();
    let after = scan(&mut disk).expect("finished just now");
    let wanted = if after.fragments == 0 { State::Growing } else { State::Finalised };
    assert!(after.state == wanted || finalised.before.state == State::Finalised, "{after:?}");
    finalise(&mut disk).expect("finished just now");
    assert_eq!(*disk.get_ref(), bytes, "nothing is left to be done");
}

/// A growing file of two fragments, the same cut, and finished.
pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let sets = |nal: &'static [u8]| vec![Bytes::from_static(nal)];
    let video = AvcConfig::new(sets(SPS), sets(&[0x68, 0xeb, 0xe3, 0xcb])).map(VideoEntry::H264);
    let audio = AudioSpecificConfig::aac_lc(48_000, 2).map(AudioEntry::Aac);
    let (mut writer, head) =
        Writer::new(video.as_ref().ok(), audio.as_ref(), UNIX_EPOCH).expect("a good head");
    let mut growing = head.concat();
    for fragment in 0..2 {
        let sample = |n: i64| Sample {
            kind: if n % 2 == 0 { MediaKind::Video } else { MediaKind::Audio },
            dts: Timestamp::from_millis(fragment * 100 + n * 10),
            pts: Timestamp::from_millis(fragment * 100 + n * 10 + n % 3),
            duration: MediaDuration::from_millis(20),
            keyframe: n < 2,
            prefix: Bytes::new(),
            payload: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
        };
        let samples: Vec<_> = (0..10).map(sample).collect();
        growing.extend(writer.fragment(&samples).expect("a good fragment").concat());
    }
    let mut finished = Cursor::new(growing.clone());
    finalise(&mut finished).expect("a good file");
    let finished = finished.into_inner();
    let cut = growing[..growing.len() - 9].to_vec();
    // The index is there in part; and all of it, but not yet announced.
    let half = finished[..growing.len() + 50].to_vec();
    let nearly = [&growing[..], &finished[growing.len()..]].concat();
    vec![growing, cut, half, nearly, finished]
}

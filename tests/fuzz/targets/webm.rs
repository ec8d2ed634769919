//! WebM files that something was done to: each is refused, or finished so that it stays as it is.

use bytes::Bytes;
use commonroom::codec::MediaKind;
use commonroom::codec::opus::{OpusConfig, silence};
use commonroom::codec::vp8::{self, Size};
use commonroom::container::Sample;
use commonroom::container::webm::{self, AudioEntry, VideoEntry, Writer};
use commonroom::time::{MediaDuration, Timestamp};
use std::io::Cursor;
use std::time::UNIX_EPOCH;

/// Looks at a WebM file and finishes it, twice.
pub(crate) fn file(input: &[u8]) {
    let mut disk = Cursor::new(input.to_vec());
    let Ok(found) = webm::scan(&mut disk) else { return };
    let done = webm::finalise(&mut disk).expect("what can be read can be finished");
    assert!(done.finished && done.clusters == found.clusters && done.usable == found.usable);
    let bytes = disk.get_ref().clone();
    assert_eq!(webm::finalise(&mut disk).expect("it is finished"), done);
    assert!(*disk.get_ref() == bytes, "a finished file is changed");
}

pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let size = Size::new(16, 16).expect("a size");
    let stereo = OpusConfig { channels: 2 };
    let (video, audio) = (VideoEntry::Vp8(size), AudioEntry::Opus(stereo));
    let (mut writer, head) = Writer::new(Some(&video), Some(&audio), UNIX_EPOCH).expect("two tracks");
    let mut open = head.to_vec();
    for second in 0..3 {
        let sample = |kind, at: i64, keyframe, payload| {
            let time = Timestamp::from_millis(second * 1_000 + at);
            let duration = MediaDuration::from_millis(500);
            Sample { kind, dts: time, pts: time, duration, keyframe, prefix: Bytes::new(), payload }
        };
        let samples = [
            sample(MediaKind::Video, 0, true, vp8::black(size)),
            sample(MediaKind::Audio, 0, true, Bytes::from_static(silence(stereo))),
            sample(MediaKind::Video, 500, false, vp8::repeat(size)),
        ];
        open.extend(writer.clusters(&samples).expect("in order").concat());
    }
    let mut finished = Cursor::new(open.clone());
    webm::finalise(&mut finished).expect("it is our own");
    vec![head.to_vec(), open[..open.len() - 9].to_vec(), open, finished.into_inner()]
}

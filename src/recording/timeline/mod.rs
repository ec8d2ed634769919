//! What stands where in a file: pure, from placed frames to samples with durations.
//!
//! [`ClockMap`] brings a publisher's times onto the session's clock. A [`Timeline`] is one file: it puts the frames of a stream, or of
//! several one behind the other, in a row, fills what is to be filled and notes what was missing.

mod audio;
mod clock;
mod row;
#[cfg(test)]
mod tests;
mod video;

pub(crate) use audio::Silence;
pub(crate) use clock::ClockMap;
pub(crate) use video::BlackPictures;

use super::manifest::{Alignment, Cause, Gap, Track};
use crate::container::Sample;
use crate::media::MediaKind;
use crate::time::{ClockRate, MediaDuration, Timestamp};
use audio::AudioLine;
use bytes::Bytes;
use row::Row;
use std::sync::Arc;
use video::VideoLine;

/// What is filled while nothing comes ends so far behind the present: what is on its way belongs there.
const MARGIN: MediaDuration = MediaDuration::from_millis(2_000);
/// The same while somebody sends over TCP, which loses nothing and delivers it when the network stands still no more.
const PATIENCE: MediaDuration = MediaDuration::from_millis(15_000);
/// A picture that begins so soon behind a file's zero may be decoded there.
const AT_ONCE: Timestamp = Timestamp::from_millis(100);
/// So many gaps of a file are told.
const MAX_GAPS: usize = 10_000;

/// A span in which something is missing, or is filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    from: Timestamp,
    to: Timestamp,
    is_filled: bool,
}

/// The tracks of one file.
#[derive(Debug)]
pub(crate) struct Timeline {
    align: Alignment,
    /// The file's zero on the session's clock.
    zero: Timestamp,
    /// The zero of what is told.
    session_zero: Timestamp,
    audio: Option<AudioLine>,
    video: Option<VideoLine>,
    /// Why what is missing next is missing, of sound and picture.
    causes: [Option<Cause>; 2],
    /// Whether somebody keeps them silent on purpose.
    is_muted: [bool; 2],
    /// Nobody publishes at the moment.
    is_absent: bool,
    /// What is late comes all the same.
    is_lossless: bool,
    /// The picture begins where it comes: nothing that comes before it is made later.
    begins_bare: bool,
    gaps: Vec<Gap>,
}

impl Timeline {
    /// A file whose zero lies at `zero` of the session, which itself tells times from `session_zero` on; with sound of a rate, and what silence is there, or none; with a picture
    /// or none. Without silence and [black](Self::set_black) nothing is filled.
    pub(crate) fn new(
        align: Alignment,
        zero: Timestamp,
        session_zero: Timestamp,
        audio: Option<(ClockRate, Option<Silence>)>,
        has_video: bool,
    ) -> Self {
        Self {
            align,
            zero,
            session_zero,
            audio: audio.map(|(rate, silence)| AudioLine::new(rate, silence)),
            video: has_video.then(VideoLine::new),
            causes: [None; 2],
            is_muted: [false; 2],
            is_absent: false,
            is_lossless: false,
            begins_bare: false,
            gaps: Vec::new(),
        }
    }

    /// How black is made from now on, how long such a picture lasts, and what stands before each key picture.
    pub(crate) fn set_black(
        &mut self,
        black: Option<Arc<dyn BlackPictures>>,
        step: MediaDuration,
        prefix: Bytes,
    ) {
        if let Some(video) = &mut self.video {
            video.set_black(black, step, prefix);
        }
    }

    /// No picture can be made before the first one, and the sound does not wait for it: black would stand far behind the sound
    /// that it belongs to, which players of files that are read from the front do not take.
    pub(crate) const fn begin_without_picture(&mut self) {
        self.begins_bare = true;
    }

    /// What comes from now on comes in full, however late, or may get lost.
    pub(crate) const fn set_lossless(&mut self, lossless: bool) {
        self.is_lossless = lossless;
    }

    /// Whether only a key picture can go on.
    pub(crate) fn waits_for_picture(&self) -> bool {
        self.video.as_ref().is_some_and(VideoLine::is_torn)
    }

    /// A packet of sound that plays for `length` from `at` of the session on.
    pub(crate) fn audio(&mut self, at: Timestamp, payload: Bytes, length: MediaDuration) {
        self.is_absent = false;
        let (fills, leads, at) = (self.fills(), self.leads(), self.local(at));
        let Some(line) = &mut self.audio else { return };
        let begins = line.end().is_none();
        if begins && (leads || at < Timestamp::ZERO) {
            line.begin(Timestamp::ZERO);
        }
        let fill = if begins { leads } else { fills };
        let missing = line.push(at, payload, length, fill);
        self.note(MediaKind::Audio, missing, begins);
        self.came(MediaKind::Audio);
    }

    /// An access unit, by its decode and presentation time on the session's clock.
    pub(crate) fn video(&mut self, dts: Timestamp, pts: Timestamp, keyframe: bool, payload: Bytes) {
        self.is_absent = false;
        let (fills, leads) = (self.fills(), self.leads());
        let (dts, pts) = (self.local(dts).max(Timestamp::ZERO), self.local(pts));
        let Some(line) = &mut self.video else { return };
        let begins = line.end().is_none();
        if begins && keyframe && leads && dts > Timestamp::ZERO {
            let black = if self.begins_bare { None } else { line.black_to(dts) };
            let bare = (dts >= AT_ONCE).then_some(Run { from: Timestamp::ZERO, to: dts, is_filled: false });
            self.note(MediaKind::Video, black.or(bare), true);
        }
        let Some(line) = &mut self.video else { return };
        // What begins so soon that no black fits before it is decoded a moment earlier, and nothing is missing.
        let at_once = begins && leads && line.end().is_none() && dts < AT_ONCE;
        let dts = if at_once { Timestamp::ZERO } else { dts };
        let missing = line.push((dts, pts), keyframe, payload, fills);
        let is_waiting = line.is_torn();
        self.note(MediaKind::Video, missing, false);
        if !is_waiting {
            self.came(MediaKind::Video);
        }
    }

    /// Media of a kind is missing here.
    pub(crate) fn torn(&mut self, kind: MediaKind, cause: Cause) {
        let known = &mut self.causes[kind as usize];
        // What a mute has kept back is told as lost where it ends.
        if !(cause == Cause::Loss && *known == Some(Cause::Mute)) {
            *known = Some(cause);
        }
        match kind {
            MediaKind::Audio => self.audio.iter_mut().for_each(AudioLine::tear),
            MediaKind::Video => self.video.iter_mut().for_each(VideoLine::tear),
        }
    }

    /// A kind is muted, or no longer: what is missing from here on until something comes is missing for that.
    pub(crate) const fn mute(&mut self, kind: MediaKind, muted: bool) {
        self.is_muted[kind as usize] = muted;
        if muted {
            self.causes[kind as usize] = Some(Cause::Mute);
        }
    }

    /// Something of a kind has come: what is missing behind it is missing for another reason.
    fn came(&mut self, kind: MediaKind) {
        let cause = &mut self.causes[kind as usize];
        if *cause == Some(Cause::Mute) && !self.is_muted[kind as usize] {
            *cause = None;
        }
    }

    /// Nobody publishes from now on; whoever does again begins with a key picture.
    pub(crate) fn absent(&mut self, cause: Cause) {
        self.is_absent = true;
        self.torn(MediaKind::Audio, cause);
        self.torn(MediaKind::Video, cause);
    }

    /// It is `now` on the session's clock: what did not come until shortly before will not come.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if !self.fills() {
            return;
        }
        let until = |kind: MediaKind, timeline: &Self| {
            let nothing_comes = timeline.is_absent || timeline.is_muted[kind as usize];
            timeline.local(now) - if timeline.is_lossless && !nothing_comes { PATIENCE } else { MARGIN }
        };
        let (audio, video) = (until(MediaKind::Audio, self), until(MediaKind::Video, self));
        if let Some(line) = &mut self.audio
            && line.end().is_some_and(|end| audio > end)
        {
            let run = line.silence_to(audio);
            self.note(MediaKind::Audio, run, false);
        }
        if let Some(line) = &mut self.video
            && line.is_torn()
            && line.end().is_some_and(|end| video > end)
        {
            let run = line.black_to(video);
            self.note(MediaKind::Video, run, false);
        }
    }

    /// Nothing more comes. `Some`: the session ends there, and so does a file that is to be filled.
    pub(crate) fn finish(&mut self, end: Option<Timestamp>) {
        if self.is_absent {
            self.tell_tail();
        }
        let end = end.filter(|_| self.fills()).map(|end| self.local(end));
        if let Some(end) = end {
            self.causes = [Some(Cause::Tail); 2];
            if let Some(line) = &mut self.audio
                && let Some(at) = line.end()
            {
                // To the nearest packet.
                let half = line.silence_length() / 2;
                let run = if end > at { line.silence_to(end + half) } else { None };
                self.note(MediaKind::Audio, run.or_else(|| bare_tail(at, end)), false);
            }
            if let Some(line) = &mut self.video
                && let Some(at) = line.end().filter(|at| end > *at)
            {
                let run = line.black_to(end);
                self.note(MediaKind::Video, run.or_else(|| bare_tail(at, end)), false);
            }
        }
        if let Some(line) = &mut self.audio {
            line.finish();
        }
        if let Some(line) = &mut self.video {
            line.finish(end);
        }
    }

    /// Nobody has come again: what was filled until now is the tail.
    fn tell_tail(&mut self) {
        let (audio, video) =
            (self.audio.as_ref().and_then(AudioLine::end), self.video.as_ref().and_then(VideoLine::end));
        for (track, end) in [(Track::Audio, audio), (Track::Video, video)] {
            let Some(end) = end.map(|end| self.seconds(end)) else { continue };
            let latest = self.gaps.iter_mut().rev().find(|gap| gap.track == track);
            if let Some(gap) =
                latest.filter(|gap| gap.cause == Cause::Reconnect && (gap.end - end).abs() < 0.1)
            {
                gap.cause = Cause::Tail;
            }
        }
    }

    /// A time of the file as manifests have it.
    fn seconds(&self, at: Timestamp) -> f64 {
        (at + self.zero.since_origin() - self.session_zero).as_secs_f64()
    }

    /// The next samples whose durations are known, `most` at most: in order within each track, and as near to each other as they
    /// have come. What fills a gap is made here.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Sample> {
        let mut samples = Vec::new();
        while samples.len() < most {
            let audio = self.audio.as_mut().map(|line| &mut line.row);
            let video = self.video.as_mut().map(|line| &mut line.row);
            let rows = audio.into_iter().chain(video);
            let next = rows.filter_map(|row| Some((row.next_at()?, row))).min_by_key(|(at, _)| *at);
            let Some(sample) = next.and_then(|(_, row)| row.pop()) else { break };
            samples.push(sample);
        }
        samples
    }

    /// Whether there is something to [take](Self::take).
    pub(crate) fn has_samples(&self) -> bool {
        self.rows().any(|row| row.next_at().is_some())
    }

    /// Bytes of media that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.rows().map(Row::bytes).sum()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        let audio = self.audio.as_ref().map(|line| &line.row);
        audio.into_iter().chain(self.video.as_ref().map(|line| &line.row))
    }

    /// Where what has come so far ends, on the session's clock.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        let audio = self.audio.as_ref().and_then(AudioLine::end);
        let video = self.video.as_ref().and_then(VideoLine::end);
        audio.max(video).map(|end| end + self.zero.since_origin())
    }

    /// What was missing so far.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Frames that could not be placed: before a key picture, or where there is something already.
    pub(crate) fn left_out(&self) -> u64 {
        self.audio.as_ref().map_or(0, |line| line.left_out)
            + self.video.as_ref().map_or(0, |line| line.left_out)
    }

    /// Whether gaps are filled.
    fn fills(&self) -> bool {
        self.align == Alignment::Full
    }

    /// Whether what stands before the stream's start is filled.
    fn leads(&self) -> bool {
        self.align != Alignment::Off
    }

    fn local(&self, at: Timestamp) -> Timestamp {
        at - self.zero.since_origin()
    }

    fn note(&mut self, kind: MediaKind, run: Option<Run>, begins: bool) {
        let Some(run) = run else { return };
        let filled = run.is_filled;
        let known = self.causes[kind as usize];
        // While nobody is there, or it is silent, the reason stays.
        if !self.is_absent && !matches!(known, Some(Cause::Mute | Cause::Tail)) {
            self.causes[kind as usize] = None;
        }
        let cause = if begins { Cause::LeadIn } else { known.unwrap_or(Cause::Stall) };
        let track = match kind {
            MediaKind::Audio => Track::Audio,
            MediaKind::Video => Track::Video,
        };
        let (start, end) = (self.seconds(run.from), self.seconds(run.to));
        // What is filled piece by piece is one gap.
        let is_full = self.gaps.len() >= MAX_GAPS;
        let latest = self.gaps.iter_mut().rev().find(|gap| gap.track == track);
        let is_same =
            |gap: &&mut Gap| gap.cause == cause && gap.filled == filled && (gap.end - start).abs() < 0.1;
        match latest.filter(is_same) {
            Some(gap) => gap.end = end,
            None if is_full => {}
            None => self.gaps.push(Gap { track, start, end, cause, filled }),
        }
    }
}

/// The end of a file that nothing can be made for; less than a moment of it is none.
fn bare_tail(from: Timestamp, to: Timestamp) -> Option<Run> {
    (to - from >= AT_ONCE.since_origin()).then_some(Run { from, to, is_filled: false })
}

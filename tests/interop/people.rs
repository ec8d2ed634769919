//! People at browsers: what their devices capture, and what they see and hear of each other.
//!
//! Whose picture is shown is told by its number, whose voice is heard by its pitch (`people.js`).

use crate::analysis::Recording;
use crate::browser::Browser;
use crate::signal;
use serde_json::Value;
use std::ops::Range;
use std::time::{Duration, Instant};
use std::{array, iter, thread};

/// From one signal to the next: four and a half minutes of pictures, and whole cycles of beeps.
const APART: u16 = 54 * 150;
/// The pitches of people's tones, in hertz.
const TONES: [f64; 4] = [1000.0, 700.0, 1300.0, 500.0];
/// What is left of a pitch that is not sent, in decibels of full scale; people's tones are 20 below.
const SILENT: f64 = -70.0;
/// How long a picture or a sound may take to become what it is to be.
const PATIENCE: Duration = Duration::from_secs(8);

/// Something that is captured: it can be told from others by its picture, and by its sound when it has some.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    numbers: Range<u16>,
    tone: Option<f64>,
}

impl Source {
    /// The clip that encoders send, which counts from nothing, as the first person does.
    pub(crate) fn clip() -> Self {
        Self::camera(0)
    }

    /// What the camera and the microphone of the person with this number give.
    pub(crate) fn camera(number: usize) -> Self {
        Self { tone: Some(TONES[number]), ..Self::picture(number) }
    }

    /// What the screen of the person with this number shows.
    pub(crate) fn screen(number: usize) -> Self {
        Self::picture(TONES.len() + number)
    }

    fn picture(place: usize) -> Self {
        let first = u16::try_from(place).expect("people are few") * APART;
        Self { numbers: first..first + APART, tone: None }
    }

    /// Expects that a file has this from beginning to end: its pictures in order, and its voice.
    #[track_caller]
    pub(crate) fn is_recorded_in(&self, recording: &Recording) {
        let seen: Vec<_> = recording.shown.iter().filter_map(|shown| shown.number).collect();
        assert!(
            seen.len() > 100 && seen.len() * 10 > recording.shown.len() * 9,
            "{} can be read",
            seen.len()
        );
        assert!(seen.iter().all(|number| self.numbers.contains(number)), "{seen:?} are not of {self:?}");
        assert!(seen.is_sorted(), "the pictures are out of order: {seen:?}");
        let Some(tone) = self.tone else { return };
        let track = recording.track.as_ref().expect("there is sound");
        for second in track.samples.chunks_exact(track.rate as usize).skip(1) {
            let loudest = TONES
                .iter()
                .max_by(|a, b| level(second, **a / track.rate).total_cmp(&level(second, **b / track.rate)));
            assert_eq!(loudest, Some(&tone), "another voice");
            assert!(level(second, tone / track.rate) > 0.03, "the voice is lost");
        }
    }

    /// The same picture, whatever is heard.
    pub(crate) fn seen(self) -> Self {
        Self { tone: None, ..self }
    }
}

/// How loud a pitch is, given in cycles a sample.
fn level(samples: &[f32], pitch: f64) -> f64 {
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * pitch * at as f64;
        cosine += f64::from(*sample) * angle.cos();
        sine += f64::from(*sample) * angle.sin();
    }
    2.0 * cosine.hypot(sine) / samples.len() as f64
}

/// Windows of one browser.
pub(crate) fn windows<const N: usize>() -> [Browser; N] {
    let first = Browser::start_strict();
    let others: Vec<_> = (1..N).map(|_| first.beside()).collect();
    let mut all = iter::once(first).chain(others);
    array::from_fn(|_| all.next().expect("as many as are asked for"))
}

/// Browsers that have nothing to do with each other, started at the same time.
pub(crate) fn browsers<const N: usize>() -> [Browser; N] {
    thread::scope(|scope| {
        let starting = array::from_fn(|_| scope.spawn(Browser::start_strict));
        starting.map(|starting| starting.join().expect("a browser starts"))
    })
}

/// Gives all pages to come of a browser the devices of the person with this number.
pub(crate) fn equip(browser: &Browser, number: usize, script: &str) {
    let (camera, screen) = (Source::camera(number), Source::screen(number));
    browser.precede(&format!(
        "const FIRST = {}, SCREEN = {}, TONE = {}, EACH = 2;\n{}\n{script}",
        camera.numbers.start,
        screen.numbers.start,
        TONES[number],
        include_str!("people.js")
    ));
}

/// Has people do something at the same time.
pub(crate) fn together<'a, P: Sync, const N: usize>(people: [&'a P; N], act: impl Fn(&'a P) + Sync) {
    thread::scope(|scope| {
        for person in people {
            scope.spawn(|| act(person));
        }
    });
}

/// What an element of a page shows and lets be heard.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The numbers of two pictures, the second some time after the first.
    numbers: [Option<u16>; 2],
    /// Pictures shown in between.
    frames: i64,
    hertz: f64,
    decibels: f64,
    muted: bool,
    paused: bool,
}

impl Observed {
    /// Of what a page has observed.
    pub(crate) fn of(seen: &Value) -> Self {
        let number = |look: &Value| {
            let cells = look.as_array()?.iter().map(|cell| cell.as_u64()?.try_into().ok());
            signal::number(&cells.collect::<Option<Vec<u8>>>()?.try_into().ok()?)
        };
        let frames = [0, 1].map(|index| seen["frames"][index].as_i64().expect("a count"));
        Self {
            numbers: [0, 1].map(|index| number(&seen["looks"][index])),
            frames: frames[1] - frames[0],
            hertz: seen["sound"]["hertz"].as_f64().unwrap_or_default(),
            decibels: seen["sound"]["decibels"].as_f64().unwrap_or(f64::NEG_INFINITY),
            muted: seen["muted"].as_bool().expect("a flag"),
            paused: seen["paused"].as_bool().expect("a flag"),
        }
    }

    /// Observes until it is so; after a while gives what was observed last, which is not.
    pub(crate) fn until(observe: impl Fn() -> Self, is_so: impl Fn(&Self) -> bool) -> Result<(), Self> {
        let began = Instant::now();
        loop {
            let seen = observe();
            if is_so(&seen) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(seen);
            }
        }
    }

    /// Whether this shows a source in motion and lets its sound be heard.
    pub(crate) fn is_of(&self, source: &Source) -> bool {
        let [Some(first), Some(second)] = self.numbers else { return false };
        let shown = source.numbers.contains(&first) && source.numbers.contains(&second) && first < second;
        shown && self.frames > 2 && !self.paused && source.tone.is_none_or(|tone| self.has_tone(tone))
    }

    fn has_tone(&self, tone: f64) -> bool {
        !self.muted && (self.hertz - tone).abs() < 6.0 && self.decibels > -40.0
    }

    /// Whether nothing can be heard.
    pub(crate) fn is_silent(&self) -> bool {
        self.decibels < SILENT
    }

    /// Whether there is no picture of anybody's.
    pub(crate) fn is_dark(&self) -> bool {
        self.numbers == [None, None]
    }
}

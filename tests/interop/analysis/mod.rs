//! Reads the test signal back from what a client decoded: which pictures were shown when, how the tone sounds, and how
//! far beeps lie from their flashes.

mod picture;
mod sound;

pub(crate) use picture::{Picture, Shown};
pub(crate) use sound::{Beep, Piece, Sound, Track};

use crate::signal::BEEPS;

/// The limit for what lies between sound and picture, in milliseconds.
pub(crate) const OFFSET: f64 = 40.0;

/// What a client showed and played, on one clock.
#[derive(Default)]
pub(crate) struct Recording {
    /// The pictures in the order in which they were shown.
    pub(crate) shown: Vec<Shown>,
    /// The sound, unless there was none.
    pub(crate) track: Option<Track>,
    /// How late the client knows itself to play the sound against the picture, at some instants, in seconds.
    pub(crate) lag: Vec<(f64, f64)>,
}

/// What can be said about a recording.
#[derive(Debug)]
pub(crate) struct Report {
    /// The picture; nothing when none was shown.
    pub(crate) picture: Option<Picture>,
    /// The sound; nothing when none was played.
    pub(crate) sound: Option<Sound>,
    /// How late each beep is against its flash, in milliseconds.
    pub(crate) offsets: Vec<f64>,
    /// The same less what the client knows of: what comes from further up.
    pub(crate) unexplained: Vec<f64>,
}

impl Recording {
    /// Measures everything.
    pub(crate) fn analyse(&self) -> Report {
        let picture = Picture::measure(&self.shown);
        let sound = self.track.as_ref().and_then(Sound::measure);
        let (mut offsets, mut unexplained) = (Vec::new(), Vec::new());
        if let (Some(picture), Some(sound)) = (&picture, &sound) {
            for beep in &sound.beeps {
                let Some(offset) = offset(beep, picture) else { continue };
                offsets.push(offset * 1000.0);
                unexplained.extend(self.lag_at(beep.at).map(|lag| (offset - lag) * 1000.0));
            }
        }
        Report { picture, sound, offsets, unexplained }
    }

    /// The mean of what the client said of itself around an instant. Files say nothing and have nothing to say.
    fn lag_at(&self, at: f64) -> Option<f64> {
        let near: Vec<f64> =
            self.lag.iter().filter(|lag| (lag.0 - at).abs() < 0.5).map(|lag| lag.1).collect();
        if self.lag.is_empty() {
            return Some(0.0);
        }
        (!near.is_empty()).then(|| near.iter().sum::<f64>() / near.len() as f64)
    }
}

impl Report {
    /// The picture, which must be there.
    #[track_caller]
    pub(crate) fn picture(&self) -> &Picture {
        self.picture.as_ref().expect("a picture was shown")
    }

    /// The sound, which must be there.
    #[track_caller]
    pub(crate) fn sound(&self) -> &Sound {
        self.sound.as_ref().expect("sound was played")
    }

    /// The middle one of the offsets that the client does not know of, in milliseconds; positive when the sound is late.
    #[track_caller]
    pub(crate) fn offset(&self) -> f64 {
        assert!(self.unexplained.len() >= 3, "too few beeps with their flashes to judge: {self:#?}");
        median(&self.unexplained)
    }
}

/// How late the beep is against the picture of its second, in seconds.
fn offset(beep: &Beep, picture: &Picture) -> Option<f64> {
    let near = picture.content_at(beep.at)?;
    // The pitch tells the second modulo five; the picture, which one of those.
    let cycle = BEEPS.len() as f64;
    let class = beep.class as f64;
    let second = class + ((near - class) / cycle).round() * cycle;
    Some(beep.at - picture.shown_at(second)?)
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

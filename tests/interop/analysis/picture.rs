//! Which frames of the signal were shown, in which order, and when.

use crate::signal::FPS;

/// One picture as it was shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// When, in seconds.
    pub(crate) at: f64,
    /// The number it carries, when it could be read.
    pub(crate) number: Option<u16>,
}

/// What is to be said about the pictures of a recording.
pub(crate) struct Picture {
    /// How many were shown.
    pub(crate) frames: usize,
    /// How many carried no legible number.
    pub(crate) illegible: usize,
    /// Numbers never shown between the first and the last.
    pub(crate) dropped: usize,
    /// Pictures shown again.
    pub(crate) repeated: usize,
    /// Pictures older than one before them.
    pub(crate) backwards: usize,
    /// The longest time without a new picture, in seconds.
    pub(crate) longest_freeze: f64,
    /// New pictures a second.
    pub(crate) fps: f64,
    /// Each new picture: its place in the signal and when it was shown, in seconds.
    steps: Vec<(f64, f64)>,
}

impl Picture {
    /// Measures the pictures, which come in the order of their showing.
    pub(crate) fn measure(shown: &[Shown]) -> Option<Self> {
        let legible: Vec<_> = shown.iter().filter_map(|shown| Some((shown.number?, shown.at))).collect();
        let &(first, _) = legible.first()?;
        let mut picture = Self {
            frames: shown.len(),
            illegible: shown.len() - legible.len(),
            dropped: 0,
            repeated: 0,
            backwards: 0,
            longest_freeze: 0.0,
            fps: 0.0,
            steps: Vec::new(),
        };
        let mut newest = None;
        for &(number, at) in &legible {
            match newest {
                Some(newest) if number == newest => picture.repeated += 1,
                Some(newest) if number < newest => picture.backwards += 1,
                _ => {
                    picture.dropped += newest.map_or(0, |newest| usize::from(number - newest) - 1);
                    if let Some(&(_, before)) = picture.steps.last() {
                        picture.longest_freeze = picture.longest_freeze.max(at - before);
                    }
                    picture.steps.push((f64::from(number) / FPS as f64, at));
                    newest = Some(number);
                }
            }
        }
        let (_, begin) = *picture.steps.first()?;
        let (_, end) = *picture.steps.last()?;
        if let Some(&Shown { at: last, .. }) = shown.last() {
            picture.longest_freeze = picture.longest_freeze.max(last - end);
        }
        picture.fps = (picture.steps.len() - 1) as f64 / (end - begin).max(1e-9);
        debug_assert!(newest >= Some(first));
        Some(picture)
    }

    /// The place in the signal, in seconds, that was on show at an instant; beyond the ends it goes on at the same pace.
    pub(crate) fn content_at(&self, at: f64) -> Option<f64> {
        let after = self.steps.partition_point(|&(_, shown)| shown <= at);
        let &(content, shown) = self.steps.get(after.saturating_sub(1))?;
        Some(content + (at - shown))
    }

    /// When a place in the signal, in seconds, came on show; nothing when too much around it is missing to tell.
    pub(crate) fn shown_at(&self, content: f64) -> Option<f64> {
        let half_frame = 0.5 / FPS as f64;
        let next = self.steps.partition_point(|&(step, _)| step < content - half_frame);
        let &(step, shown) = self.steps.get(next)?;
        if (step - content).abs() < half_frame {
            return Some(shown);
        }
        // That very picture is missing: a neighbour close by tells as well.
        let &(before, _) = self.steps.get(next.checked_sub(1)?)?;
        (step - before < 0.25).then_some(shown - (step - content))
    }

    /// The length of signal that was shown, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.steps.last().map_or(0.0, |last| last.0) - self.steps.first().map_or(0.0, |first| first.0)
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} frames at {:.2} fps over {:.2} s of signal, {} illegible, {} dropped, {} repeated, {} backwards, longest freeze {:.0} ms",
            self.frames,
            self.fps,
            self.seconds(),
            self.illegible,
            self.dropped,
            self.repeated,
            self.backwards,
            self.longest_freeze * 1000.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(numbers: &[u16]) -> Vec<Shown> {
        let at = |index: usize| 10.0 + index as f64 / FPS as f64;
        numbers
            .iter()
            .enumerate()
            .map(|(index, &number)| Shown { at: at(index), number: Some(number) })
            .collect()
    }

    #[test]
    fn faults_are_counted() {
        let mut frames = shown(&[60, 61, 61, 62, 66, 65, 67]);
        frames.push(Shown { at: 10.9, number: None });
        let picture = Picture::measure(&frames).unwrap();
        assert_eq!((picture.frames, picture.illegible), (8, 1));
        assert_eq!((picture.dropped, picture.repeated, picture.backwards), (3, 1, 1));
        assert!((picture.longest_freeze - 0.7).abs() < 1e-6, "{picture:?}");
        assert!((picture.seconds() - 7.0 / 30.0).abs() < 1e-6);
    }

    #[test]
    fn a_missing_picture_is_placed_by_its_neighbours() {
        let picture = Picture::measure(&shown(&[58, 59, 61, 62])).unwrap();
        assert!((picture.shown_at(2.0).unwrap() - (10.0 + 2.0 / 30.0 - 1.0 / 30.0)).abs() < 1e-6);
        assert_eq!(picture.shown_at(1.0), None, "before the first");
        assert_eq!(picture.shown_at(3.0), None, "after the last");
        assert!((picture.content_at(10.0).unwrap() - 58.0 / 30.0).abs() < 1e-6);
    }
}

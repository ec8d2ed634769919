//! Who stands where and when: the places change when somebody comes or goes, and at no other time.

use super::layout::{self, Dimensions, Layout, Rectangle};
use super::session::Source;
use super::span::{self, Span};

/// A place that a source has for a time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Place {
    pub(crate) span: Span,
    pub(crate) tile: Rectangle,
}

/// Who is there for less of a scene has no place in it, in seconds.
pub(crate) const BRIEF: f64 = 0.5;

/// The places of each source, in order. They change at most once in `quiet` seconds.
pub(crate) fn places(
    sources: &[Source],
    duration: f64,
    layout: Layout,
    size: Dimensions,
    quiet: f64,
) -> Vec<Vec<Place>> {
    let mut places: Vec<Vec<Place>> = vec![Vec::new(); sources.len()];
    for scene in scenes(sources, duration, quiet) {
        let shown: Vec<usize> = (0..sources.len())
            .filter(|index| {
                let there = span::intersect(&sources[*index].there, &[scene]);
                let seconds: f64 = there.iter().map(|span| span.length()).sum();
                // Who goes just behind somebody else would leave a hole for the rest of the scene.
                seconds >= BRIEF.min(scene.length())
            })
            .collect();
        let screens: Vec<bool> = shown.iter().map(|index| sources[*index].is_screen).collect();
        for (index, tile) in shown.into_iter().zip(layout::places(layout, &screens, size)) {
            for span in span::intersect(&sources[index].there, &[scene]) {
                match places[index].last_mut() {
                    Some(last) if last.tile == tile && last.span.end >= span.start => {
                        last.span.end = span.end
                    }
                    _ => places[index].push(Place { span, tile }),
                }
            }
        }
    }
    places
}

/// The times between which nobody comes or goes, or only within `quiet` seconds.
fn scenes(sources: &[Source], duration: f64, quiet: f64) -> Vec<Span> {
    let mut cuts: Vec<f64> =
        sources.iter().flat_map(|source| &source.there).flat_map(|span| [span.start, span.end]).collect();
    cuts.sort_by(f64::total_cmp);
    let mut scenes = Vec::new();
    let mut since = 0.0;
    for cut in cuts {
        if cut - since >= quiet && duration - cut >= quiet.min(duration) {
            scenes.push(Span::new(since, cut));
            since = cut;
        }
    }
    scenes.push(Span::new(since, duration));
    scenes
}

#[cfg(test)]
mod tests {
    use super::super::session::Container;
    use super::*;

    const SIZE: Dimensions = Dimensions { width: 1280, height: 720 };

    fn source(there: &[(f64, f64)]) -> Source {
        Source {
            file: "a.mp4".into(),
            container: Container::Mp4,
            name: "a".into(),
            is_screen: false,
            start: 0.0,
            there: there.iter().map(|(start, end)| Span::new(*start, *end)).collect(),
            pictured: vec![],
            channels: None,
        }
    }

    fn all(sources: &[Source], quiet: f64) -> Vec<Vec<(f64, f64, u32)>> {
        places(sources, 60.0, Layout::Grid, SIZE, quiet)
            .iter()
            .map(|places| places.iter().map(|at| (at.span.start, at.span.end, at.tile.width)).collect())
            .collect()
    }

    #[test]
    fn places_change_when_somebody_comes_or_goes() {
        let sources = [source(&[(0.0, 60.0)]), source(&[(10.0, 30.0)])];
        assert_eq!(
            all(&sources, 0.5),
            [vec![(0.0, 10.0, 1280), (10.0, 30.0, 636), (30.0, 60.0, 1280)], vec![(10.0, 30.0, 636)]]
        );
    }

    #[test]
    fn two_that_come_together_move_the_others_once() {
        let sources = [source(&[(0.0, 60.0)]), source(&[(10.0, 60.0)]), source(&[(10.2, 60.0)])];
        assert_eq!(
            all(&sources, 0.5),
            [vec![(0.0, 10.0, 1280), (10.0, 60.0, 636)], vec![(10.0, 60.0, 636)], vec![(10.2, 60.0, 636)]],
            "and nobody is shown before being there"
        );
    }

    #[test]
    fn two_that_go_together_leave_no_hole() {
        let sources = [source(&[(0.0, 60.0)]), source(&[(0.0, 30.0)]), source(&[(0.0, 30.3)])];
        assert_eq!(all(&sources, 0.5)[0], [(0.0, 30.0, 636), (30.0, 60.0, 1280)]);
        assert_eq!(all(&sources, 0.5)[2], [(0.0, 30.0, 636)]);
    }

    #[test]
    fn without_any_change_all_have_their_places_from_the_beginning() {
        let sources = [source(&[(0.0, 60.0)]), source(&[(10.0, 30.0)])];
        assert_eq!(all(&sources, f64::INFINITY), [vec![(0.0, 60.0, 636)], vec![(10.0, 30.0, 636)]]);
    }
}

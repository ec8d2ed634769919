//! Which picture a viewer gets: what it wants, what is sent, and how the line's room is shared out.

use crate::stream::Layer;
use crate::time::BitRate;
use smallvec::SmallVec;
use std::cmp::Reverse;

/// How a viewer shows a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Adaptation {
    /// Lines of its tile, in its own pixels; `None`: as many as there are.
    pub max_height: Option<u32>,
    /// The picture is not shown at all.
    pub paused: bool,
}

/// What a viewer gets of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Picture {
    /// Its lines, where they are known; `None` while there is no picture.
    pub height: Option<u32>,
    /// Why it is not the best there is.
    pub limit: Limit,
    /// Whether the stream has a picture that the viewer does not get.
    pub audio_only: bool,
}

/// Why a viewer gets less than the best picture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Limit {
    /// It gets the best.
    #[default]
    None,
    /// Its tile is small.
    Size,
    /// Its line is narrow.
    Bandwidth,
    /// It has paused the picture.
    Paused,
}

impl Limit {
    /// Lower case, for the room protocol, logs, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Size => "size",
            Self::Bandwidth => "bandwidth",
            Self::Paused => "paused",
        }
    }
}

/// One of the layers that a picture comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rung {
    pub(super) layer: Layer,
    pub(super) height: Option<u32>,
    /// With all headers; zero while it is not known.
    pub(super) rate: BitRate,
}

/// The layers of a picture, the best first.
pub(super) type Rungs = SmallVec<[Rung; Layer::MAX]>;

/// What a viewer could do with its share of a line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wants {
    /// The sound, with all headers.
    pub(super) sound: BitRate,
    pub(super) rungs: Rungs,
    pub(super) adaptation: Adaptation,
}

/// What it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Choice {
    /// `None`: no picture.
    pub(super) layer: Option<Layer>,
    pub(super) limit: Limit,
}

/// A viewer on a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    pub(super) wants: Wants,
    /// What it was given last; `None`: it is new.
    pub(super) choice: Option<Choice>,
    /// It gets no picture now: nothing is heard of its session.
    pub(super) is_silent: bool,
}

/// What a layer is reckoned at whose rate is not known, where it is the lowest or no better than what is sent already; nobody
/// rises to another.
const ASSUMED: BitRate = BitRate::from_kbps(200);
/// A layer that is sent already stays for as long as the line carries so many per cent of it: an estimate errs, and a
/// switch is seen.
const TO_STAY: u32 = 80;
/// The lowest one for longer, as there would be no picture instead: what is left of an estimate when a probe has found its bound
/// must not take it away, even beside sound that is nearly as much.
const TO_STAY_LOWEST: u32 = 60;
/// A better one must fit with some room to spare.
const TO_RISE: u32 = 105;
/// And is probed for with some more.
const TO_PROBE: u32 = 112;
/// A picture with so many per cent of the tile's lines is good enough for it.
const NEAR_ENOUGH: u64 = 80;

/// A claim, and the places of the best layer that is of use and of the one that is given.
type Deal<'a> = (&'a mut Claim, Option<usize>, Option<usize>);

/// Shares a line's room out, anew each time: the sound of all first; then a picture for everybody; then, layer by layer,
/// better ones, those with the largest tiles first. Gives the rate at which all would have what they want, if that is more
/// than there is.
pub(super) fn share_out<'a>(
    claims: impl Iterator<Item = &'a mut Claim>,
    estimate: Option<BitRate>,
) -> Option<BitRate> {
    let mut claims: SmallVec<[Deal<'_>; 16]> = claims
        .map(|claim| {
            let best = claim.wants.best().filter(|_| !claim.is_silent);
            (claim, best, None)
        })
        .collect();
    claims.sort_by_key(|(claim, ..)| Reverse(claim.wants.adaptation.max_height.unwrap_or(u32::MAX)));
    let sound: BitRate = claims.iter().map(|(claim, ..)| claim.wants.sound).sum();
    let mut left = estimate.map(|estimate| estimate.less(sound));
    for _ in 0..Layer::MAX {
        for (claim, best, given) in &mut claims {
            let Some(best) = *best else { continue };
            let next = match *given {
                None => claim.wants.rungs.len().checked_sub(1),
                Some(given) => given.checked_sub(1),
            };
            let Some(next) = next.filter(|next| *next >= best) else { continue };
            if let Some(left) = &mut left {
                let spent = given.and_then(|given| claim.cost(given)).unwrap_or_default();
                let Some(cost) = claim.cost(next).map(|cost| cost.less(spent)) else { continue };
                if cost > *left {
                    continue;
                }
                *left = left.less(cost);
            }
            *given = Some(next);
        }
    }
    let mut aim = sound;
    let mut is_short = false;
    for (claim, best, given) in claims {
        let rate = |index: usize| claim.wants.rungs.get(index).map_or(BitRate::ZERO, |rung| rung.rate);
        aim = aim + best.map_or(BitRate::ZERO, rate);
        is_short |= given != best;
        let limit = match given {
            _ if claim.wants.adaptation.paused => Limit::Paused,
            _ if claim.is_silent => Limit::Bandwidth,
            given if given != best => Limit::Bandwidth,
            Some(index) if index > 0 => Limit::Size,
            _ => Limit::None,
        };
        let layer = given.and_then(|index| claim.wants.rungs.get(index)).map(|rung| rung.layer);
        claim.choice = Some(Choice { layer, limit });
    }
    is_short.then(|| aim.percent(TO_PROBE))
}

impl Wants {
    /// The place of the best layer that is of use: the lowest that is large enough for the tile.
    fn best(&self) -> Option<usize> {
        if self.adaptation.paused || self.rungs.is_empty() {
            return None;
        }
        let Some(lines) = self.adaptation.max_height else { return Some(0) };
        let is_enough = |rung: &Rung| {
            rung.height.is_none_or(|height| u64::from(height) * 100 >= u64::from(lines) * NEAR_ENOUGH)
        };
        Some(self.rungs.iter().rposition(is_enough).unwrap_or(0))
    }
}

impl Claim {
    /// What a layer is reckoned at: less where it is what is sent already, more where it is better than that. `None` for one
    /// that nobody may rise to, as nothing is known of it.
    fn cost(&self, index: usize) -> Option<BitRate> {
        let rung = self.wants.rungs.get(index)?;
        let is_lowest = index + 1 == self.wants.rungs.len();
        let sent = self.choice.and_then(|choice| choice.layer);
        let rate = match rung.rate {
            BitRate::ZERO if is_lowest || sent.is_some_and(|sent| rung.layer >= sent) => ASSUMED,
            BitRate::ZERO => return None,
            rate => rate,
        };
        Some(match (self.choice, sent) {
            (None, _) => rate,
            (_, Some(sent)) if rung.layer == sent && is_lowest => rate.percent(TO_STAY_LOWEST),
            (_, Some(sent)) if rung.layer >= sent => rate.percent(TO_STAY),
            _ => rate.percent(TO_RISE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(steps: usize) -> Layer {
        Layer::below_best(steps).unwrap()
    }

    /// Simulcast as our page sends it, sound at 45 kbit/s; in 720, 360 and 180 lines.
    fn claim(max_height: Option<u32>) -> Claim {
        let rungs = [(720, 1_700), (360, 500), (180, 150)].into_iter().enumerate();
        let rungs = rungs.map(|(steps, (height, rate))| Rung {
            layer: layer(steps),
            height: Some(height),
            rate: BitRate::from_kbps(rate),
        });
        let adaptation = Adaptation { max_height, paused: false };
        let wants = Wants { sound: BitRate::from_kbps(45), rungs: rungs.collect(), adaptation };
        Claim { wants, ..Claim::default() }
    }

    /// Steps below the best that each is given, and why.
    fn given(claims: &mut [Claim], kbps: Option<u64>) -> Vec<(Option<usize>, Limit)> {
        share_out(claims.iter_mut(), kbps.map(BitRate::from_kbps));
        let choice = |claim: &Claim| {
            let choice = claim.choice.unwrap();
            (choice.layer.map(Layer::steps), choice.limit)
        };
        claims.iter().map(choice).collect()
    }

    #[test]
    fn a_tile_gets_the_lowest_layer_that_fills_it() {
        let layers = [0, 90, 180, 220, 230, 360, 400, 720, 2_160].map(|height| {
            let given = given(&mut [claim(Some(height))], None)[0];
            (given.0.unwrap(), given.1)
        });
        let (small, large) = (Limit::Size, Limit::None);
        let expected = [2, 2, 2, 2, 1, 1, 1].map(|steps| (steps, small)).into_iter().chain([(0, large); 2]);
        assert!(layers.into_iter().eq(expected), "{layers:?}");
        let mut paused = claim(None);
        paused.wants.adaptation.paused = true;
        assert_eq!(given(&mut [paused], None), [(None, Limit::Paused)]);
        assert_eq!(given(&mut [Claim::default()], Some(0)), [(None, Limit::None)], "sound alone");
    }

    #[test]
    fn a_line_carries_sound_and_then_what_fits() {
        let alone = |kbps| given(&mut [claim(None)], Some(kbps))[0];
        assert_eq!(
            [2_000, 1_700, 500, 190].map(alone).map(|given| given.0),
            [Some(0), Some(1), Some(2), None]
        );
        assert_eq!(
            (alone(2_000).1, alone(500).1, alone(40)),
            (Limit::None, Limit::Bandwidth, (None, Limit::Bandwidth))
        );
    }

    #[test]
    fn what_is_sent_stays_and_better_needs_some_room() {
        let mut claims = [claim(None)];
        let mut steps = |kbps| given(&mut claims, Some(kbps))[0].0;
        assert_eq!(
            [600, 450, 440, 520, 560, 575].map(&mut steps),
            [Some(1), Some(1), Some(2), Some(2), Some(2), Some(1)]
        );
        assert_eq!([100, 195, 205].map(&mut steps), [None, None, Some(2)]);
        // The last picture is held on to; it is not where it would have to come first.
        assert_eq!([140, 130, 140, 575, 160].map(&mut steps), [Some(2), None, None, Some(1), None]);
    }

    #[test]
    fn a_layer_of_which_nothing_is_known_is_not_taken_for_free() {
        let mut unknown = claim(None);
        unknown.wants.rungs.iter_mut().for_each(|rung| rung.rate = BitRate::ZERO);
        let steps = |claim: &Claim, kbps| given(&mut [claim.clone()], kbps)[0].0;
        assert_eq!(steps(&unknown, None), Some(0), "no bound, no question");
        assert_eq!([10_000, 250, 240].map(|kbps| steps(&unknown, Some(kbps))), [Some(2), Some(2), None]);
        // What is sent goes on while the publisher comes back, until it is known again.
        unknown.choice = Some(Choice { layer: Some(Layer::BEST), limit: Limit::None });
        let mut known = unknown.clone();
        known.wants.rungs[2].rate = BitRate::from_kbps(150);
        assert_eq!(steps(&known, Some(300)), Some(0));
        known.choice = Some(Choice { layer: Some(layer(1)), limit: Limit::Bandwidth });
        assert_eq!(steps(&known, Some(300)), Some(1), "but nothing better");
        known.choice = None;
        assert_eq!(steps(&known, Some(300)), Some(2));
        known.wants.rungs.drain(1..);
        assert_eq!([300, 200].map(|kbps| steps(&known, Some(kbps))), [Some(0), None], "there is no other");
    }

    #[test]
    fn the_sound_of_all_comes_first_and_the_largest_tile_next() {
        let tiles = || [claim(Some(180)), claim(Some(720)), claim(Some(360))];
        let steps =
            |kbps| given(&mut tiles(), Some(kbps)).into_iter().map(|given| given.0).collect::<Vec<_>>();
        assert_eq!(steps(130), [None, None, None]);
        assert_eq!(steps(135 + 150), [None, Some(2), None]);
        assert_eq!(
            steps(135 + 450),
            [Some(2), Some(2), Some(2)],
            "a picture for everybody before a better one"
        );
        assert_eq!(steps(135 + 450 + 350), [Some(2), Some(1), Some(2)]);
        assert_eq!(steps(135 + 150 + 1_700 + 500), [Some(2), Some(0), Some(1)]);
    }

    #[test]
    fn the_aim_is_what_all_would_have() {
        let aim =
            |kbps| share_out([claim(None), claim(Some(180))].iter_mut(), Some(BitRate::from_kbps(kbps)));
        assert_eq!(aim(1_000), Some(BitRate::from_kbps(90 + 1_700 + 150).percent(TO_PROBE)));
        assert_eq!((aim(2_000), share_out([claim(None)].iter_mut(), None)), (None, None));
    }
}

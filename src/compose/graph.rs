//! The filter graph that puts a session together.
//!
//! Each picture goes through one chain: to the common rate, to the size of its tile, onto the canvas. Size and place are
//! expressions of the time, so that a layout changes without a second branch of the source, which would have to wait in
//! memory for its scene. What is not to be seen lies outside of the canvas; what covers a tile before is the card.

use super::layout::{Dimensions, Rectangle};
use super::scene::Place;
use super::session::{Session, Source};
use super::span::{self, Span};
use std::fmt::Write;
use std::path::Path;

/// What the picture is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Picture {
    pub(crate) size: Dimensions,
    /// Pictures a second.
    pub(crate) rate: u32,
}

const BACKGROUND: &str = "0x101114";
const TILE: &str = "0x1e2026";
/// Samples a second of the mix.
const SAMPLE_RATE: u32 = 48_000;

/// The graph; its ends are `[picture]` and `[sound]`, the latter only if there is any. Input `n` is source `n`.
pub(crate) fn graph(
    session: &Session,
    places: &[Vec<Place>],
    picture: Picture,
    font: Option<&Path>,
) -> String {
    let mut steps = vec![canvas(session, places, picture, font)];
    let mut canvas = "[canvas]".to_owned();
    for (input, (source, places)) in session.sources.iter().zip(places).enumerate() {
        if source.pictured.is_empty() || places.is_empty() {
            continue;
        }
        let next = format!("[onto{input}]");
        steps.push(tile(input, places, picture));
        steps.push(format!("{canvas}[tile{input}]{}{next}", overlay(source, places)));
        canvas = next;
    }
    let captions = session.sources.iter().zip(places).filter_map(|(source, places)| {
        let shown: Vec<Place> = within(places, &source.pictured);
        Some(caption(source, &shown, font?)).filter(|_| !shown.is_empty())
    });
    let captions: Vec<String> = captions.chain(["null".to_owned()]).collect();
    steps.push(format!("{canvas}{}[picture]", captions.join(",")));
    steps.extend(sound(session));
    steps.join(";")
}

/// The background with a card for each tile.
fn canvas(session: &Session, places: &[Vec<Place>], picture: Picture, font: Option<&Path>) -> String {
    let Dimensions { width, height } = picture.size;
    let mut text = format!(
        "color=c={BACKGROUND}:s={width}x{height}:r={}:d={},format=yuv420p",
        picture.rate, session.duration
    );
    for (source, places) in session.sources.iter().zip(places) {
        for (tile, spans) in by_number(places, |tile| *tile) {
            let Rectangle { x, y, width, height } = tile;
            // Written to a String, which takes everything.
            let _ = write!(
                text,
                ",drawbox=x={x}:y={y}:w={width}:h={height}:t=fill:c={TILE}:enable={}",
                quoted(&while_in(&spans))
            );
        }
        let hidden = {
            let spans: Vec<Span> = places.iter().map(|place| place.span).collect();
            within(places, &span::subtract(&spans, &source.pictured))
        };
        if let Some(font) = font
            && !hidden.is_empty()
        {
            let _ = write!(text, ",{}", card(source, &hidden, font));
        }
    }
    text + "[canvas]"
}

/// The picture of an input, in the size of its tile.
fn tile(input: usize, places: &[Place], picture: Picture) -> String {
    let width = sum(places, |tile| tile.width);
    let height = sum(places, |tile| tile.height);
    format!(
        "[{input}:v:0]fps={rate},scale=eval=frame:w={w}:h={h}[tile{input}]",
        rate = picture.rate,
        w = quoted(&format!("max(2,trunc(min({width},{height}*dar)/2)*2)")),
        h = quoted(&format!("max(2,trunc(min({height},{width}/dar)/2)*2)")),
    )
}

/// Lays it in the middle of its tile, while there is a picture.
fn overlay(source: &Source, places: &[Place]) -> String {
    let shown = within(places, &source.pictured);
    let visible: Vec<Span> = shown.iter().map(|place| place.span).collect();
    let centre = |length: &str, position: fn(&Rectangle) -> u32, extent: fn(&Rectangle) -> u32| {
        sum(&shown, |tile| position(tile) + extent(tile) / 2) + "-" + length + "/2"
    };
    let x = centre("w", |tile| tile.x, |tile| tile.width);
    let y = centre("h", |tile| tile.y, |tile| tile.height);
    format!("overlay=eval=frame:x={}:y={}", quoted(&format!("if({},{x},W)", while_in(&visible))), quoted(&y))
}

/// The name in the lower left corner of the picture.
fn caption(source: &Source, shown: &[Place], font: &Path) -> String {
    format!(
        "{}:fontsize={}:box=1:boxcolor=black@0.5:boxborderw=6:x={}:y={}:enable={}",
        text(source, font),
        quoted(&format!("min(clip({}/16,12,28),{})", sum(shown, |tile| tile.height), fitting(source, shown))),
        quoted(&(sum(shown, |tile| tile.x) + "+12")),
        quoted(&(sum(shown, |tile| tile.y + tile.height) + "-th-12")),
        quoted(&while_in(&shown.iter().map(|place| place.span).collect::<Vec<_>>())),
    )
}

/// The name in the middle of a tile without a picture.
fn card(source: &Source, shown: &[Place], font: &Path) -> String {
    format!(
        "{}:fontsize={}:x={}:y={}:enable={}",
        text(source, font),
        quoted(&format!("min(max(14,{}/12),{})", sum(shown, |tile| tile.height), fitting(source, shown))),
        quoted(&(sum(shown, |tile| tile.x + tile.width / 2) + "-tw/2")),
        quoted(&(sum(shown, |tile| tile.y + tile.height / 2) + "-th/2")),
        quoted(&while_in(&shown.iter().map(|place| place.span).collect::<Vec<_>>())),
    )
}

/// The size of letters with which a name is not wider than its tile.
fn fitting(source: &Source, shown: &[Place]) -> String {
    // Han, kana and Hangul are twice as wide as most letters, which are some 0.6 of their height.
    let width: u32 = source.name.chars().map(|letter| if letter < '\u{1100}' { 1 } else { 2 }).sum();
    format!("max(6,{}*1.4/{})", sum(shown, |tile| tile.width), width.max(1))
}

/// `drawtext` with a name, which may be any text.
fn text(source: &Source, font: &Path) -> String {
    format!(
        "drawtext=expansion=none:fontcolor=white:fontfile={}:text={}",
        escape(&font.to_string_lossy()),
        escape(&source.name)
    )
}

/// All that is heard, each as loud as it was recorded. `amix` would divide by the number of inputs, which makes
/// everybody quiet as soon as many are in a room where one speaks at a time; so it adds, and a limiter takes care of
/// those moments in which several shout. Sound follows its time stamps: what is missing becomes silence.
fn sound(session: &Session) -> Option<String> {
    let mut chains = Vec::new();
    let mut ends = String::new();
    for (input, source) in session.sources.iter().enumerate() {
        let Some(channels) = source.channels else { continue };
        // One channel, mixed to two by its layout, would come out 3 dB quieter.
        let stereo = if channels == 1 { "pan=stereo|c0=c0|c1=c0" } else { "aformat=channel_layouts=stereo" };
        chains.push(format!(
            "[{input}:a:0]{stereo},aformat=sample_fmts=fltp,aresample={SAMPLE_RATE}:async=1000:first_pts=0[sound{input}]"
        ));
        let _ = write!(ends, "[sound{input}]");
    }
    let count = chains.len();
    chains.push(format!(
        "{ends}amix=inputs={count}:duration=longest:dropout_transition=0:normalize=0,\
         alimiter=limit=0.95:level=disabled:latency=1,apad,atrim=end={}[sound]",
        session.duration
    ));
    (count > 0).then(|| chains.join(";"))
}

/// The places, in as far as they lie in `spans`.
fn within(places: &[Place], spans: &[Span]) -> Vec<Place> {
    let parts = places.iter().flat_map(|place| {
        span::intersect(&[place.span], spans).into_iter().map(|span| Place { span, tile: place.tile })
    });
    parts.collect()
}

/// A number that depends on the time: that of the place that holds; outside of all places it does not matter. A sum, as
/// FFmpeg's parser takes any number of terms and only some levels.
fn sum(places: &[Place], number: impl Fn(&Rectangle) -> u32) -> String {
    let mut terms = by_number(places, |tile| i64::from(number(tile)));
    // The one that would take the most words goes without any.
    let longest = (0..terms.len()).max_by_key(|index| terms[*index].1.len());
    let Some((base, _)) = longest.map(|index| terms.swap_remove(index)) else { return "0".into() };
    if terms.is_empty() {
        return base.to_string();
    }
    let terms: String =
        terms.iter().map(|(number, spans)| format!("{:+}*({})", number - base, while_in(spans))).collect();
    format!("({base}{terms})")
}

/// When each number holds, in the order in which they come.
fn by_number<N: PartialEq>(places: &[Place], number: impl Fn(&Rectangle) -> N) -> Vec<(N, Vec<Span>)> {
    let mut terms: Vec<(N, Vec<Span>)> = Vec::new();
    for place in places {
        let number = number(&place.tile);
        match terms.iter_mut().find(|term| term.0 == number) {
            Some(term) => term.1.push(place.span),
            None => terms.push((number, vec![place.span])),
        }
    }
    terms.into_iter().map(|(number, spans)| (number, span::join(spans, 0.0))).collect()
}

/// 1 in the spans, 0 outside.
fn while_in(spans: &[Span]) -> String {
    let spans = span::join(spans.to_vec(), 0.0);
    let terms: Vec<String> =
        spans.iter().map(|span| format!("gte(t,{})*lt(t,{})", span.start, span.end)).collect();
    if terms.is_empty() { "0".into() } else { terms.join("+") }
}

/// An expression of our own, which has no quotes, as a value.
fn quoted(expression: &str) -> String {
    format!("'{expression}'")
}

/// A text of somebody else's as a value. It is read twice, by the graph and by the filter, and each time a backslash
/// takes the meaning from what follows.
pub(crate) fn escape(text: &str) -> String {
    let once = |text: &str| {
        let mut escaped = String::new();
        for letter in text.chars() {
            if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
                escaped.push('\\');
            }
            escaped.push(letter);
        }
        escaped
    };
    once(&once(text))
}

#[cfg(test)]
mod tests;

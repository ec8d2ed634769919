//! Where tiles lie in the picture.

use clap::ValueEnum;

/// How those who are recorded share the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Layout {
    /// Tiles of equal size, in as many rows as make them largest.
    Grid,
    /// All in one row.
    SideBySide,
    /// Shared screens large, the others beside them; a grid while no screen is shared.
    Stage,
}

/// Columns and lines of the picture, both even.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dimensions {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// A part of the picture. All is even, as chroma has half the size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Rectangle {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Between tiles.
const SPACE: u32 = 8;
/// What tiles are shaped for.
const SHAPE: f64 = 16.0 / 9.0;
/// The part of a stage's width that is beside the screen.
const STRIP: f64 = 0.2;
/// No tile is smaller, however many there are.
const SMALLEST: u32 = 8;

/// The place of each tile; `screens` says which of them show a screen.
pub(crate) fn places(layout: Layout, screens: &[bool], size: Dimensions) -> Vec<Rectangle> {
    let whole = Rectangle { x: 0, y: 0, width: size.width, height: size.height };
    let large = screens.iter().filter(|screen| **screen).count();
    let others = screens.len() - large;
    match layout {
        Layout::SideBySide => rows(whole, screens.len(), screens.len()),
        Layout::Stage if large > 0 && others > 0 => {
            let strip = even(f64::from(size.width) * STRIP);
            let stage = Rectangle { width: even(f64::from(size.width - strip - SPACE)), ..whole };
            let strip = Rectangle { x: size.width - strip, width: strip, ..whole };
            let (mut stage, mut strip) = (grid(stage, large).into_iter(), grid(strip, others).into_iter());
            screens.iter().filter_map(|screen| if *screen { stage.next() } else { strip.next() }).collect()
        }
        Layout::Grid | Layout::Stage => grid(whole, screens.len()),
    }
}

/// As many columns as make the tiles largest.
fn grid(area: Rectangle, count: usize) -> Vec<Rectangle> {
    let shown = |columns: usize| {
        let tile = rows(area, count, columns)[0];
        let (width, height) = (f64::from(tile.width), f64::from(tile.height));
        width.min(height * SHAPE)
    };
    // Of equally good ones the one with the most columns, as the picture is wide.
    match (1..=count).max_by(|a, b| shown(*a).total_cmp(&shown(*b))) {
        Some(columns) => rows(area, count, columns),
        None => Vec::new(),
    }
}

/// Tiles in rows of `columns`; a last row that is not full stands in the middle.
fn rows(area: Rectangle, count: usize, columns: usize) -> Vec<Rectangle> {
    let columns = columns.max(1);
    let lines = count.div_ceil(columns);
    let (width, height) = (share(area.width, columns), share(area.height, lines.max(1)));
    (0..count)
        .map(|index| {
            let (line, column) = (index / columns, index % columns);
            let in_line = columns.min(count - line * columns);
            Rectangle {
                x: area.x + place(area.width, width, in_line, column),
                y: area.y + place(area.height, height, lines, line),
                width,
                height,
            }
        })
        .collect()
}

/// The length of each of `count` tiles that share `length`.
fn share(length: u32, count: usize) -> u32 {
    let count = count as f64;
    even((f64::from(length) - f64::from(SPACE) * (count - 1.0)) / count).max(SMALLEST)
}

/// Where tile `index` of `count`, each `tile` long, begins in `length`.
fn place(length: u32, tile: u32, count: usize, index: usize) -> u32 {
    let step = f64::from(tile + SPACE);
    let free = f64::from(length) - step * count as f64 + f64::from(SPACE);
    even(free / 2.0 + step * index as f64)
}

/// The nearest even number below; nothing below zero, as `as` does it.
fn even(number: f64) -> u32 {
    number as u32 / 2 * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HD: Dimensions = Dimensions { width: 1280, height: 720 };

    fn tiles(layout: Layout, screens: &[bool]) -> Vec<(u32, u32, u32, u32)> {
        places(layout, screens, HD).iter().map(|tile| (tile.x, tile.y, tile.width, tile.height)).collect()
    }

    #[test]
    fn a_grid_adapts_to_how_many_there_are() {
        assert_eq!(tiles(Layout::Grid, &[]), []);
        assert_eq!(tiles(Layout::Grid, &[false]), [(0, 0, 1280, 720)]);
        assert_eq!(tiles(Layout::Grid, &[false; 2]), [(0, 0, 636, 720), (644, 0, 636, 720)]);
        let three = tiles(Layout::Grid, &[false; 3]);
        assert_eq!(
            three,
            [(0, 0, 636, 356), (644, 0, 636, 356), (322, 364, 636, 356)],
            "the last row in the middle"
        );
        assert_eq!(tiles(Layout::Grid, &[false; 9])[8], (858, 484, 420, 234));
    }

    #[test]
    fn side_by_side_is_one_row() {
        assert!(tiles(Layout::SideBySide, &[false; 5]).iter().all(|tile| tile.1 == 0 && tile.3 == 720));
    }

    #[test]
    fn a_screen_takes_the_stage() {
        let tiles = tiles(Layout::Stage, &[false, true, false]);
        assert_eq!(tiles[1], (0, 0, 1016, 720));
        assert_eq!((tiles[0].0, tiles[0].2), (1024, 256));
        assert_eq!((tiles[2].0, tiles[2].2), (1024, 256));
        assert_eq!(places(Layout::Stage, &[true], HD), places(Layout::Grid, &[true], HD), "alone it has all");
    }

    proptest! {
        #[test]
        fn tiles_are_even_inside_and_apart(
            layout in prop::sample::select(vec![Layout::Grid, Layout::SideBySide, Layout::Stage]),
            screens in prop::collection::vec(any::<bool>(), 0..40),
            width in 400_u32..1000, height in 320_u32..800,
        ) {
            let size = Dimensions { width: width * 2, height: height * 2 };
            let tiles = places(layout, &screens, size);
            prop_assert_eq!(tiles.len(), screens.len());
            for (index, tile) in tiles.iter().enumerate() {
                prop_assert!([tile.x, tile.y, tile.width, tile.height].iter().all(|number| number % 2 == 0));
                prop_assert!(tile.x + tile.width <= size.width && tile.y + tile.height <= size.height, "{:?}", tile);
                for other in &tiles[..index] {
                    let apart = tile.x >= other.x + other.width || other.x >= tile.x + tile.width
                        || tile.y >= other.y + other.height || other.y >= tile.y + tile.height;
                    prop_assert!(apart, "{:?} {:?}", tile, other);
                }
            }
        }
    }
}

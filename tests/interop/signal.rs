//! The test signal: what each picture and each sample says about when it was made.
//!
//! ```text
//! +----+----+-- ... --+----+     rows 1-3, an eighth of the height each: ten cells, white or black
//! | W  | high byte    |  B |     two reference cells a row, eight bits between them, the highest first
//! | B  | low byte     |  W |
//! | W  | check byte   |  B |
//! +----+----+-- ... --+----+
//! | grey, moving; white    |     white in the first two frames of each second: the flash
//! +------------------------+
//! ```
//!
//! The sound is a 1 kHz tone without end; from each whole second a beep of 60 ms lies over it, whose pitch tells the
//! second modulo five. `page.js` makes the same signal inside a browser.

use std::f64::consts::TAU;

/// Size of the picture, in pixels.
pub(crate) const WIDTH: usize = 480;
/// Size of the picture, in pixels.
pub(crate) const HEIGHT: usize = 272;
/// Frames a second.
pub(crate) const FPS: usize = 30;
/// Samples a second.
pub(crate) const RATE: usize = 48_000;
/// The continuous tone, in hertz.
pub(crate) const TONE: f64 = 1000.0;
/// Pitch of the beep at second `k`, by `k % 5`, in hertz.
pub(crate) const BEEPS: [f64; 5] = [2500.0, 3000.0, 3500.0, 4000.0, 4500.0];
/// How long a beep takes to reach its level, in seconds.
pub(crate) const BEEP_RAMP: f64 = 0.002;

const BEEP_LENGTH: f64 = 0.06;
const TONE_LEVEL: f64 = 0.1;
const BEEP_LEVEL: f64 = 0.4;
const FLASH_FRAMES: usize = 2;

/// Columns and rows of the cells that carry the number.
const COLUMNS: usize = 10;
const ROWS: usize = 3;
/// Mean luma of each cell, row by row.
pub(crate) type Cells = [u8; COLUMNS * ROWS];

const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// Reference cells that lie closer than this are no picture of ours.
const LEAST_CONTRAST: i32 = 60;

/// Paints frame `number` as a grey plane of `WIDTH` by `HEIGHT`.
pub(crate) fn paint(number: u16, plane: &mut [u8]) {
    let cells = cells(number);
    let second = usize::from(number) % FPS;
    let (cell_width, cell_height) = (WIDTH / COLUMNS, HEIGHT / 8);
    for (y, row) in plane.chunks_exact_mut(WIDTH).enumerate() {
        for (x, luma) in row.iter_mut().enumerate() {
            *luma = if y < ROWS * cell_height {
                cells[y / cell_height * COLUMNS + x / cell_width]
            } else if second < FLASH_FRAMES {
                WHITE
            } else {
                60 + ((x + y + 3 * usize::from(number)) / 2 % 64) as u8
            };
        }
    }
}

/// The number that a decoded grey plane of `WIDTH` by `HEIGHT` carries.
pub(crate) fn read(plane: &[u8]) -> Option<u16> {
    let (cell_width, cell_height) = (WIDTH / COLUMNS, HEIGHT / 8);
    let mut cells = [0; COLUMNS * ROWS];
    for (index, cell) in cells.iter_mut().enumerate() {
        // The middle half only: codecs smear the edges.
        let left = index % COLUMNS * cell_width + cell_width / 4;
        let top = index / COLUMNS * cell_height + cell_height / 4;
        let mut sum = 0;
        for y in top..top + cell_height / 2 {
            sum +=
                plane[y * WIDTH + left..][..cell_width / 2].iter().map(|&luma| u32::from(luma)).sum::<u32>();
        }
        *cell = (sum / (cell_width / 2 * (cell_height / 2)) as u32) as u8;
    }
    number(&cells)
}

/// The number in these cells, unless they are not ours or too blurred to tell.
pub(crate) fn number(cells: &Cells) -> Option<u16> {
    let mut bytes = [0u8; ROWS];
    for (row, byte) in bytes.iter_mut().enumerate() {
        let cells = &cells[row * COLUMNS..][..COLUMNS];
        let ends = [i32::from(cells[0]), i32::from(cells[COLUMNS - 1])];
        let [white, black] = if row == 1 { [ends[1], ends[0]] } else { ends };
        if white - black < LEAST_CONTRAST {
            return None;
        }
        *byte = cells[1..COLUMNS - 1]
            .iter()
            .fold(0, |byte, &luma| byte << 1 | u8::from(2 * i32::from(luma) > white + black));
    }
    let [high, low, check] = bytes;
    (check == check_byte(high, low)).then_some(u16::from_be_bytes([high, low]))
}

fn cells(number: u16) -> Cells {
    let [high, low] = number.to_be_bytes();
    let mut cells = [BLACK; COLUMNS * ROWS];
    for (row, byte) in [high, low, check_byte(high, low)].into_iter().enumerate() {
        let white_end = if row == 1 { COLUMNS - 1 } else { 0 };
        cells[row * COLUMNS + white_end] = WHITE;
        for bit in (0..8).filter(|bit| byte >> (7 - bit) & 1 == 1) {
            cells[row * COLUMNS + 1 + bit] = WHITE;
        }
    }
    cells
}

fn check_byte(high: u8, low: u8) -> u8 {
    high.rotate_left(4) ^ low.rotate_left(1) ^ 0xa5
}

/// The sound from its start to `seconds`, at `RATE`, one channel.
pub(crate) fn sound(seconds: usize) -> impl Iterator<Item = f32> {
    (0..seconds * RATE).map(|sample| {
        let at = sample as f64 / RATE as f64;
        let into_second = (sample % RATE) as f64 / RATE as f64;
        let pitch = BEEPS[sample / RATE % BEEPS.len()];
        let envelope = (into_second.min(BEEP_LENGTH - into_second) / BEEP_RAMP).clamp(0.0, 1.0);
        let beep = BEEP_LEVEL * envelope * (TAU * pitch * into_second).sin();
        (TONE_LEVEL * (TAU * TONE * at).sin() + beep) as f32
    })
}

#[test]
fn numbers_survive_painting() {
    let mut plane = vec![0; WIDTH * HEIGHT];
    for number in [0, 1, 29, 30, 255, 256, 0x5aa5, u16::MAX] {
        paint(number, &mut plane);
        assert_eq!(read(&plane), Some(number));
    }
    plane.fill(128);
    assert_eq!(read(&plane), None, "grey is no number");
    paint(7, &mut plane);
    plane.chunks_exact_mut(WIDTH).for_each(|row| row.rotate_left(WIDTH / COLUMNS));
    assert_eq!(read(&plane), None, "a shifted picture is not read as another number");
}

//! Makes new inputs of old ones.

/// Mutates seeds, the same way for the same number.
pub(crate) struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
}

/// Longer inputs are slow and find nothing that shorter ones do not.
const LONGEST: usize = 16 << 10;

impl<'a> Mutator<'a> {
    /// Starts from `seed`.
    pub(crate) fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        assert!(!seeds.is_empty(), "there is something to mutate");
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, seeds }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.seed().clone();
        // Mostly few changes: many of them are refused at the first byte.
        for _ in 0..1 << self.below(5) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn seed(&mut self) -> &'a Vec<u8> {
        let index = self.below(self.seeds.len());
        &self.seeds[index]
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let span = at..(at + 1 + self.below(16)).min(input.len());
        match self.below(10) {
            0 => input.truncate(at),
            1 => drop(input.drain(span)),
            2 => {
                // A run again, once or often.
                let run = input[span].to_vec();
                let often = 1 << self.below(8);
                input.splice(at..at, run.repeat(often));
            }
            3 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let length = self.below(other.len() - from + 1);
                input.splice(at..at, other[from..from + length].iter().copied());
            }
            4 => {
                let bytes: Vec<u8> = (0..1 + self.below(8)).map(|_| self.random() as u8).collect();
                input.splice(at..at, bytes);
            }
            5 | 6 => {
                // Numbers at the edges of their types, where lengths and counts are read.
                let value = self.edge().to_be_bytes();
                let width = [1, 2, 3, 4, 8][self.below(5)];
                for (byte, new) in input[at..].iter_mut().zip(&value[8 - width..]) {
                    *byte = *new;
                }
            }
            7 => {
                // A number close to how much is left: off by one at the end of the input.
                let left = input.len() - at;
                let value = (left + self.below(5)).saturating_sub(4) as u64;
                let width = [1, 2, 3, 4][self.below(4)];
                for (byte, new) in input[at..].iter_mut().zip(&value.to_be_bytes()[8 - width..]) {
                    *byte = *new;
                }
            }
            _ => {
                let flip = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= flip;
                }
            }
        }
    }

    fn edge(&mut self) -> u64 {
        let near = self.below(3) as u64;
        let power = 1u64 << self.below(64);
        [power.wrapping_sub(near), power.wrapping_add(near), near, u64::MAX - near][self.below(4)]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random() % limit as u64) as usize
    }

    /// Marsaglia's xorshift of 64 bits.
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[test]
fn the_same_number_gives_the_same_inputs() {
    let seeds = vec![vec![1; 40], Vec::new(), b"hello".to_vec()];
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed, &seeds);
        (0..1000).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    assert_ne!(inputs(1), inputs(2));
}

// SPDX-License-Identifier: GPL-2.0-only
//! The decisions of one operation.  They come from the seed of the sequence and the number of the operation
//! alone, so an operation that is left out changes no other operation.

pub struct Random(fastrand::Rng);

impl Random {
    pub fn new(seed: u64, number: u64) -> Self {
        // The finaliser of SplitMix64 keeps neighbouring seeds apart.
        let mut z = seed ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(fastrand::Rng::with_seed(z ^ (z >> 31)))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// True in `percent` of 100 calls.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(..100) < percent
    }

    /// One of `choices`, which are not empty.
    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Usually the first choice, in `percent` of 100 calls one of the others.
    pub fn rarely<T: Clone>(&mut self, percent: u32, usual: T, others: &[T]) -> T {
        if self.percent(percent) {
            self.of(others)
        } else {
            usual
        }
    }

    /// A size that a caller gives for a structure of `size` bytes, of which `least` are required.
    pub fn argsz(&mut self, least: u32, size: u32) -> u32 {
        let odd = [
            0,
            4,
            7,
            8,
            least - 1,
            least,
            size - 4,
            size + 4,
            size + 8,
            4096,
            u32::MAX,
        ];
        self.rarely(8, size, &odd)
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Properties of the pure logic for arguments of any value, which proptest chooses, and shrinks if one fails.

use proptest::prelude::*;

use crate::info_cap::{self, Words, HEADER_SIZE};
use crate::irqs::{data_size, IrqSet};
use crate::irqs_grid::expected;
use crate::migration::{next_state, State};
use crate::ranges::{IovaRange, PageSize, RangeError};

/// A chain whose bytes are all there.
struct Bytes(Vec<u8>);

impl Words for Bytes {
    fn word(&self, at: usize) -> Option<u32> {
        let word = self.0.get(at..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*word))
    }

    fn set_word(&mut self, at: usize, number: u32) -> Option<()> {
        let word = self.0.get_mut(at..)?.first_chunk_mut()?;
        *word = number.to_ne_bytes();
        Some(())
    }
}

impl Bytes {
    /// The offsets of the capabilities whose ids are those of [`add`](Self::add), in their order.
    fn walk(&mut self, offset: u32) -> Vec<usize> {
        let (mut found, mut at) = (Vec::new(), 0);
        while self.word(at).is_some_and(|head| head != 0) {
            found.push(at);
            let next = self.word(at + 4).unwrap_or(0);
            if next == 0 {
                break;
            }
            at = (next - offset) as usize;
        }
        found
    }

    fn add(&mut self, size: usize, id: u16) -> Option<usize> {
        let at = self.0.len();
        self.0.resize(at + info_cap::padded(size)?, 0);
        info_cap::link(self, at, id, 1)?;
        Some(at)
    }
}

/// A number with many values near 0, near the end, and near powers of two.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64_u32, -2..=2_i64).prop_map(|(bit, off)| (1_u64 << bit).wrapping_add_signed(off)),
        (0..4096_u64).prop_map(|n| u64::MAX - n),
    ]
}

/// The same with 32 bits.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0..64_u32,
        (0..64_u32).prop_map(|n| u32::MAX - n)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// A range is accepted if and only if it is not empty, consists of whole pages and ends before the last
    /// address, computed without overflow.
    #[test]
    fn ranges(start in number(), length in number(), bit in 0..64_u32) {
        let page = PageSize::new(1 << bit).expect("a power of two");
        let end = u128::from(start) + u128::from(length);
        let whole = start % page.get() == 0 && length % page.get() == 0 && length != 0;
        match IovaRange::new(start, length, page) {
            Ok(range) => {
                prop_assert!(whole && end <= u128::from(u64::MAX));
                prop_assert_eq!(u128::from(range.last()), end - 1);
                prop_assert_eq!(range.start(), start);
            }
            Err(RangeError::Invalid) => prop_assert!(!whole),
            Err(RangeError::Overflow) => prop_assert!(whole && end > u128::from(u64::MAX)),
        }
    }

    #[test]
    fn page_sizes(size in number()) {
        prop_assert_eq!(PageSize::new(size).is_some(), size.count_ones() == 1);
        prop_assert_eq!(PageSize::for_report(size).is_some(), size.count_ones() == 1 && size >= 4096);
    }

    #[test]
    fn irq_sets(argsz in word(), flags in word(), index in word(), start in word(), count in word(),
                interrupts in any::<i32>(), indices in any::<i32>()) {
        let set = IrqSet { argsz, flags: flags & 0x7f, index, start, count };
        prop_assert_eq!(data_size(set, interrupts, indices), expected(set, interrupts, indices));
    }

    /// All capabilities of a chain are found in their order, before and after the chain is shifted.
    #[test]
    fn chains(sizes in prop::collection::vec(HEADER_SIZE..100, 1..12), offset in 1..1_u32 << 20) {
        let mut chain = Bytes(Vec::new());
        let mut made = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            made.push(chain.add(*size, n as u16 + 1).expect("the chain is good"));
        }
        prop_assert_eq!(chain.walk(0), made.clone());
        info_cap::shift(&mut chain, offset);
        prop_assert_eq!(chain.walk(offset), made);
    }

    /// A chain that a driver has broken neither makes the walk run for ever nor lets it leave the chain.
    #[test]
    fn broken_chains(bytes in prop::collection::vec(0..40_u8, 0..200), offset in word(), at in 0..220_usize) {
        let len = bytes.len();
        let mut chain = Bytes(bytes);
        info_cap::shift(&mut chain, offset);
        let _ = info_cap::link(&mut chain, at, 7, 1);
        prop_assert_eq!(chain.0.len(), len);
    }

    /// No number of a state and no set of capabilities, however odd, makes the walk run for ever.
    #[test]
    fn migration_states(current in word(), new in word(), capabilities in word()) {
        if let Ok(next) = next_state(current, new, capabilities) {
            prop_assert!(next != State::Error);
            prop_assert!(current < 8 && new < 8);
        }
    }
}

/// Each arc of each path, for each set of the capabilities that matter, leads to the end.
#[test]
fn every_migration_path_ends() {
    for capabilities in 0..1 << 10 {
        for current in 0..8 {
            for new in 0..8 {
                let (mut at, mut arcs) = (current, 0);
                while let (true, Ok(next)) = (at != new, next_state(at, new, capabilities)) {
                    at = next as u32;
                    arcs += 1;
                    assert!(arcs < 8, "{current} to {new} with {capabilities:#x}");
                }
            }
        }
    }
}

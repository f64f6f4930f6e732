// SPDX-License-Identifier: GPL-2.0-only

//! The number of references that remain for each origin, as a lower and an upper bound: pure logic.
//!
//! The references are called objects here.  The release of an object does not identify its origin.  The number of all remaining objects is exact.  The
//! number of objects of each origin has a lower and an upper bound.  At most 8 origins are distinguished; all
//! others count as one origin.  The two bounds of an origin are equal until an object is released while several
//! origins have objects.  They are equal again when no object remains.

/// The maximum number of origins that are distinguished.
const ORIGINS: usize = 8;

/// The remaining objects, by origin.
///
/// # Invariants
///
/// No origin has more objects than its upper bound.  The origins without an entry share the bound `others`.  No
/// upper bound is above `left`, and the sum of the upper bounds is at least `left`.
#[derive(Clone, Copy)]
pub(crate) struct Tally<T> {
    /// The number of remaining objects.
    left: u32,
    /// The origins with their upper bounds; each origin occurs once.
    origins: [Option<(T, u32)>; ORIGINS],
    /// The upper bound for the origins without an entry.
    others: u32,
}

/// The bounds of the number of remaining objects of one origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Share<T> {
    /// None stands for all origins without an entry.
    pub(crate) origin: Option<T>,
    pub(crate) least: u32,
    pub(crate) most: u32,
}

impl<T: Copy + PartialEq> Tally<T> {
    /// Returns a value without objects.
    pub(crate) fn new() -> Self {
        // INVARIANT: No object has been made.
        Self {
            left: 0,
            origins: [None; ORIGINS],
            others: 0,
        }
    }

    /// Records that an object has been made.
    pub(crate) fn made(&mut self, by: T) {
        // INVARIANT: The upper bound of the origin grows with `left`.
        self.left = self.left.saturating_add(1);
        let bound = self.bound_of(by);
        *bound = bound.saturating_add(1);
    }

    /// Returns the upper bound of an origin.  The origin gets an entry if one is free.
    fn bound_of(&mut self, origin: T) -> &mut u32 {
        let is = |slot: &Option<(T, u32)>| slot.is_some_and(|(other, _)| other == origin);
        let place = self.origins.iter().position(is);
        let place = place.or_else(|| self.origins.iter().position(Option::is_none));
        match place.and_then(|place| self.origins.get_mut(place)) {
            Some(slot) => &mut slot.get_or_insert((origin, 0)).1,
            None => &mut self.others,
        }
    }

    /// Records that an object has been released.
    pub(crate) fn gone(&mut self) {
        let left = self.left.saturating_sub(1);
        if left == 0 {
            *self = Self::new();
            return;
        }
        // INVARIANT: The origin of the object is unknown, so each upper bound is only limited by `left`.
        self.left = left;
        for (_, bound) in self.origins.iter_mut().flatten() {
            *bound = left.min(*bound);
        }
        self.others = left.min(self.others);
    }

    /// Returns the number of remaining objects.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// Tells whether the lower and the upper bound are equal for each origin.
    pub(crate) fn is_exact(&self) -> bool {
        self.bounds() == u64::from(self.left)
    }

    /// Returns the sum of the upper bounds.
    fn bounds(&self) -> u64 {
        let others = u64::from(self.others);
        let origins = self.origins.iter().flatten();
        origins.fold(others, |sum, (_, bound)| {
            sum.saturating_add(u64::from(*bound))
        })
    }

    /// Returns the share of each origin, in the order of their entries; the origins without an entry come last.
    pub(crate) fn shares(&self) -> impl Iterator<Item = Share<T>> + '_ {
        let bounds = self.bounds();
        let share = move |origin, most: u32| {
            // The number of objects that exceeds the upper bounds of all other origins.
            let least = u64::from(self.left).saturating_sub(bounds.saturating_sub(u64::from(most)));
            Share {
                origin,
                // CAST: The value is at most `left`.
                least: least as u32,
                most,
            }
        };
        let origins = self.origins.iter().flatten();
        origins
            .map(move |(origin, bound)| share(Some(*origin), *bound))
            .chain((self.others != 0).then(|| share(None, self.others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(tally: &Tally<char>) -> Vec<(Option<char>, u32, u32)> {
        let shares = tally.shares();
        shares.map(|s| (s.origin, s.least, s.most)).collect()
    }

    fn of(origins: &str) -> Tally<char> {
        let mut tally = Tally::new();
        origins.chars().for_each(|origin| tally.made(origin));
        tally
    }

    #[test]
    fn nothing_goes_yet() {
        let tally = of("abacb");
        assert_eq!(tally.left(), 5);
        assert!(tally.is_exact());
        let want = [(Some('a'), 2, 2), (Some('b'), 2, 2), (Some('c'), 1, 1)];
        assert_eq!(shares(&tally), want);
        assert!(of("").is_exact());
        assert_eq!(shares(&of("")), []);
    }

    #[test]
    fn of_one_origin_all_is_known() {
        let mut tally = of("aaa");
        tally.gone();
        assert!(tally.is_exact());
        assert_eq!(shares(&tally), [(Some('a'), 2, 2)]);
    }

    #[test]
    fn of_several_origins_bounds_are_known() {
        let mut tally = of("aaaab");
        tally.gone();
        assert_eq!(tally.left(), 4);
        assert!(!tally.is_exact());
        assert_eq!(shares(&tally), [(Some('a'), 3, 4), (Some('b'), 0, 1)]);
        tally.made('b');
        assert_eq!(shares(&tally), [(Some('a'), 3, 4), (Some('b'), 1, 2)]);
        (0..4).for_each(|_| tally.gone());
        assert_eq!(shares(&tally), [(Some('a'), 0, 1), (Some('b'), 0, 1)]);
        // After the last object all bounds are exact again.
        tally.gone();
        assert_eq!(shares(&tally), []);
        tally.made('b');
        assert!(tally.is_exact());
        assert_eq!(shares(&tally), [(Some('b'), 1, 1)]);
    }

    #[test]
    fn those_without_a_place_are_counted() {
        let mut tally = of("abcdefghijaij");
        assert_eq!(tally.left(), 13);
        assert!(tally.is_exact());
        let all = shares(&tally);
        assert_eq!(all.first(), Some(&(Some('a'), 2, 2)));
        assert_eq!(all.last(), Some(&(None, 4, 4)));
        assert_eq!(all.len(), 9);
        (0..10).for_each(|_| tally.gone());
        assert_eq!(shares(&tally).last(), Some(&(None, 0, 3)));
        (0..3).for_each(|_| tally.gone());
        assert_eq!(shares(&tally), []);
        tally.made('j');
        assert_eq!(shares(&tally), [(Some('j'), 1, 1)]);
    }

    /// A release without remaining objects, which is a bug of the caller.
    #[test]
    fn more_go_than_there_were() {
        let mut tally = of("a");
        tally.gone();
        tally.gone();
        assert_eq!(tally.left(), 0);
        tally.made('b');
        assert_eq!(shares(&tally), [(Some('b'), 1, 1)]);
    }

    /// For any sequence, the true numbers are within the bounds.
    #[test]
    fn the_truth_is_within_the_bounds() {
        let (mut tally, mut truth, mut random) = (Tally::new(), Vec::new(), 1u32);
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (choice, origin) = (random >> 8, random >> 20 & 15);
            if choice & 64 != 0 && truth.len() < 20 {
                tally.made(origin);
                truth.push(origin);
            } else if !truth.is_empty() {
                tally.gone();
                truth.swap_remove(choice as usize % truth.len());
            }
            assert_eq!(tally.left() as usize, truth.len());
            let named: Vec<_> = tally.shares().filter_map(|s| s.origin).collect();
            for share in tally.shares() {
                let has = truth.iter().filter(|origin| match share.origin {
                    Some(share) => **origin == share,
                    None => !named.contains(origin),
                });
                let has = has.count() as u32;
                assert!((share.least..=share.most).contains(&has), "{share:?} {has}");
            }
            let exact = tally.shares().all(|s| s.least == s.most);
            assert_eq!(tally.is_exact(), exact);
        }
    }
}

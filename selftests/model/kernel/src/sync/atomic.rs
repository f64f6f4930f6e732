// SPDX-License-Identifier: GPL-2.0-only

//! Atomics.

use core::intrinsics::const_eval_select;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::{cell::RefCell, collections::BTreeMap};

/// The orderings.
pub mod ordering {
    pub use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
}

thread_local! {
    /// The values of the atomics that exist once in the module, by their addresses.  The threads of a model are
    /// coroutines of one thread.
    static STATICS: RefCell<BTreeMap<usize, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Gives the atomics that exist once in the module their first values.
pub fn reset_statics() {
    STATICS.with_borrow_mut(BTreeMap::clear);
}

/// A type that has an atomic.
pub trait AtomicType: Copy {
    /// The atomic.
    type Repr;

    /// Makes the atomic.
    fn atomic(value: Self) -> Self::Repr;
    /// Reads the value.
    fn load(repr: &Self::Repr, ordering: Ordering) -> Self;
    /// Writes the value.
    fn store(repr: &Self::Repr, value: Self, ordering: Ordering);
    /// Adds to the value, and returns the previous value.
    fn fetch_add(repr: &Self::Repr, value: Self, ordering: Ordering) -> Self;
    /// Subtracts from the value, and returns the previous value.
    fn fetch_sub(repr: &Self::Repr, value: Self, ordering: Ordering) -> Self;
    /// Adds two values.
    fn add(self, other: Self) -> Self;
    /// Subtracts two values.
    fn sub(self, other: Self) -> Self;
    /// Widens the value.
    fn to_bits(self) -> u64;
    /// Undoes [`to_bits`](Self::to_bits).
    fn from_bits(bits: u64) -> Self;
}

macro_rules! atomic_type {
    ($($type:ty, $repr:ident);* $(;)?) => {
        $(
            impl AtomicType for $type {
                type Repr = $repr;

                fn atomic(value: Self) -> $repr {
                    $repr::new(value)
                }

                fn load(repr: &$repr, ordering: Ordering) -> Self {
                    repr.load(ordering)
                }

                fn store(repr: &$repr, value: Self, ordering: Ordering) {
                    repr.store(value, ordering);
                }

                fn fetch_add(repr: &$repr, value: Self, ordering: Ordering) -> Self {
                    repr.fetch_add(value, ordering)
                }

                fn fetch_sub(repr: &$repr, value: Self, ordering: Ordering) -> Self {
                    repr.fetch_sub(value, ordering)
                }

                fn add(self, other: Self) -> Self {
                    self.wrapping_add(other)
                }

                fn sub(self, other: Self) -> Self {
                    self.wrapping_sub(other)
                }

                fn to_bits(self) -> u64 {
                    self as u64
                }

                fn from_bits(bits: u64) -> Self {
                    bits as Self
                }
            }
        )*
    };
}

atomic_type!(u32, AtomicU32; u64, AtomicU64; usize, AtomicUsize);

/// An atomic.  Loom knows those that are made at run time.
pub enum Atomic<T: AtomicType> {
    /// Loom's atomic.
    Loom(T::Repr),
    /// An atomic that exists once, and its first value.
    Static(T),
}

impl<T: AtomicType> Atomic<T> {
    /// Makes the atomic.
    pub const fn new(value: T) -> Self {
        const fn at_compile_time<T: AtomicType>(value: T) -> Atomic<T> {
            Atomic::Static(value)
        }
        fn at_run_time<T: AtomicType>(value: T) -> Atomic<T> {
            Atomic::Loom(T::atomic(value))
        }
        const_eval_select((value,), at_compile_time, at_run_time)
    }

    /// Changes the value of an atomic that exists once, and returns the previous value.
    fn change(&self, first: T, f: impl FnOnce(T) -> T) -> T {
        loom::lazy_static! {
            // Each access changes this number, so that loom runs the accesses in each order.
            static ref ACCESSES: AtomicUsize = AtomicUsize::new(0);
        }
        ACCESSES.fetch_add(1, Ordering::Relaxed);
        STATICS.with_borrow_mut(|statics| {
            let place = statics.entry(core::ptr::from_ref(self).addr());
            let place = place.or_insert(first.to_bits());
            let old = T::from_bits(*place);
            *place = f(old).to_bits();
            old
        })
    }

    /// Reads the value.
    pub fn load(&self, ordering: Ordering) -> T {
        match self {
            Self::Loom(atomic) => T::load(atomic, ordering),
            Self::Static(first) => self.change(*first, |value| value),
        }
    }

    /// Writes the value.
    pub fn store(&self, value: T, ordering: Ordering) {
        match self {
            Self::Loom(atomic) => T::store(atomic, value, ordering),
            Self::Static(first) => {
                self.change(*first, |_| value);
            }
        }
    }

    /// Adds to the value, and returns the previous value.
    pub fn fetch_add(&self, value: T, ordering: Ordering) -> T {
        match self {
            Self::Loom(atomic) => T::fetch_add(atomic, value, ordering),
            Self::Static(first) => self.change(*first, |old| old.add(value)),
        }
    }

    /// Subtracts from the value, and returns the previous value.
    pub fn fetch_sub(&self, value: T, ordering: Ordering) -> T {
        match self {
            Self::Loom(atomic) => T::fetch_sub(atomic, value, ordering),
            Self::Static(first) => self.change(*first, |old| old.sub(value)),
        }
    }
}

/// An atomic truth value.
pub struct AtomicFlag(AtomicBool);

impl AtomicFlag {
    /// Makes the flag.
    pub fn new(value: bool) -> Self {
        Self(AtomicBool::new(value))
    }

    /// Reads the flag.
    pub fn load(&self, ordering: Ordering) -> bool {
        self.0.load(ordering)
    }

    /// Writes the flag.
    pub fn store(&self, value: bool, ordering: Ordering) {
        self.0.store(value, ordering);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Atomics.

use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The orderings.
pub mod ordering {
    pub use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release};
}

/// A type that has an atomic.
pub trait AtomicType: Sized {
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
            }
        )*
    };
}

atomic_type!(u32, AtomicU32; u64, AtomicU64);

/// An atomic.
pub struct Atomic<T: AtomicType>(T::Repr);

impl<T: AtomicType> Atomic<T> {
    /// Makes the atomic.
    pub fn new(value: T) -> Self {
        Self(T::atomic(value))
    }

    /// Reads the value.
    pub fn load(&self, ordering: Ordering) -> T {
        T::load(&self.0, ordering)
    }

    /// Writes the value.
    pub fn store(&self, value: T, ordering: Ordering) {
        T::store(&self.0, value, ordering);
    }

    /// Adds to the value, and returns the previous value.
    pub fn fetch_add(&self, value: T, ordering: Ordering) -> T {
        T::fetch_add(&self.0, value, ordering)
    }

    /// Subtracts from the value, and returns the previous value.
    pub fn fetch_sub(&self, value: T, ordering: Ordering) -> T {
        T::fetch_sub(&self.0, value, ordering)
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

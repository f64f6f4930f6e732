// SPDX-License-Identifier: GPL-2.0-only

//! Allocations, which do not fail in the model.

use core::ops::{Deref, DerefMut};

/// The error of an allocation.
#[derive(Debug)]
pub struct AllocError;

/// The flags of an allocation.
#[derive(Clone, Copy)]
pub struct Flags;

/// A flag.
pub const GFP_KERNEL: Flags = Flags;
/// A flag.
pub const GFP_KERNEL_ACCOUNT: Flags = Flags;

/// A vector.
pub struct KVec<T>(Vec<T>);

impl<T> KVec<T> {
    /// Returns an empty vector.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a value.
    pub fn push(&mut self, value: T, _: Flags) -> Result<(), AllocError> {
        self.0.push(value);
        Ok(())
    }

    /// Removes the last value.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Removes all values, the first one first.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps the values for which `f` returns true.
    pub fn retain(&mut self, mut f: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(|value| f(value));
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for KVec<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

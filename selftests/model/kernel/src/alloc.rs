// SPDX-License-Identifier: GPL-2.0-only

//! Allocations, which do not fail in the model.

use core::{
    ops::{Deref, DerefMut},
    pin::Pin,
};
use pinned_init::{InPlaceInit, PinInit};

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

/// A box.
pub struct KBox<T: ?Sized>(Box<T>);

impl<T> KBox<T> {
    /// Makes a value in place.
    pub fn pin_init(init: impl PinInit<T>, _: Flags) -> crate::error::Result<Pin<Self>> {
        let value = Box::pin_init(init).map_err(|_| AllocError)?;
        // SAFETY: The value stays in its box.
        Ok(unsafe { Pin::new_unchecked(Self(Pin::into_inner_unchecked(value))) })
    }
}

impl<T: ?Sized> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Reference counts.

use crate::{
    alloc::{AllocError, Flags},
    error::Result,
};
use core::{ops::Deref, pin::Pin};
use pinned_init::{InPlaceInit, PinInit};

/// A reference on an object.  Loom reports an object that is never dropped.
pub struct Arc<T>(loom::sync::Arc<Pin<Box<T>>>);

impl<T> Arc<T> {
    /// Makes an object.
    pub fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        Ok(Self(loom::sync::Arc::new(Box::pin(value))))
    }

    /// Makes an object in place.
    pub fn pin_init(init: impl PinInit<T>, _: Flags) -> Result<Self> {
        let value = Box::pin_init(init).map_err(|_| AllocError)?;
        Ok(Self(loom::sync::Arc::new(value)))
    }

    /// Tells whether both are references on the same object.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        loom::sync::Arc::ptr_eq(&this.0, &other.0)
    }

    /// Borrows the reference.
    pub fn as_arc_borrow(&self) -> ArcBorrow<'_, T> {
        ArcBorrow(self)
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A borrowed reference.
pub struct ArcBorrow<'a, T>(&'a Arc<T>);

impl<T> Clone for ArcBorrow<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcBorrow<'_, T> {}

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

// In the kernel crate, only a borrow converts.
impl<T> From<&Arc<T>> for Arc<T> {
    fn from(reference: &Arc<T>) -> Self {
        reference.clone()
    }
}

impl<T> From<ArcBorrow<'_, T>> for Arc<T> {
    fn from(borrow: ArcBorrow<'_, T>) -> Self {
        borrow.0.clone()
    }
}

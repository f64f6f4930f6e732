// SPDX-License-Identifier: GPL-2.0-only

//! References on objects that the kernel counts.  Their counts are no part of the model.

use core::ops::Deref;
use std::sync::{Arc, Weak};

/// The count of an object, as a part of the object.
pub struct Shared<T>(Weak<T>);

impl<T> Shared<T> {
    /// Makes an object that has its own count.
    pub fn make(f: impl FnOnce(Self) -> T) -> Arc<T> {
        Arc::new_cyclic(|this| f(Self(this.clone())))
    }
}

/// An object with a count.
pub trait AlwaysRefCounted: Sized {
    /// Returns the count.
    fn shared(&self) -> &Shared<Self>;
}

/// A reference on an object.
pub struct ARef<T>(Arc<T>);

impl<T: AlwaysRefCounted> From<&T> for ARef<T> {
    fn from(object: &T) -> Self {
        Self(object.shared().0.upgrade().expect("the object exists"))
    }
}

impl<T> From<Arc<T>> for ARef<T> {
    fn from(object: Arc<T>) -> Self {
        Self(object)
    }
}

impl<T> Clone for ARef<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for ARef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

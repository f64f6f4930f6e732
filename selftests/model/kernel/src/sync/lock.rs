// SPDX-License-Identifier: GPL-2.0-only

//! Locks.

use core::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
};
use loom::sync::{LockResult, MutexGuard};

/// Mutexes.
pub mod mutex {
    /// The kind of a mutex.
    pub struct MutexBackend;
}

/// Returns what a lock of loom guards.
pub fn expect_alive<G>(result: LockResult<G>) -> G {
    result.expect("a thread of the model has panicked")
}

/// A mutex.
pub struct Mutex<T>(loom::sync::Mutex<T>);

/// A spinlock.
pub type SpinLock<T> = Mutex<T>;

/// A held lock.
pub struct Guard<'a, T, B = mutex::MutexBackend>(MutexGuard<'a, T>, PhantomData<B>);

impl<T, B> Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, B> DerefMut for Guard<'_, T, B> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Mutex<T> {
    /// Makes the lock.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Takes the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        Guard(expect_alive(self.0.lock()), PhantomData)
    }
}

/// Makes a mutex.
#[macro_export]
macro_rules! new_mutex {
    ($value:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::Mutex::new($value)
    };
}

/// Makes a spinlock.
#[macro_export]
macro_rules! new_spinlock {
    ($value:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::Mutex::new($value)
    };
}

/// A lock that exists once in the module.  Loom makes a new one for each interleaving.
pub struct GlobalLock<T: 'static>(pub fn() -> &'static Mutex<T>);

impl<T> GlobalLock<T> {
    /// Takes the lock.
    pub fn lock(&self) -> Guard<'static, T> {
        (self.0)().lock()
    }
}

/// Declares a lock that exists once in the module.
#[macro_export]
macro_rules! global_lock {
    ($(#[$attribute:meta])* $vis:vis unsafe(uninit) static $name:ident: Mutex<$type:ty> = $value:expr;) => {
        $(#[$attribute])*
        $vis static $name: $crate::sync::GlobalLock<$type> = $crate::sync::GlobalLock(|| {
            loom::lazy_static! {
                static ref LOCK: $crate::sync::Mutex<$type> = $crate::sync::Mutex::new($value);
            }
            &LOCK
        });
    };
}

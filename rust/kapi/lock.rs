// SPDX-License-Identifier: GPL-2.0-only

//! The initialisation of global locks (`rust/kernel/sync/lock/global.rs`).

use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, AtomicFlag},
        lock::{GlobalLock, GlobalLockBackend},
    },
};

static BEGUN: AtomicFlag = AtomicFlag::new(false);

/// The right to initialise the global locks of the module.  At most one value exists in the lifetime of the
/// module.  The init function initialises all global locks before it registers anything, that is, before
/// another thread can reach a global of the module.
pub(crate) struct LoadPhase {
    /// The addresses of the initialised locks.
    done: KVec<usize>,
}

impl LoadPhase {
    /// Begins the load phase.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the load phase has begun before.
    pub(crate) fn begin() -> Result<Self> {
        match BEGUN.xchg(true, Relaxed) {
            false => Ok(Self { done: KVec::new() }),
            true => Err(EBUSY),
        }
    }

    /// Initialises a global lock.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the lock was initialised before.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn init<B: GlobalLockBackend>(&mut self, lock: &'static GlobalLock<B>) -> Result {
        self.first_time(core::ptr::from_ref(lock).addr())?;
        // SAFETY: `first_time()` has checked that this lock was not initialised, and there is one
        // `LoadPhase`.  The init function of the module calls this before it registers anything, so no other
        // thread uses the lock.
        unsafe { lock.init() };
        Ok(())
    }

    /// Records the address of a lock that is initialised now.  Fails with `EBUSY` if it is recorded already.
    ///
    /// This function is not generic, so that there is one copy for all types of locks.
    #[inline(never)]
    fn first_time(&mut self, address: usize) -> Result {
        if self.done.contains(&address) {
            return Err(EBUSY);
        }
        Ok(self.done.push(address, GFP_KERNEL)?)
    }
}

/// A value in a global lock.  The drop replaces it by the default value.
pub(crate) struct GlobalValue<B: GlobalLockBackend + 'static>(&'static GlobalLock<B>)
where
    B::Item: Default + Unpin;

impl<B: GlobalLockBackend + 'static> GlobalValue<B>
where
    B::Item: Default + Unpin,
{
    /// Stores the value in the lock.
    pub(crate) fn new(lock: &'static GlobalLock<B>, value: B::Item) -> Self {
        *lock.lock() = value;
        Self(lock)
    }
}

impl<B: GlobalLockBackend + 'static> Drop for GlobalValue<B>
where
    B::Item: Default + Unpin,
{
    fn drop(&mut self) {
        // The value is dropped without the lock, because its drop can take the lock.
        let value = core::mem::take(&mut *self.0.lock());
        drop(value);
    }
}

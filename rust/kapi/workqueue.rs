// SPDX-License-Identifier: GPL-2.0-only

//! Work queues of one's own, and waiting for work (`include/linux/workqueue.h`).

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    workqueue::{HasWork, Queue},
};

/// A work queue of the module's own; drained and gone when dropped, which its own work must not
/// do.
pub(crate) struct OwnedQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: Work queues do their own locking.
unsafe impl Send for OwnedQueue {}
// SAFETY: As above.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// One that executes one item at a time.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_single_threaded(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let raw =
            unsafe { bindings::vfio_helper_create_singlethread_workqueue(name.as_char_ptr()) };
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// One whose items do not wait for one another, on any processor.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new_unbound(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let raw = unsafe { bindings::vfio_helper_alloc_unbound_workqueue(name.as_char_ptr()) };
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// The queue, to put work on.
    pub(crate) fn queue(&self) -> &Queue {
        // SAFETY: `self` owns the queue.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }

    /// Waits for all that is on the queue now.
    pub(crate) fn flush(&self) {
        // SAFETY: `self` owns the queue.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: `self` owns the queue and nobody puts work on it any more.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) }
    }
}

/// The queue that C's `schedule_work()` uses: per CPU, for all.  The kernel crate's `system()` is
/// its deprecated predecessor, which warns.
pub(crate) fn percpu() -> &'static Queue {
    // SAFETY: The kernel makes this queue at boot and keeps it.
    unsafe { Queue::from_raw(bindings::system_percpu_wq) }
}

/// Waits until the given work of `item` is not executing, nor pending.
pub(crate) fn flush_work<T: HasWork<T, ID>, const ID: u64>(item: &T) {
    let item = core::ptr::from_ref(item).cast_mut();
    // SAFETY: `item` is valid; its work was initialised with it.
    unsafe {
        let work = T::raw_get_work(item);
        bindings::flush_work(kernel::workqueue::Work::raw_get(work));
    }
}

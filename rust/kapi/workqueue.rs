// SPDX-License-Identifier: GPL-2.0-only

//! Work queues that the module owns, and waiting for work (`include/linux/workqueue.h`).

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    workqueue::{HasWork, Queue},
};

/// A work queue that the module owns.  The drop drains and destroys the queue, so work on the queue must not
/// drop this value.
pub(crate) struct OwnedQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: Work queues do their own locking.
unsafe impl Send for OwnedQueue {}
// SAFETY: As above.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Makes a queue that executes one item at a time.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new_single_threaded(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let raw =
            unsafe { bindings::vfio_helper_create_singlethread_workqueue(name.as_char_ptr()) };
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// Makes a queue whose items do not wait for each other and run on any CPU.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new_unbound(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a static string.
        let raw = unsafe { bindings::vfio_helper_alloc_unbound_workqueue(name.as_char_ptr()) };
        Ok(Self(NonNull::new(raw).ok_or(ENOMEM)?))
    }

    /// Returns the queue, to enqueue work.
    pub(crate) fn queue(&self) -> &Queue {
        // SAFETY: `self` owns the queue.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }

    /// Waits for all work that is on the queue now.  May sleep.
    pub(crate) fn flush(&self) {
        // SAFETY: `self` owns the queue.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: `self` owns the queue, and no other code enqueues work any more.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) }
    }
}

/// Returns the queue of C's `schedule_work()`: a shared per-CPU queue.  The kernel crate's `system()` returns
/// the deprecated `system_wq`, and the kernel warns when work is enqueued on it.
pub(crate) fn percpu() -> &'static Queue {
    // SAFETY: The kernel makes this queue at boot and never frees it.
    unsafe { Queue::from_raw(bindings::system_percpu_wq) }
}

/// Waits until the last enqueued instance of the work `ID` of `item` has finished.  On return the work is
/// idle, unless it was enqueued again during the wait.  May sleep.  C counterpart: `flush_work()`.
pub(crate) fn flush_work<T: HasWork<T, ID>, const ID: u64>(item: &T) {
    let item = core::ptr::from_ref(item).cast_mut();
    // SAFETY: `item` is valid, and its work was initialised with it.
    unsafe {
        let work = T::raw_get_work(item);
        bindings::flush_work(kernel::workqueue::Work::raw_get(work));
    }
}

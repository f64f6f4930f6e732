// SPDX-License-Identifier: GPL-2.0-only

//! Notifiers for the end of an address space (`include/linux/mmu_notifier.h`).

use super::{restartable, to_result};
use crate::bindings;
use kernel::{
    mm::{Mm, MmWithUser},
    page::PAGE_SIZE,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
    task::Task,
    types::Opaque,
};

/// The task that ends an address space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Releaser {
    /// A task that may wait for page requests and for locks of the IOMMU core.
    MayWait,
    /// A task that must not wait for these: it can be the handler of a page request, or hold such a lock.
    MustNotWait,
}

impl Releaser {
    /// Classifies the calling task.
    ///
    /// These tasks do not handle page requests, and hold no lock of the IOMMU core:
    ///
    /// - a user space task that exits or executes a program;
    /// - on x86-64, any other user space task, which drops the last reference after it has accessed the
    ///   memory of another task;
    /// - the worker of the address space's own `mmput_async()`.
    ///
    /// Any other kernel thread can be the handler of a page request.  On other architectures, any other user
    /// space task can hold a lock: the driver of arm64's SMMUv3 drops a reference with the lock of the
    /// device's group held, at the end of a reset (`arm_smmu_sva_set_dev_pasid()`).
    ///
    /// # Safety
    ///
    /// `mm` is valid.
    unsafe fn current(mm: *mut bindings::mm_struct) -> Self {
        let task = Task::current_raw();
        // SAFETY: The current task is valid, and only the task itself changes these flags.
        let (flags, in_exec) = unsafe {
            (
                (*task).flags,
                bindings::task_struct::in_execve_raw(task) != 0,
            )
        };
        if flags & bindings::PF_KTHREAD == 0 {
            let holds_nothing = flags & bindings::PF_EXITING != 0 || in_exec;
            return match holds_nothing || cfg!(target_arch = "x86_64") {
                true => Self::MayWait,
                false => Self::MustNotWait,
            };
        }
        // SAFETY: No requirements; `mm` is valid, and only the address of the field is taken.
        let is_async = unsafe {
            core::ptr::eq(
                bindings::current_work(),
                &raw const (*mm).__bindgen_anon_1.async_put_work,
            )
        };
        match is_async {
            true => Self::MayWait,
            false => Self::MustNotWait,
        }
    }
}

/// A type that is notified of the end of an address space, in two steps.
pub(crate) trait Listener: Send + Sync + 'static {
    /// Called when the address space has no users any more, at most once.  May sleep.  Must not drop the
    /// [`Watch`].
    ///
    /// The pages are freed after this has returned, and after the callbacks of `struct mmu_notifier`, which
    /// drivers of IOMMUs use, have returned.  During this call, the kernel holds no lock of its notifiers, and is in no
    /// read-side section of their SRCU.  Other address spaces wait for this SRCU when they end.
    fn mm_release_begins(this: ArcBorrow<'_, Self>, releaser: Releaser);

    /// Called after [`mm_release_begins`](Self::mm_release_begins), as one of the callbacks of
    /// `struct mmu_notifier`.  [`synchronize`] waits for all of these callbacks that are running.  Must not
    /// wait, and must not drop the [`Watch`].
    ///
    /// The kernel can call this a second time.  It also calls this when the watch ends before the address
    /// space.
    fn mm_release_notified(this: ArcBorrow<'_, Self>);
}

/// The notifiers that are registered with an address space.
#[pin_data]
#[repr(C)]
struct Registered<T> {
    /// The first field, so that the address of this field is the address of the structure.
    #[pin]
    interval: Opaque<bindings::mmu_interval_notifier>,
    #[pin]
    notifier: Opaque<bindings::mmu_notifier>,
    listener: Arc<T>,
    mm: ARef<Mm>,
}

// SAFETY: Only the kernel uses the notifiers, under its own locks.
unsafe impl<T: Send + Sync> Send for Registered<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Registered<T> {}

impl<T: Listener> Registered<T> {
    const INTERVAL_OPS: &'static bindings::mmu_interval_notifier_ops =
        &bindings::mmu_interval_notifier_ops {
            invalidate: Some(Self::invalidate),
            ..pin_init::zeroed()
        };

    const OPS: &'static bindings::mmu_notifier_ops = &bindings::mmu_notifier_ops {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// The kernel calls this with the notifier of a [`Watch`] and a valid range.
    unsafe extern "C" fn invalidate(
        interval: *mut bindings::mmu_interval_notifier,
        range: *const bindings::mmu_notifier_range,
        _sequence: c_ulong,
    ) -> bool {
        // SAFETY: By the caller's promise.
        let (event, mm) = unsafe { ((*range).event, (*range).mm) };
        if event == bindings::mmu_notifier_event_MMU_NOTIFY_RELEASE {
            // SAFETY: `interval` is the first field; `mmu_interval_notifier_remove()` in the drop of the
            // watch waits for this call.  The caller holds a reference on `mm` (`mm_count`).
            let (this, releaser) = unsafe { (&*interval.cast::<Self>(), Releaser::current(mm)) };
            T::mm_release_begins(this.listener.as_arc_borrow(), releaser);
        }
        true
    }

    /// # Safety
    ///
    /// The kernel calls this with the notifier of a [`Watch`].
    unsafe extern "C" fn release(
        notifier: *mut bindings::mmu_notifier,
        _mm: *mut bindings::mm_struct,
    ) {
        let notifier: *mut Opaque<bindings::mmu_notifier> = notifier.cast();
        // SAFETY: `notifier` is the field of this name; the watch does not end before this returns.
        let this = unsafe { &*kernel::container_of!(notifier, Self, notifier) };
        T::mm_release_notified(this.listener.as_arc_borrow());
    }
}

/// A registration for notifications.  The listener is notified until the drop.
///
/// # Invariants
///
/// Both notifiers are registered with `mm`.
pub(crate) struct Watch<T: Listener>(Pin<KBox<Registered<T>>>);

impl<T: Listener> Watch<T> {
    /// The address of the last page of all addresses.  This page is never mapped, so only changes of the
    /// whole address space call `invalidate()`, which ignores all events except the release.
    const START: usize = usize::MAX & !(PAGE_SIZE - 1);

    /// Begins to watch an address space.  Waits for changes of its mappings that are in progress.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `ERESTARTSYS`: a signal is pending.
    pub(crate) fn begin(listener: Arc<T>, mm: &MmWithUser) -> Result<Self> {
        let registered = KBox::pin_init(
            pin_init!(Registered {
                interval: Opaque::new(pin_init::zeroed()),
                notifier: Opaque::new(bindings::mmu_notifier {
                    ops: Registered::<T>::OPS,
                    ..pin_init::zeroed()
                }),
                listener,
                mm: (&**mm).into(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        // The callbacks go back from a notifier to the structure, so the pointers are derived from the structure.
        let whole = core::ptr::from_ref(&*registered);
        // SAFETY: The pointers stay within the structure.
        let (interval, notifier) = unsafe {
            (
                Opaque::cast_into(&raw const (*whole).interval),
                Opaque::cast_into(&raw const (*whole).notifier),
            )
        };
        // SAFETY: The notifier is pinned and not registered; the address space has users.
        to_result(unsafe { bindings::mmu_notifier_register(notifier, mm.as_raw()) })
            .map_err(restartable)?;
        // SAFETY: As above.
        to_result(unsafe {
            bindings::mmu_interval_notifier_insert(
                interval,
                mm.as_raw(),
                Self::START,
                PAGE_SIZE,
                Registered::<T>::INTERVAL_OPS,
            )
        })
        .map_err(restartable)
        .inspect_err(|_| {
            // SAFETY: The notifier has been registered.
            unsafe { bindings::mmu_notifier_unregister(notifier, mm.as_raw()) }
        })?;
        // INVARIANT: Both notifiers have been registered.
        let watch = Self(registered);
        // While a change is in progress, the kernel only queues new notifiers, and would not notify them of
        // the end of the address space.
        // SAFETY: The notifier is registered; the caller may sleep.
        unsafe { bindings::mmu_interval_read_begin(watch.0.interval.get()) };
        Ok(watch)
    }

    /// Returns the listener.
    pub(crate) fn listener(&self) -> &Arc<T> {
        &self.0.listener
    }

    /// Returns the address space.
    pub(crate) fn mm(&self) -> &Mm {
        &self.0.mm
    }
}

impl<T: Listener> Drop for Watch<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants; the caller may sleep.  This waits for the listener, for changes
        // of the mappings in progress, and for an SRCU grace period.
        unsafe {
            bindings::mmu_interval_notifier_remove(self.0.interval.get());
            bindings::mmu_notifier_unregister(self.0.notifier.get(), self.0.mm.as_raw());
        }
    }
}

/// Waits until all running callbacks of `struct mmu_notifier` have returned, for all address spaces.
pub(crate) fn synchronize() {
    // SAFETY: No requirements; the caller may sleep.
    unsafe { bindings::mmu_notifier_synchronize() }
}

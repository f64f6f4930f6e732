// SPDX-License-Identifier: GPL-2.0-only

//! The references on a device's registration that its driver holds, and the processes that caused them.
//!
//! Drivers take references with `vfio_device_try_get_registration()`: vfio-pci takes one reference for each
//! dma-buf that it exports.  Unregistration waits for these references as it waits for files.  The C core
//! only counts the references.
//!
//! The *origin* of a reference is the process that caused the driver to take the reference, together with the
//! purpose of the reference ([`Origin`]).  The driver does not say which reference it puts.  So the number of
//! remaining references of each origin is known exactly until a reference is put while several origins have
//! references.  It is known exactly again when no reference remains.  In between, it has a lower and an upper bound
//! ([`Tally`]).  At most 8 origins are distinguished.  The references of all others are counted together.
//!
//! Locks: the lock of the references is a leaf.  Interrupts are off while it is held, because drivers can
//! take and put references in any context.

use crate::{
    kapi::{
        sched::{thread_id, TaskId},
        series::{new_spinlock_irq, SpinLockIrq},
    },
    tally::Tally,
};
use kernel::prelude::*;

/// The maximum number of threads that can be marked as exporters of dma-bufs at one time, for one device.
const EXPORTS: usize = 8;

/// The purpose of a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Taken within `VFIO_DEVICE_FEATURE_DMA_BUF`, for an exported dma-buf.
    DmaBuf,
    /// Any other purpose, which only the driver knows.
    Driver,
}

impl Kind {
    /// Returns the word for the kind in a line of the debugfs file `holders`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-buf",
            Self::Driver => "driver",
        }
    }

    /// Returns the phrase for one reference in a message, before the name of a task.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Self::DmaBuf => "a dma-buf of",
            Self::Driver => "a reference of the driver for",
        }
    }

    /// Returns the phrase for several references in a message, before the name of a task.
    pub(crate) fn several(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-bufs of",
            Self::Driver => "references of the driver for",
        }
    }
}

/// The purpose of a reference, and the process that caused the driver to take it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    /// The process that called the driver.
    pub(crate) task: TaskId,
}

/// The references that the driver of a device holds.
#[pin_data]
pub(crate) struct DriverRefs {
    #[pin]
    inner: SpinLockIrq<Inner>,
}

struct Inner {
    tally: Tally<Origin>,
    /// The ids of the threads that are exporting.  A free entry is 0, which is no id of a thread that makes
    /// system calls.
    exporting: [i32; EXPORTS],
}

impl DriverRefs {
    /// Returns a value without references.
    pub(super) fn new() -> impl PinInit<Self> {
        let inner = Inner {
            tally: Tally::new(),
            exporting: [0; EXPORTS],
        };
        pin_init!(Self { inner <- new_spinlock_irq!(inner, "DriverRefs::inner") })
    }

    /// Records that the driver has taken a reference in the current task.  In an interrupt, the current task
    /// is the interrupted task.
    pub(crate) fn taken(&self) {
        let (thread, task) = (thread_id(), TaskId::process());
        let mut inner = self.inner.lock();
        // In an interrupt, the current thread can be the idle task, whose id is 0.
        let kind = match thread != 0 && inner.exporting.contains(&thread) {
            true => Kind::DmaBuf,
            false => Kind::Driver,
        };
        inner.tally.made(Origin { kind, task });
    }

    /// Records that the driver is about to put a reference.
    pub(crate) fn put(&self) {
        self.inner.lock().tally.gone();
    }

    /// Marks the calling thread as one that exports a dma-buf, until the result is dropped.  References that
    /// the driver takes in this thread are recorded as [`Kind::DmaBuf`].  If too many threads export at the
    /// same time, the references of the further threads are recorded as [`Kind::Driver`].
    pub(crate) fn exporting(&self) -> Exporting<'_> {
        let thread = thread_id();
        self.replace(0, thread);
        Exporting { refs: self, thread }
    }

    /// Replaces the first entry `old` of `exporting` by `new`, if there is one.
    fn replace(&self, old: i32, new: i32) {
        let mut inner = self.inner.lock();
        if let Some(place) = inner.exporting.iter_mut().find(|place| **place == old) {
            *place = new;
        }
    }

    /// Returns a copy of the counts of the current references, by origin.
    pub(crate) fn tally(&self) -> Tally<Origin> {
        self.inner.lock().tally
    }
}

/// The mark that the calling thread exports a dma-buf.  It is removed on drop.
pub(crate) struct Exporting<'a> {
    refs: &'a DriverRefs,
    thread: i32,
}

impl Drop for Exporting<'_> {
    fn drop(&mut self) {
        // This has no effect if there was no free entry.
        self.refs.replace(self.thread, 0);
    }
}

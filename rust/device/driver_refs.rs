// SPDX-License-Identifier: GPL-2.0-only

//! References on a device's registration that its driver holds, and who made it take them.
//!
//! Drivers take references with `vfio_device_try_get_registration()`, as vfio-pci does for each
//! dma-buf that it exports, and unregistration waits for them as it waits for files.  The C core
//! counts them and knows no more.
//!
//! The driver does not say which reference it puts.  So who made those that are left is known
//! exactly as long as none has been put, or one process has made all; else there are bounds
//! ([`Tally`]).
//!
//! Locks: the references', a leaf, with interrupts off, for drivers may take and put references in
//! any context.

use crate::{
    kapi::{
        sched::{thread_id, TaskId},
        series::{new_spinlock_irq, SpinLockIrq},
    },
    tally::Tally,
};
use kernel::prelude::*;

/// How many threads that export a dma-buf from one device at a time are recognised.
const EXPORTS: usize = 8;

/// What a reference is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Taken within `VFIO_DEVICE_FEATURE_DMA_BUF`: a dma-buf that was exported.
    DmaBuf,
    /// What only the driver knows.
    Driver,
}

impl Kind {
    /// The kind in a line of `holders`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-buf",
            Self::Driver => "driver",
        }
    }

    /// One of them in a message, before the name of a task.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Self::DmaBuf => "a dma-buf of",
            Self::Driver => "a reference of the driver for",
        }
    }

    /// Several of them, likewise.
    pub(crate) fn several(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-bufs of",
            Self::Driver => "references of the driver for",
        }
    }
}

/// Who made the driver take a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Maker {
    pub(crate) kind: Kind,
    /// The process that called the driver.
    pub(crate) task: TaskId,
}

/// The references of a device's driver.
#[pin_data]
pub(crate) struct DriverRefs {
    #[pin]
    inner: SpinLockIrq<Inner>,
}

struct Inner {
    tally: Tally<Maker>,
    /// Ids of the threads that are exporting; 0, which is none's that makes calls, in free places.
    exporting: [i32; EXPORTS],
}

impl DriverRefs {
    /// No references.
    pub(super) fn new() -> impl PinInit<Self> {
        let inner = Inner {
            tally: Tally::new(),
            exporting: [0; EXPORTS],
        };
        pin_init!(Self { inner <- new_spinlock_irq!(inner, "DriverRefs::inner") })
    }

    /// The driver has taken a reference, in the calling task.  Of a driver that does so in an
    /// interrupt, that is the one which is interrupted.
    pub(crate) fn taken(&self) {
        let (thread, task) = (thread_id(), TaskId::process());
        let mut inner = self.inner.lock();
        // An interrupt's may be that of the idle task, 0.
        let kind = match thread != 0 && inner.exporting.contains(&thread) {
            true => Kind::DmaBuf,
            false => Kind::Driver,
        };
        inner.tally.made(Maker { kind, task });
    }

    /// The driver is about to put one.
    pub(crate) fn put(&self) {
        self.inner.lock().tally.gone();
    }

    /// What the calling thread makes the driver take until the result is dropped is for dma-bufs.
    /// If too many threads export at once, it counts as the driver's own.
    pub(crate) fn exporting(&self) -> Exporting<'_> {
        let thread = thread_id();
        self.replace(0, thread);
        Exporting { refs: self, thread }
    }

    fn replace(&self, old: i32, new: i32) {
        let mut inner = self.inner.lock();
        if let Some(place) = inner.exporting.iter_mut().find(|place| **place == old) {
            *place = new;
        }
    }

    /// The references at this moment.
    pub(crate) fn tally(&self) -> Tally<Maker> {
        self.inner.lock().tally
    }
}

/// The calling thread is exporting a dma-buf, until this is dropped.
pub(crate) struct Exporting<'a> {
    refs: &'a DriverRefs,
    thread: i32,
}

impl Drop for Exporting<'_> {
    fn drop(&mut self) {
        // Without effect if there was no place.
        self.refs.replace(self.thread, 0);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Who has a device open, for the message of an unregistration that waits.
//!
//! The C core has no counterpart: it names the task that waits only.

use crate::kapi::sched::TaskId;
use kernel::{fmt, new_mutex, prelude::*, sync::Mutex};

/// The task that opened the device, as it was called then.
#[pin_data]
pub(crate) struct Holder {
    #[pin]
    task: Mutex<Option<TaskId>>,
}

impl Holder {
    /// Nobody.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { task <- new_mutex!(None) })
    }

    /// The calling task has opened the device.
    pub(super) fn set(&self) {
        *self.task.lock() = Some(TaskId::current());
    }

    /// Nobody has it open any more.
    pub(super) fn clear(&self) {
        *self.task.lock() = None;
    }

    /// Who has the device open now.  A copy, for a message is formatted with interrupts off, where
    /// no lock may be waited for.
    pub(crate) fn name(&self) -> Name {
        Name(*self.task.lock())
    }
}

/// A holder at one moment.
pub(crate) struct Name(Option<TaskId>);

/// Formats as `"comm" (pid)`, or as `an unknown holder`: in-kernel users, such as exported
/// dma-bufs, have no name.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(task) => fmt::Display::fmt(task, f),
            None => f.write_str("an unknown holder"),
        }
    }
}

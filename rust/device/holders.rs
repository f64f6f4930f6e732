// SPDX-License-Identifier: GPL-2.0-only

//! Who has a device open, for the message of an unregistration that waits.
//!
//! The C core has no counterpart: it names the task that waits only.

use super::State;
use crate::kapi::sched::TaskId;
use kernel::{fmt, new_mutex, prelude::*, sync::Arc, sync::Mutex};

/// The tasks that opened the device, as they were called then.
#[pin_data]
pub(crate) struct Holders {
    #[pin]
    tasks: Mutex<KVec<TaskId>>,
}

impl Holders {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { tasks <- new_mutex!(KVec::new()) })
    }
}

/// The holders at one moment, to be printed: a message is formatted with interrupts off, where no
/// lock may be waited for.
pub(crate) struct Names(KVec<TaskId>);

impl Holders {
    /// Who has the device open now; nobody when there is no memory to say it.
    pub(crate) fn names(&self) -> Names {
        let tasks = self.tasks.lock();
        let mut names = KVec::new();
        if names.extend_from_slice(&tasks, GFP_KERNEL).is_err() {
            names.clear();
        }
        Names(names)
    }
}

/// Formats as `"comm" (pid), "comm" (pid)`, or as `an unknown holder`: in-kernel users, such as
/// exported dma-bufs, are not in the list.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("an unknown holder");
        }
        for (i, task) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(task, f)?;
        }
        Ok(())
    }
}

/// The calling task's entry in the list of a device; off the list when dropped.
pub(crate) struct Holder {
    state: Arc<State>,
    task: TaskId,
}

impl Holder {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(state: Arc<State>) -> Result<Self> {
        let task = TaskId::current();
        state.holders.tasks.lock().push(task, GFP_KERNEL)?;
        Ok(Self { state, task })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut tasks = self.state.holders.tasks.lock();
        if let Some(i) = tasks.iter().position(|t| t.same_thread(&self.task)) {
            let _ = tasks.remove(i);
        }
    }
}

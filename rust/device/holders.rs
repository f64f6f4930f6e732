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

/// Formats as `"comm" (pid), "comm" (pid)`, or as `an unknown holder`: in-kernel users, such as
/// exported dma-bufs, are not in the list.
impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks.lock();
        if tasks.is_empty() {
            return f.write_str("an unknown holder");
        }
        for (i, task) in tasks.iter().enumerate() {
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
        if let Some(i) = tasks.iter().position(|t| t.is(&self.task)) {
            let _ = tasks.remove(i);
        }
    }
}

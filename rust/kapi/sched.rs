// SPDX-License-Identifier: GPL-2.0-only

//! The calling task (`include/linux/sched.h`).

use core::fmt::Write;
use kernel::{fmt, task::Task};

/// Whether the calling task has a user's address space: kernel threads have none.
pub(crate) fn has_mm() -> bool {
    // SAFETY: The current task is valid, and only it changes its `mm`.
    !unsafe { (*Task::current_raw()).mm }.is_null()
}

/// Name and process id of a task at one moment, for messages.
#[derive(Clone, Copy)]
pub(crate) struct TaskId {
    comm: [u8; 16],
    pid: i32,
}

impl TaskId {
    /// The calling task.
    pub(crate) fn current() -> Self {
        // SAFETY: The current task is valid; its `comm` is an array that is always terminated by
        // a NUL byte and may be torn by a concurrent change, which a message can bear.
        let comm = unsafe { core::ptr::read_volatile(&raw const (*Task::current_raw()).comm) };
        Self {
            comm,
            pid: kernel::current!().pid(),
        }
    }
}

/// Formats as `"comm" (pid)`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.comm.split(|b| *b == 0).next().unwrap_or_default();
        f.write_str("\"")?;
        for byte in name {
            // A name is bytes, not text: what cannot be printed is shown as a question mark.
            let c = if byte.is_ascii_graphic() || *byte == b' ' {
                *byte as char
            } else {
                '?'
            };
            f.write_char(c)?;
        }
        write!(f, "\" ({})", self.pid)
    }
}

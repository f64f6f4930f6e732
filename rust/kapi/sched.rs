// SPDX-License-Identifier: GPL-2.0-only

//! The calling task (`include/linux/sched.h`).

use core::fmt::Write;
use kernel::{fmt, prelude::fmt, task::Task};

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

/// The name of a task, of which what cannot be printed is shown as a question mark: a name is
/// bytes, not text.
struct Comm<'a>(&'a [u8; 16]);

impl fmt::Display for Comm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take_while(|b| **b != 0) {
            f.write_char(match byte {
                b' ' | b'!'..=b'~' => *byte as char,
                _ => '?',
            })?;
        }
        Ok(())
    }
}

/// Formats as `"comm" (pid)`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("\"{}\" ({})", Comm(&self.comm), self.pid))
    }
}

/// Formats as `comm:pid`.
pub(crate) struct Plain<'a>(pub(crate) &'a TaskId);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("{}:{}", Comm(&self.0.comm), self.0.pid))
    }
}

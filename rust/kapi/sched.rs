// SPDX-License-Identifier: GPL-2.0-only

//! The calling task (`include/linux/sched.h`).

use crate::bindings::task_struct;
use core::{fmt::Write, mem::offset_of};
use kernel::{fmt, prelude::*, task::Task};

/// Tells whether the calling task has a user address space (`current->mm`).  A kernel thread has one only
/// between `kthread_use_mm()` and `kthread_unuse_mm()`.
#[cfg(CONFIG_IOMMUFD)]
pub(crate) fn has_mm() -> bool {
    // SAFETY: The current task is valid, and only the task itself changes its `mm`.
    !unsafe { (*Task::current_raw()).mm }.is_null()
}

/// Returns the id of the calling thread in the initial PID namespace.  No other thread has this id while the
/// calling thread exists.  The exception is 0, the id of all idle tasks.
pub(crate) fn thread_id() -> i32 {
    kernel::current!().pid()
}

/// The name and the id of a task or process at one moment, for messages.  The id is that of the initial PID
/// namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskId {
    comm: Comm,
    pid: i32,
}

impl TaskId {
    /// Returns the calling task.
    pub(crate) fn current() -> Self {
        Self::of(kernel::current!())
    }

    /// Returns the calling process: the name and id of its thread group leader.  A thread that opens a file
    /// can end while its process still has the file.
    #[inline]
    pub(crate) fn process() -> Self {
        Self::of(kernel::current!().group_leader())
    }

    #[inline]
    fn of(task: &Task) -> Self {
        Self {
            comm: Comm::of(task),
            pid: task.pid(),
        }
    }

    /// Returns the id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &Comm {
        &self.comm
    }
}

/// Formats as `"comm" (pid)`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("\"{}\" ({})", self.comm, self.pid))
    }
}

/// The name of a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comm([u8; 16]);

impl Comm {
    #[inline]
    fn of(task: &Task) -> Self {
        const ALIGNED: bool = offset_of!(task_struct, comm) % align_of::<u64>() == 0;
        // SAFETY: `task` is valid; its `comm` is an array that is always terminated by a NUL byte.  A
        // concurrent change can tear it, which is acceptable in a message.  An aligned array is read by
        // words, because the compiler loads a volatile array element by element.
        unsafe {
            let comm = &raw const (*task.as_ptr()).comm;
            match ALIGNED {
                true => {
                    let words = core::ptr::read_volatile(comm.cast::<[u64; 2]>());
                    Self(core::mem::transmute::<[u64; 2], [u8; 16]>(words))
                }
                false => Self(core::ptr::read_volatile(comm)),
            }
        }
    }
}

/// Formats the printable characters of the name.  A name is bytes, not text; other bytes are shown as
/// question marks.
impl fmt::Display for Comm {
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

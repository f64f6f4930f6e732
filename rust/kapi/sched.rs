// SPDX-License-Identifier: GPL-2.0-only

//! The calling task (`include/linux/sched.h`).

use crate::bindings::task_struct;
use core::{fmt::Write, mem::offset_of};
use kernel::{fmt, prelude::*, task::Task};

/// Whether the calling task has a user's address space: kernel threads have none.
#[cfg(CONFIG_IOMMUFD)]
pub(crate) fn has_mm() -> bool {
    // SAFETY: The current task is valid, and only it changes its `mm`.
    !unsafe { (*Task::current_raw()).mm }.is_null()
}

/// The calling thread's id, that of the initial namespace; no other thread has it while this one
/// lives.
pub(crate) fn thread_id() -> i32 {
    kernel::current!().pid()
}

/// Name and id of a task or process at one moment, for messages.  The id is that of the initial
/// namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskId {
    comm: Comm,
    pid: i32,
}

impl TaskId {
    /// The calling task.
    pub(crate) fn current() -> Self {
        Self::of(kernel::current!())
    }

    /// The calling process: what holds a file when the thread that opened it has ended.
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

    /// The id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The name.
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
        // SAFETY: `task` is valid; its `comm` is an array that is always terminated by a NUL byte
        // and may be torn by a concurrent change, which a message can bear.  Where it is aligned it
        // is read by words: the compiler loads a volatile array element by element.
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

/// Formats as what can be printed of it: a name is bytes, not text, and what cannot be printed is
/// shown as a question mark.
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

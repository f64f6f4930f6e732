// SPDX-License-Identifier: GPL-2.0-only

//! The open files of a device and who has them, for those who wait for the device.
//!
//! The C core has no counterpart: its message names the task that waits only.
//!
//! Locks: the list's, a leaf.

use super::{open::Path, State};
use crate::kapi::{
    roll::{HasRoll, Member, Roll},
    sched::TaskId,
    vfio::severable::Epoch,
};
use kernel::{fmt, prelude::*};

/// A file of the device.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    /// The process that opened it, or, once it is bound, the one that bound it.
    task: TaskId,
    path: Path,
    /// It has access, and keeps the device.
    bound: bool,
    epoch: Epoch,
}

/// A file's place on the list.
pub(crate) type Held = Member<State, Holder>;

impl HasRoll<Holder> for State {
    #[inline]
    fn roll(&self) -> &Roll<Holder> {
        &self.holders
    }
}

impl Holder {
    /// The calling process opens a file, which is not bound.
    #[inline]
    pub(crate) fn new(path: Path, epoch: Epoch) -> Self {
        Self {
            task: TaskId::process(),
            path,
            bound: false,
            epoch,
        }
    }
}

impl Held {
    /// The calling process has bound the file.
    pub(crate) fn set_bound(&self) {
        let task = TaskId::process();
        self.update(|holder| {
            holder.task = task;
            holder.bound = true;
        });
    }
}

impl State {
    /// Calls `f` with the files that have to do with the device that is now: a file that has lost
    /// its device to an earlier unregistration is none.
    pub(crate) fn for_each_holder(&self, mut f: impl FnMut(&Holder)) {
        self.holders.for_each(|holder| {
            if holder.bound || self.link().is_connected(holder.epoch) {
                f(holder);
            }
        });
    }

    /// Who keeps the device now.  A copy, for a message is formatted with interrupts off, where no
    /// lock may be waited for.
    pub(crate) fn keepers(&self) -> Names {
        let mut names = Names::default();
        self.holders.for_each(|holder| {
            if holder.bound {
                names.add(holder.task);
            }
        });
        names
    }
}

/// Formats as the line of the file `holders`.  The name, in which anything may be, comes last.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.bound { "yes" } else { "no" };
        f.write_fmt(fmt!(
            "pid={} access={} bound={} comm={}",
            self.task.pid(),
            self.path.name(),
            bound,
            self.task.name(),
        ))
    }
}

/// How many processes a message names.
const NAMED: usize = 8;

/// The processes that keep a device at one moment.
#[derive(Default)]
pub(crate) struct Names {
    named: [Option<TaskId>; NAMED],
    more: usize,
}

impl Names {
    fn add(&mut self, task: TaskId) {
        for slot in &mut self.named {
            match slot {
                Some(other) if *other == task => return,
                Some(_) => {}
                None => {
                    *slot = Some(task);
                    return;
                }
            }
        }
        self.more = self.more.saturating_add(1);
    }
}

/// Formats as `"comm" (pid), "comm" (pid) and 3 more files`, or as `an unknown holder`: users in
/// the kernel, such as exported dma-bufs, have no name.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for task in self.named.iter().flatten() {
            f.write_fmt(fmt!("{}{}", separator, task))?;
            separator = ", ";
        }
        match (separator, self.more) {
            ("", _) => f.write_str("an unknown holder"),
            (_, 0) => Ok(()),
            (_, more) => f.write_fmt(fmt!(" and {} more files", more)),
        }
    }
}

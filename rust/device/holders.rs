// SPDX-License-Identifier: GPL-2.0-only

//! The holders of a device: for each open file, the process that opened or bound the file; and the processes for
//! which the driver holds references on the registration.  A process that received a file from another process is
//! not recorded.  An interrupted unregistration logs the holders that it waits for.
//!
//! The C core has no counterpart: its message about a removal that waits names only the waiting task.
//!
//! Locks: the lock of the list of files, and the lock of the driver's references.  The two locks are not
//! nested, and both are leaves.

use super::{driver_refs::Origin, open::OpenedBy, State};
use crate::{
    kapi::{
        list::{HasList, List, ListEntry},
        sched::TaskId,
    },
    shared::vfio::Generation,
    tally::{Share, Tally},
};
use kernel::{fmt, prelude::*};

/// The entry of an open file: the process that holds the file, and the state of the file.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    /// The process that opened the file or, after `VFIO_DEVICE_BIND_IOMMUFD`, the process that bound the
    /// file.
    task: TaskId,
    opened_by: OpenedBy,
    /// Whether the file has access, and so holds a registration reference.  Also true for a file from the group.
    bound: bool,
    /// The number of KVM devices that hold the file.  No two of them belong to one VM.
    kvm_devices: u32,
}

/// The list of a device's files.  The label of a file is the registration in which it was opened.
pub(crate) type Holders = List<Generation, Holder>;

/// The entry of a file in the list of the device's files.
pub(crate) type HolderEntry = ListEntry<State, Generation, Holder>;

impl HasList<Generation, Holder> for State {
    #[inline]
    fn list(&self) -> &Holders {
        &self.holders
    }
}

impl Holder {
    /// Describes a file that the calling process opens, and that has no access yet.
    #[inline]
    pub(crate) fn new(opened_by: OpenedBy) -> Self {
        Self {
            task: TaskId::process(),
            opened_by,
            bound: false,
            kvm_devices: 0,
        }
    }

    /// Returns the number of KVM devices (`KVM_DEV_TYPE_VFIO`) to which the file has been added, and which
    /// hold it.
    pub(crate) fn kvm_devices(&self) -> u32 {
        self.kvm_devices
    }

    /// Returns the line for the debugfs file `holders`.  The line has `machine=yes` only if the
    /// file has access and the device holds a reference on a VM.
    pub(crate) fn line(&self, state: &State) -> HolderLine<'_> {
        HolderLine {
            holder: self,
            holds_vm: self.bound && state.holds_vm(),
        }
    }
}

impl HolderEntry {
    /// Records that KVM has added the file to a KVM device, or removed the file from a KVM device.
    pub(crate) fn count_kvm(&self, added: bool) {
        self.update(|holder| {
            holder.kvm_devices = match added {
                true => holder.kvm_devices.saturating_add(1),
                false => holder.kvm_devices.saturating_sub(1),
            }
        });
    }

    /// Records that the file has access, because the calling process has bound it or opened it through the
    /// group.
    pub(crate) fn set_bound(&self) {
        let task = TaskId::process();
        self.update(|holder| {
            holder.task = task;
            holder.bound = true;
        });
    }
}

impl State {
    /// Calls `f` with each file that has access, and with each unbound file of the current registration.  An
    /// unbound file whose link is revoked is skipped.  The lock of the list is held during the call.
    pub(crate) fn for_each_holder(&self, mut f: impl FnMut(&Holder)) {
        self.holders.for_each(|generation, holder| {
            if holder.bound || self.link().is_connected(generation) {
                f(holder);
            }
        });
    }

    /// Returns a copy of the holders that unregistration waits for: the files with access, and the references
    /// of the driver.  The caller formats the copy into a log message.  printk formats a message with
    /// interrupts off, so the formatting must take no mutex.
    pub(crate) fn current_holders(&self) -> CurrentHolders {
        let mut files = FileHolders::default();
        self.holders.for_each(|_, holder| {
            if holder.bound {
                files.add(holder.task, holder.kvm_devices != 0);
            }
        });
        CurrentHolders {
            files,
            refs: self.driver_refs.tally(),
        }
    }
}

/// The line of a file in the debugfs file `holders`.
pub(crate) struct HolderLine<'a> {
    holder: &'a Holder,
    holds_vm: bool,
}

/// Formats the line.  The name of the process comes last, because it can contain any character.
impl fmt::Display for HolderLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        f.write_fmt(fmt!(
            "pid={} access={} bound={} kvm-devices={} machine={} comm={}",
            self.holder.task.pid(),
            self.holder.opened_by.name(),
            yes_or_no(self.holder.bound),
            self.holder.kvm_devices,
            yes_or_no(self.holds_vm),
            self.holder.task.name(),
        ))
    }
}

/// A line about references of the driver in the debugfs file `holders`.
pub(crate) struct RefsLine {
    share: Share<Origin>,
    total: u32,
}

impl RefsLine {
    /// Returns the lines: one for each origin of references.
    pub(crate) fn all(refs: &Tally<Origin>) -> impl Iterator<Item = Self> + '_ {
        let total = refs.left();
        refs.shares().map(move |share| Self { share, total })
    }
}

/// Formats the line.  It begins with the same fields as the line of a file.
impl fmt::Display for RefsLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share {
            origin,
            least,
            most,
        } = self.share;
        let (pid, kind) = match origin {
            Some(origin) => (origin.task.pid(), origin.kind.name()),
            None => (0, "unknown"),
        };
        f.write_fmt(fmt!("pid={} access={} bound=yes refs=", pid, kind))?;
        if least != most {
            f.write_fmt(fmt!("{}-", least))?;
        }
        f.write_fmt(fmt!("{} total={} comm=", most, self.total))?;
        match origin {
            Some(origin) => f.write_fmt(fmt!("{}", origin.task.name())),
            None => f.write_str("?"),
        }
    }
}

/// A message names at most this number of processes that have files with access.
const NAMED: usize = 8;

/// The processes that have files with access to a device.
#[derive(Default)]
struct FileHolders {
    /// Each process, and whether KVM holds one of its files.
    named: [Option<(TaskId, bool)>; NAMED],
    /// The number of files of all other processes.
    more: usize,
}

impl FileHolders {
    fn add(&mut self, task: TaskId, kvm: bool) {
        for slot in &mut self.named {
            let (other, its_kvm) = slot.get_or_insert((task, false));
            if *other == task {
                *its_kvm |= kvm;
                return;
            }
        }
        self.more = self.more.saturating_add(1);
    }

    fn is_empty(&self) -> bool {
        self.named.iter().all(Option::is_none)
    }
}

/// Formats as `"comm" (pid), "comm" (pid) and KVM and 3 more files`.
impl fmt::Display for FileHolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (task, kvm) in self.named.iter().flatten() {
            let kvm = if *kvm { " and KVM" } else { "" };
            f.write_fmt(fmt!("{}{}{}", separator, task, kvm))?;
            separator = ", ";
        }
        match self.more {
            0 => Ok(()),
            more => f.write_fmt(fmt!(" and {} more files", more)),
        }
    }
}

/// The holders that unregistration of a device waits for, at one moment.
pub(crate) struct CurrentHolders {
    files: FileHolders,
    refs: Tally<Origin>,
}

/// Formats the processes that have files with access, then the references of the driver:
/// `"comm" (pid), a dma-buf of "comm" (pid)`.  If it is not known which origins the remaining references have,
/// their number comes before the possible origins, as in `one of: ` or `3 of: `.  If there are neither files
/// with access nor references of the driver, the result is `an unknown holder`: a reference has just been
/// taken, or is being put.
impl fmt::Display for CurrentHolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, refs) = (!self.files.is_empty(), self.refs.left());
        match (files, refs) {
            (false, 0) => return f.write_str("an unknown holder"),
            (false, _) => {}
            (true, 0) => return f.write_fmt(fmt!("{}", self.files)),
            (true, _) => f.write_fmt(fmt!("{}, ", self.files))?,
        }
        match (self.refs.is_exact(), refs) {
            (true, _) => {}
            (false, 1) => f.write_str("one of: ")?,
            (false, left) => f.write_fmt(fmt!("{} of: ", left))?,
        }
        let mut separator = "";
        for share in self.refs.shares() {
            f.write_str(separator)?;
            separator = ", ";
            match (share.origin, share.most) {
                (Some(Origin { kind, task }), 1) => f.write_fmt(fmt!("{} {}", kind.one(), task)),
                (Some(Origin { kind, task }), most) => {
                    f.write_fmt(fmt!("{} {} {}", most, kind.several(), task))
                }
                (None, 1) => f.write_str("one more reference"),
                (None, most) => f.write_fmt(fmt!("{} more references", most)),
            }?;
        }
        Ok(())
    }
}

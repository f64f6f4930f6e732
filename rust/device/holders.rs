// SPDX-License-Identifier: GPL-2.0-only

//! The holders of a device, for tasks that wait for its release: its open files, and the references of its
//! driver.
//!
//! The C core has no counterpart: its message names only the waiting task.
//!
//! Locks: the lock of the list of files, and the lock of the driver's references.  They are not nested, and
//! both are leaves.

use super::{driver_refs::Maker, open::Path, State};
use crate::{
    kapi::{
        list::{HasList, List, ListEntry},
        sched::TaskId,
    },
    shared::vfio::device_link::Generation,
    tally::{Share, Tally},
};
use kernel::{fmt, prelude::*};

/// An open file of the device.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    /// The process that opened the file or, after a bind, the process that bound it.
    task: TaskId,
    path: Path,
    /// The file has access, and holds the registration of the device.
    bound: bool,
    /// The number of KVM devices that hold the file, each of another VM.
    kvm_devices: u32,
    generation: Generation,
}

/// A file's entry on the list.
pub(crate) type HolderEntry = ListEntry<State, Holder>;

impl HasList<Holder> for State {
    #[inline]
    fn list(&self) -> &List<Holder> {
        &self.holders
    }
}

impl Holder {
    /// Describes a file that the calling process opens, and that is not bound.
    #[inline]
    pub(crate) fn new(path: Path, generation: Generation) -> Self {
        Self {
            task: TaskId::process(),
            path,
            bound: false,
            kvm_devices: 0,
            generation,
        }
    }

    /// Returns the number of KVM devices (`KVM_DEV_TYPE_VFIO`) to which the file has been added, and which
    /// hold it.
    pub(crate) fn kvm_devices(&self) -> u32 {
        self.kvm_devices
    }

    /// Returns the line of the file `holders`.  It names the VM of the device only if the file is bound.
    pub(crate) fn line(&self, state: &State) -> HolderLine<'_> {
        HolderLine {
            holder: self,
            machine: self.bound && state.has_machine(),
        }
    }
}

impl HolderEntry {
    /// Records that KVM has added the file to one of its devices, or removed it from one.
    pub(crate) fn count_kvm(&self, added: bool) {
        self.update(|holder| {
            holder.kvm_devices = match added {
                true => holder.kvm_devices.saturating_add(1),
                false => holder.kvm_devices.saturating_sub(1),
            }
        });
    }

    /// Records that the calling process has bound the file.
    pub(crate) fn set_bound(&self) {
        let task = TaskId::process();
        self.update(|holder| {
            holder.task = task;
            holder.bound = true;
        });
    }
}

impl State {
    /// Calls `f` with each file that is bound or belongs to the current registration.  A file whose link an
    /// earlier unregistration revoked is skipped.
    pub(crate) fn for_each_holder(&self, mut f: impl FnMut(&Holder)) {
        self.holders.for_each(|holder| {
            if holder.bound || self.link().is_connected(holder.generation) {
                f(holder);
            }
        });
    }

    /// Returns a copy of the current holders.  The caller formats it into a log message, and formatting runs
    /// with interrupts off, where no lock may be waited for.
    pub(crate) fn keepers(&self) -> Keepers {
        let mut files = Names::default();
        self.holders.for_each(|holder| {
            if holder.bound {
                files.add(holder.task, holder.kvm_devices != 0);
            }
        });
        Keepers {
            files,
            refs: self.driver_refs.tally(),
        }
    }
}

/// The line of a file in the debugfs file `holders`.
pub(crate) struct HolderLine<'a> {
    holder: &'a Holder,
    machine: bool,
}

/// Formats the line.  The name comes last, because it can contain any character.
impl fmt::Display for HolderLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        f.write_fmt(fmt!(
            "pid={} access={} bound={} kvm-devices={} machine={} comm={}",
            self.holder.task.pid(),
            self.holder.path.name(),
            yes_or_no(self.holder.bound),
            self.holder.kvm_devices,
            yes_or_no(self.machine),
            self.holder.task.name(),
        ))
    }
}

/// The line of references of the driver in the debugfs file `holders`.
pub(crate) struct RefsLine {
    share: Share<Maker>,
    total: u32,
}

impl RefsLine {
    /// Returns the lines of all references.
    pub(crate) fn all(refs: &Tally<Maker>) -> impl Iterator<Item = Self> + '_ {
        let total = refs.left();
        refs.shares().map(move |share| Self { share, total })
    }
}

/// Formats the line, which begins as the line of a file does.
impl fmt::Display for RefsLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share { maker, least, most } = self.share;
        let (pid, kind) = match maker {
            Some(maker) => (maker.task.pid(), maker.kind.name()),
            None => (0, "unknown"),
        };
        f.write_fmt(fmt!("pid={} access={} bound=yes refs=", pid, kind))?;
        if least != most {
            f.write_fmt(fmt!("{}-", least))?;
        }
        f.write_fmt(fmt!("{} total={} comm=", most, self.total))?;
        match maker {
            Some(maker) => f.write_fmt(fmt!("{}", maker.task.name())),
            None => f.write_str("?"),
        }
    }
}

/// The maximum number of processes that a message names.
const NAMED: usize = 8;

/// The processes that have files of a device.
#[derive(Default)]
struct Names {
    /// Each process, and whether KVM holds one of its files.
    named: [Option<(TaskId, bool)>; NAMED],
    more: usize,
}

impl Names {
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
impl fmt::Display for Names {
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

/// The holders of a device at one moment.
pub(crate) struct Keepers {
    files: Names,
    refs: Tally<Maker>,
}

/// Formats the processes that have files, then the references of the driver:
/// `"comm" (pid), a dma-buf of "comm" (pid)`.  If only bounds are known for the references, `one of: ` or
/// `3 of: ` and the candidates follow instead.  If a reference has just been taken, or is just being put, the
/// result is `an unknown holder`.
impl fmt::Display for Keepers {
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
            match (share.maker, share.most) {
                (Some(Maker { kind, task }), 1) => f.write_fmt(fmt!("{} {}", kind.one(), task)),
                (Some(Maker { kind, task }), most) => {
                    f.write_fmt(fmt!("{} {} {}", most, kind.several(), task))
                }
                (None, 1) => f.write_str("one more reference"),
                (None, most) => f.write_fmt(fmt!("{} more references", most)),
            }?;
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Who keeps a device, for those who wait for it: its open files, and the references of its driver.
//!
//! The C core has no counterpart: its message names the task that waits only.
//!
//! Locks: the list's and that of the driver's references, one after the other; leaves.

use super::{driver_refs::Maker, open::Path, State};
use crate::{
    kapi::{
        roll::{HasRoll, Member, Roll},
        sched::TaskId,
    },
    shared::vfio::severable::Epoch,
    tally::{Share, Tally},
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
    /// How many devices of KVM hold it, each of another machine.
    kvm_devices: u32,
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
            kvm_devices: 0,
            epoch,
        }
    }

    /// How many devices of KVM (`KVM_DEV_TYPE_VFIO`) the file has been added to, which hold it.
    pub(crate) fn kvm_devices(&self) -> u32 {
        self.kvm_devices
    }

    /// The line of the file `holders`.  A file that is bound has part in what the device holds.
    pub(crate) fn line(&self, state: &State) -> HolderLine<'_> {
        HolderLine {
            holder: self,
            machine: self.bound && state.has_machine(),
        }
    }
}

impl Held {
    /// KVM has added the file to one of its devices, or taken it from one.
    pub(crate) fn count_kvm(&self, added: bool) {
        self.update(|holder| {
            holder.kvm_devices = match added {
                true => holder.kvm_devices.saturating_add(1),
                false => holder.kvm_devices.saturating_sub(1),
            }
        });
    }

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

/// A line of the file `holders` that is of a file.
pub(crate) struct HolderLine<'a> {
    holder: &'a Holder,
    machine: bool,
}

/// Formats as the line.  The name, in which anything may be, comes last.
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

/// A line of the file `holders` that is of references of the driver.
pub(crate) struct RefsLine {
    share: Share<Maker>,
    total: u32,
}

impl RefsLine {
    /// The lines of all that there are.
    pub(crate) fn all(refs: &Tally<Maker>) -> impl Iterator<Item = Self> + '_ {
        let total = refs.left();
        refs.shares().map(move |share| Self { share, total })
    }
}

/// Formats as the line, which begins as that of a file does.
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

/// How many processes a message names.
const NAMED: usize = 8;

/// The processes that have files of a device.
#[derive(Default)]
struct Names {
    /// Each with whether KVM holds a file of it too.
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

/// What keeps a device at one moment.
pub(crate) struct Keepers {
    files: Names,
    refs: Tally<Maker>,
}

/// Formats as the processes that have files, then the references of the driver:
/// `"comm" (pid), a dma-buf of "comm" (pid)`; where bounds are all that is known of these, it is
/// `one of: ` or `3 of: ` and what there was before.  As `an unknown holder` if a reference has
/// just been taken, or is just being put.
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

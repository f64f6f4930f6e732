// SPDX-License-Identifier: GPL-2.0-only

//! Shared virtual addressing: processes that let devices use their address spaces.
//!
//! Without C counterpart; the ioctls are those of `include/uapi/linux/vfio_sva.h`.
//!
//! [`BoundProcesses`] are those of one device, which is open by a file of its own, or of the groups
//! of a container: each is bound to all of the devices or to none.  Each bond keeps the address
//! space's PASID from being given to another.
//!
//! A bond ends when its process takes it back or ends itself, and with the file, before the driver
//! stops the device and before DMA leaves the hands of user space: what the device still asks for
//! by a PASID is refused from then on.  When an address space ends, the IOMMU's driver stops DMA to
//! it at once, and the bonds are taken away from a work queue: their end must wait for what tells
//! of the end.
//!
//! A reset is what the two do not go together with.  While a device is reset the IOMMU core takes
//! its PASIDs away and waits for page requests that are on their way.  The page may be one of the
//! device's own registers, which vfio-pci gives to nobody until the reset is over.  And then the
//! IOMMU core puts all PASIDs back, that of an address space that has ended meanwhile too.  So
//! there is no reset, as far as the core is asked for it, while processes are bound, and the
//! reverse ([`ResetHold`]).
//!
//! Locks: that of the processes, inside a group's and a container's, outside `mmap_lock` and the
//! IOMMU core's; a page fault does not take it.  [`ENDED`] is a leaf.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::Bond,
        mmu_notifier::{Listener, Watch},
        workqueue::OwnedQueue,
    },
    uapi::sva::{check_unbind, BindProcess},
};
use kernel::{
    current, impl_has_work,
    mm::{Mm, MmWithUser, MmWithUserAsync},
    new_mutex, new_work,
    prelude::*,
    sync::{aref::ARef, global_lock, Arc, ArcBorrow, Mutex},
    uaccess::UserPtr,
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// Where bonds of address spaces that have ended are taken away; None before load and after
    /// unload.
    pub(crate) unsafe(uninit) static ENDED: Mutex<Option<OwnedQueue>> = None;
}

/// A process's address space among those of one device or container.
#[pin_data]
pub(crate) struct Process {
    among: Arc<BoundProcesses>,
    pasid: u32,
    #[pin]
    ended: Work<Process>,
}

impl_has_work! {
    impl HasWork<Self> for Process { self.ended }
}

impl Process {
    /// The address space's PASID.
    pub(crate) fn pasid(&self) -> u32 {
        self.pasid
    }

    /// Ends its bonds, if they have not been before.
    pub(crate) fn unbind(&self) {
        // Under the lock: who ends all bonds finds none that is about to end.
        let mut inner = self.among.inner.lock();
        inner
            .processes
            .retain(|p| !core::ptr::eq(self, &raw const **p.watch.listener()));
    }
}

impl Listener for Process {
    fn mm_released(this: ArcBorrow<'_, Self>) {
        if let Some(queue) = ENDED.lock().as_ref() {
            // Pending already is as good.
            let _ = queue.queue().enqueue::<Arc<Self>, 0>(this.into());
        }
    }
}

impl WorkItem for Process {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.unbind();
    }
}

/// A process that is bound.  Dropped in the order of the fields, under the lock.
struct BoundProcess {
    watch: Watch<Process>,
    bonds: KVec<Bond>,
}

impl BoundProcess {
    fn is_of(&self, mm: &Mm) -> bool {
        self.watch.mm().as_raw() == mm.as_raw()
    }

    /// The address space, if it has users still.  Whoever turns out to be the last does not wait
    /// for its end, which may take long.
    fn mm(&self) -> Option<ARef<MmWithUserAsync>> {
        let mm = self.watch.mm().mmget_not_zero()?;
        Some(MmWithUser::into_mmput_async(mm))
    }
}

struct Inner {
    processes: KVec<BoundProcess>,
    /// How many resets keep processes out.
    resets: usize,
}

impl Inner {
    fn remove_group(&mut self, group: &IommuGroup) {
        for process in self.processes.iter_mut() {
            process.bonds.retain(|bond| !bond.is_of(group));
        }
    }
}

/// The processes that are bound to one device, or to the groups of one container.
#[pin_data]
pub(crate) struct BoundProcesses {
    #[pin]
    inner: Mutex<Inner>,
}

impl BoundProcesses {
    /// None.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let processes = pin_init!(Self {
            inner <- new_mutex!(
                Inner {
                    processes: KVec::new(),
                    resets: 0,
                },
                "BoundProcesses::inner"
            ),
        });
        Arc::pin_init(processes, GFP_KERNEL_ACCOUNT)
    }

    /// Binds an address space to the devices of all `groups`.
    ///
    /// # Errors
    ///
    /// In this order: `EEXIST` (bound already); `EBUSY` (a device is being reset); those of
    /// [`Bond::new`]; `EINVAL` (no groups); `ENOMEM`; those of [`Watch::begin`].  Whatever fails,
    /// nothing is bound.
    pub(crate) fn bind<'a>(
        self: &Arc<Self>,
        mm: &MmWithUser,
        groups: impl Iterator<Item = &'a IommuGroup>,
    ) -> Result<Arc<Process>> {
        let mut inner = self.inner.lock();
        if inner.processes.iter().any(|p| p.is_of(mm)) {
            return Err(EEXIST);
        }
        if inner.resets != 0 {
            return Err(EBUSY);
        }
        let mut bonds = KVec::new();
        for group in groups {
            bonds.push(Bond::new(group, mm)?, GFP_KERNEL_ACCOUNT)?;
        }
        let pasid = bonds.first().ok_or(EINVAL)?.pasid();
        inner.processes.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let process = Arc::pin_init(
            pin_init!(Process {
                among: self.clone(),
                pasid,
                ended <- new_work!("vfio_sva::ended"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let watch = Watch::begin(process.clone(), mm)?;
        let bound = BoundProcess { watch, bonds };
        inner.processes.push(bound, GFP_KERNEL_ACCOUNT)?;
        Ok(process)
    }

    /// Ends what [`bind`](Self::bind) began.
    ///
    /// # Errors
    ///
    /// `ENOENT` when the address space is not bound.
    pub(crate) fn unbind(&self, mm: &Mm) -> Result<u32> {
        let mut inner = self.inner.lock();
        let mut processes = inner.processes.iter();
        let index = processes.position(|p| p.is_of(mm)).ok_or(ENOENT)?;
        let ended = inner.processes.remove(index).map_err(|_| ENOENT)?;
        Ok(ended.watch.listener().pasid)
    }

    /// Binds all processes to the device of one more group.
    ///
    /// # Errors
    ///
    /// `EBUSY` (a device is being reset); those of [`Bond::new`] and `ENOMEM`, and then none is.
    pub(crate) fn add(&self, group: &IommuGroup) -> Result {
        let mut inner = self.inner.lock();
        if inner.resets != 0 {
            return Err(EBUSY);
        }
        let result = inner.processes.iter_mut().try_for_each(|p| {
            // One that has ended is about to be taken away.
            let Some(mm) = p.mm() else {
                return Ok(());
            };
            let bond = Bond::new(group, &mm)?;
            Ok(p.bonds.push(bond, GFP_KERNEL_ACCOUNT)?)
        });
        if result.is_err() {
            inner.remove_group(group);
        }
        result
    }

    /// The end of [`add`](Self::add), and of what [`bind`](Self::bind) did for the group.
    pub(crate) fn remove(&self, group: &IommuGroup) {
        self.inner.lock().remove_group(group);
    }

    /// Whether there is one that has not ended.
    pub(crate) fn has_living(&self) -> bool {
        let inner = self.inner.lock();
        inner.processes.iter().any(|p| p.mm().is_some())
    }

    /// Ends all bonds.
    pub(crate) fn clear(&self) {
        self.inner.lock().processes.clear();
    }

    /// Keeps processes out while a device is reset.  Bonds of processes that have ended end.
    ///
    /// # Errors
    ///
    /// `EBUSY` when processes are bound.
    pub(crate) fn hold_for_reset(self: &Arc<Self>) -> Result<ResetHold> {
        let mut inner = self.inner.lock();
        inner.processes.retain(|p| p.mm().is_some());
        if !inner.processes.is_empty() {
            return Err(EBUSY);
        }
        inner.resets = inner.resets.checked_add(1).ok_or(EBUSY)?;
        Ok(ResetHold(self.clone()))
    }

    /// Calls `f` with the PASID of each process, the latest last.
    pub(crate) fn for_each_pasid(&self, mut f: impl FnMut(u32)) {
        let inner = self.inner.lock();
        let processes = inner.processes.iter();
        processes.for_each(|p| f(p.watch.listener().pasid));
    }
}

/// While this is, no process can be bound.
pub(crate) struct ResetHold(Arc<BoundProcesses>);

impl Drop for ResetHold {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.resets = inner.resets.saturating_sub(1);
    }
}

/// `VFIO_BIND_PROCESS`, for the caller, where `bind` finds whom to add it to and calls
/// [`BoundProcesses::bind`].
///
/// # Errors
///
/// In this order: those of [`BindProcess::read`]; `EINVAL` for a task without an address space;
/// those of `bind`; `EFAULT` (the PASID could not be written), which undoes it.
pub(crate) fn bind_caller(
    arg: UserPtr,
    bind: impl FnOnce(&MmWithUser) -> Result<Arc<Process>>,
) -> Result<u32> {
    let arg = BindProcess::read(arg)?;
    let task = current!();
    let process = bind(task.mm().ok_or(EINVAL)?)?;
    arg.write_pasid(process.pasid())
        .inspect_err(|_| process.unbind())?;
    Ok(process.pasid())
}

/// `VFIO_UNBIND_PROCESS`, for the caller, where `unbind` finds whom to take it from and calls
/// [`BoundProcesses::unbind`].
///
/// # Errors
///
/// In this order: those of [`check_unbind`]; `EINVAL` for a task without an address space; those of
/// `unbind`.
pub(crate) fn unbind_caller(arg: UserPtr, unbind: impl FnOnce(&Mm) -> Result<u32>) -> Result<u32> {
    check_unbind(arg)?;
    let task = current!();
    unbind(task.mm().ok_or(EINVAL)?)
}

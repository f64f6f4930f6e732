// SPDX-License-Identifier: GPL-2.0-only

//! Shared virtual addressing: processes that let devices use their address spaces.
//!
//! Without C counterpart; the ioctls are those of `include/uapi/linux/vfio_sva.h`.
//!
//! What a process is bound to is a *scope*: a device that is open by a file of its own, or the
//! groups of a container.  In a scope a process is bound to all devices or to none.  Each bond
//! keeps the address space's PASID from being given to another, so it is the order of the end that
//! makes it safe: the device stops (its driver closes it), the bonds end, DMA leaves the hands of
//! user space.
//!
//! When an address space ends without having been unbound, the IOMMU's driver stops DMA to it at
//! once, and the bonds are taken away from a work queue: their end must wait for what tells of the
//! end.
//!
//! Locks: a scope's, inside a device set's and a container's; a page fault does not take it.
//! [`ENDED`] is a leaf.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::Bond,
        mmu_notifier::{Listener, Notifier, Watch},
        workqueue::OwnedQueue,
    },
    uapi::sva::{check_unbind, BindProcess},
};
use kernel::{
    current, impl_has_work,
    mm::{Mm, MmWithUser},
    new_mutex, new_work,
    prelude::*,
    sync::{global_lock, Arc, ArcBorrow, Mutex},
    uaccess::UserPtr,
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// Where bonds of address spaces that have ended are taken away; None before load and after
    /// unload.
    pub(crate) unsafe(uninit) static ENDED: Mutex<Option<OwnedQueue>> = None;
}

/// A process's address space in a scope.
#[pin_data]
pub(crate) struct Process {
    scope: Arc<Scope>,
    pasid: u32,
    #[pin]
    notifier: Notifier<Process>,
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
        // Under the lock: who empties the scope finds no bond that is about to end.
        let mut bound = self.scope.bound.lock();
        bound.retain(|b| !core::ptr::eq(self, &raw const **b.watch.listener()));
    }
}

impl Listener for Process {
    fn mm_released(this: ArcBorrow<'_, Self>) {
        if let Some(queue) = ENDED.lock().as_ref() {
            // Pending already is as good.
            let _ = queue.queue().enqueue::<Arc<Self>, 0>(this.into());
        }
    }

    fn notifier(&self) -> &Notifier<Self> {
        &self.notifier
    }
}

impl WorkItem for Process {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.unbind();
    }
}

/// A process that is bound.  Dropped in the order of the fields, under the scope's lock.
struct Bound {
    watch: Watch<Process>,
    bonds: KVec<Bond>,
}

impl Bound {
    fn is_of(&self, mm: &Mm) -> bool {
        self.watch.listener().notifier.mm().as_raw() == mm.as_raw()
    }
}

/// The processes that are bound to one device, or to the groups of one container.
#[pin_data]
pub(crate) struct Scope {
    #[pin]
    bound: Mutex<KVec<Bound>>,
}

impl Scope {
    /// Without processes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let scope = pin_init!(Self {
            bound <- new_mutex!(KVec::new(), "Scope::bound"),
        });
        Arc::pin_init(scope, GFP_KERNEL_ACCOUNT)
    }

    /// Binds an address space to the devices of all `groups`.
    ///
    /// # Errors
    ///
    /// In this order: `EEXIST` (bound already); `EINVAL` (no groups); those of [`Bond::new`];
    /// `ENOMEM`; those of [`Watch::begin`].  Whatever fails, nothing is bound.
    pub(crate) fn bind<'a>(
        self: &Arc<Self>,
        mm: &MmWithUser,
        groups: impl Iterator<Item = &'a IommuGroup>,
    ) -> Result<Arc<Process>> {
        let mut bound = self.bound.lock();
        if bound.iter().any(|b| b.is_of(mm)) {
            return Err(EEXIST);
        }
        let mut bonds = KVec::new();
        for group in groups {
            bonds.push(Bond::new(group, mm)?, GFP_KERNEL_ACCOUNT)?;
        }
        let pasid = bonds.first().ok_or(EINVAL)?.pasid();
        bound.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let process = Arc::pin_init(
            pin_init!(Process {
                scope: self.clone(),
                pasid,
                notifier <- Notifier::new(mm),
                ended <- new_work!("vfio_sva::ended"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let watch = Watch::begin(process.clone(), mm)?;
        bound.push(Bound { watch, bonds }, GFP_KERNEL_ACCOUNT)?;
        Ok(process)
    }

    /// Ends what [`bind`](Self::bind) began.
    ///
    /// # Errors
    ///
    /// `ENOENT` when the address space is not bound.
    pub(crate) fn unbind(&self, mm: &Mm) -> Result<u32> {
        let mut bound = self.bound.lock();
        let index = bound.iter().position(|b| b.is_of(mm)).ok_or(ENOENT)?;
        let ended = bound.remove(index).map_err(|_| ENOENT)?;
        Ok(ended.watch.listener().pasid)
    }

    /// Binds all processes to the device of one more group.
    ///
    /// # Errors
    ///
    /// Those of [`Bond::new`] and `ENOMEM`, and then none is.
    pub(crate) fn add(&self, group: &IommuGroup) -> Result {
        let mut bound = self.bound.lock();
        let result = bound.iter_mut().try_for_each(|b| {
            // One that has none left is about to be taken away.
            let Some(mm) = b.watch.listener().notifier.mm().mmget_not_zero() else {
                return Ok(());
            };
            let bond = Bond::new(group, &mm)?;
            Ok(b.bonds.push(bond, GFP_KERNEL_ACCOUNT)?)
        });
        if result.is_err() {
            Self::take_away(&mut bound, group);
        }
        result
    }

    /// The end of [`add`](Self::add), and of what [`bind`](Self::bind) did for the group.
    pub(crate) fn remove(&self, group: &IommuGroup) {
        Self::take_away(&mut self.bound.lock(), group);
    }

    fn take_away(bound: &mut KVec<Bound>, group: &IommuGroup) {
        for b in bound.iter_mut() {
            b.bonds.retain(|bond| !bond.is_of(group));
        }
    }

    /// Whether no process is bound.
    pub(crate) fn is_empty(&self) -> bool {
        self.bound.lock().is_empty()
    }

    /// Ends all bonds.
    pub(crate) fn clear(&self) {
        self.bound.lock().clear();
    }

    /// Calls `f` with the PASID of each process, the latest last.
    pub(crate) fn for_each_pasid(&self, mut f: impl FnMut(u32)) {
        let bound = self.bound.lock();
        bound.iter().for_each(|b| f(b.watch.listener().pasid));
    }
}

/// `VFIO_BIND_PROCESS`, for the caller, where `bind` finds the scope and calls [`Scope::bind`].
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

/// `VFIO_UNBIND_PROCESS`, for the caller, where `unbind` finds the scope and calls
/// [`Scope::unbind`].
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

// SPDX-License-Identifier: GPL-2.0-only

//! Devices: their allocation and release, and the state that the core keeps for each device.
//!
//! C counterpart: `vfio_main.c`, section "Device objects".
//!
//! A device has two reference counts:
//!
//! - The count of its class device (`vfio_device::device`) keeps the object.  The driver holds the first
//!   reference.
//! - The count of the registration (`vfio_device::refcount`) keeps the device registered
//!   ([`RegistrationRef`](crate::shared::vfio::RegistrationRef)).  Each file that has access to the device
//!   holds a reference, and the driver can hold further references.  Unregistration waits until all
//!   references are dropped.
//!
//! A file without access holds no reference of either kind.  It keeps the [`State`], which has a link to the
//! device.  Unregistration revokes the link.
//!
//! The minor of a device, the `X` of `vfioX`, stays allocated while files of the device are open, even if the
//! device is gone.  So the `st_rdev` of these files does not name another device.  The number of minors that
//! are kept in this way is limited ([`Minor::leave_to_files`]).
//!
//! Locks: `DEVICES`, `State::registration`, `State::membership` and `State::container` are leaves.

mod debugfs;
pub(crate) mod driver_refs;
pub(crate) mod holders;
pub(crate) mod open;
pub(crate) mod registration;
pub(crate) mod sets;

use crate::{
    container::ContainerHandle,
    group::{Group, Membership},
    kapi::{
        cdev::{Cdev, CharRegion},
        debugfs::Dir,
        ratelimit::RateLimit,
    },
    minors::{Minor, Minors},
    shared::{
        fs::PseudoInode,
        vfio::{set::LockedState, Added, DeviceLink, DeviceMemory, Generation, InitialisedDevice},
    },
    sva::BoundProcesses,
};
use driver_refs::DriverRefs;
use holders::Holders;
use kernel::{
    device::Bound,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, AtomicFlag},
        global_lock, Arc, Mutex, SetOnce, SpinLock, UniqueArc,
    },
};

global_lock! {
    /// The minors, the device number range and the debugfs directory of devices.  None until the init function
    /// has stored the value, and again when the unload has dropped it.
    pub(crate) unsafe(uninit) static DEVICES: Mutex<Option<Devices>> = None;
}

/// The minors of devices, their device number range, and the debugfs directory in which they appear.
pub(crate) struct Devices {
    minors: Arc<Minors>,
    debugfs: Option<Arc<Dir>>,
    region: Option<CharRegion<State>>,
}

impl Devices {
    /// Returns a value in which all minors are free.
    ///
    /// `region` is None on a kernel without device nodes (`CONFIG_VFIO_DEVICE_CDEV=n`).  `debugfs` is None on
    /// a kernel without `CONFIG_VFIO_DEBUGFS`.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new(
        region: Option<CharRegion<State>>,
        debugfs: Option<Arc<Dir>>,
    ) -> Result<Self> {
        Ok(Self {
            minors: Minors::new()?,
            region,
            debugfs,
        })
    }
}

/// The data in the link to a registered device: the group of the device.  Files read it through the link.  It
/// does not keep the device in the group; [`Membership`] does.
pub(crate) struct GroupLink {
    group: Arc<Group>,
    /// The key of the device in the group's list of devices.
    key: u64,
}

impl GroupLink {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

/// The resources of a registration, which unregistration releases.
struct Registration {
    added: Added,
    /// None for a device without a node.
    cdev: Option<Cdev<State>>,
}

/// The core's own state of a device.  The device and each of its files hold a reference on the state.  A file
/// can keep the state after the device is gone.
#[pin_data]
pub(crate) struct State {
    /// The minor of the device, and the `X` of `vfioX`.
    minor: Minor,
    inode: PseudoInode,
    /// Whether the device is open and holds a reference on a VM.  Changed under the lock of the device's set.
    /// Code that prints the state reads it without the lock.
    holds_vm: AtomicFlag,
    #[pin]
    link: DeviceLink<GroupLink>,
    /// The data that the set's lock protects, for example the resources of the first open.
    locked: LockedState,
    /// The limit on log lines about refused opens and binds.
    #[pin]
    refusals: RateLimit,
    /// The processes that are bound to the device.  Set when a device that has PASIDs is registered.
    processes: SetOnce<Arc<BoundProcesses>>,
    /// The open files of the device.
    #[pin]
    holders: Holders,
    /// The references on the registration that the driver holds.
    #[pin]
    driver_refs: DriverRefs,
    /// The container handle, while the device is open through a container.  It is read by `vfio_pin_pages()`,
    /// `vfio_unpin_pages()` and `vfio_dma_rw()`, which drivers call without a lock of the core.
    #[pin]
    container: SpinLock<Option<ContainerHandle>>,
    /// The device's membership in its group.  Registration sets it before the device can be opened.
    /// Unregistration drops it after the last registration reference is dropped.
    #[pin]
    membership: Mutex<Option<Membership>>,
    #[pin]
    registration: Mutex<Option<Registration>>,
}

impl State {
    fn new(minor: Minor, inode: PseudoInode) -> impl PinInit<Self> {
        pin_init!(Self {
            minor,
            inode,
            holds_vm: AtomicFlag::new(false),
            link <- DeviceLink::new(),
            locked: LockedState::new(),
            refusals <- RateLimit::new(c"refused opens and binds"),
            processes: SetOnce::new(),
            holders <- Holders::new(),
            driver_refs <- DriverRefs::new(),
            container <- new_spinlock!(None),
            membership <- new_mutex!(None),
            registration <- new_mutex!(None),
        })
    }

    /// Returns the inode whose mapping all files of the device share.
    pub(crate) fn inode(&self) -> &PseudoInode {
        &self.inode
    }

    /// Returns the minor of the device, the `X` of `vfioX`.
    pub(crate) fn minor(&self) -> u32 {
        self.minor.number()
    }

    /// Returns the limit on log lines about refused opens and binds.
    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    /// Calls `f` with the parent of the device.  Returns None if the link of the registration `generation` is
    /// revoked.
    pub(crate) fn with_parent<R>(
        &self,
        generation: Generation,
        f: impl FnOnce(&kernel::device::Device<Bound>) -> R,
    ) -> Option<R> {
        let (registration, ()) = self.link.registration(generation, |_| ())?;
        Some(f(registration.bound_parent()))
    }

    /// Returns the link to the device, which unregistration revokes.
    pub(crate) fn link(&self) -> &DeviceLink<GroupLink> {
        &self.link
    }

    /// Returns the processes that are bound to the device.  None if the device has no PASIDs, so that no process
    /// can be bound to it.
    #[inline]
    pub(crate) fn processes(&self) -> Option<&Arc<BoundProcesses>> {
        self.processes.as_ref()
    }

    /// Prepares the state of a device for processes that are bound to it.  The device has PASIDs.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    fn init_processes(&self) -> Result {
        if self.processes.as_ref().is_none() {
            self.processes.populate(BoundProcesses::new(GFP_KERNEL)?);
        }
        Ok(())
    }

    /// Returns the references on the registration that the driver holds.
    pub(crate) fn driver_refs(&self) -> &DriverRefs {
        &self.driver_refs
    }

    /// Returns the data that [`SetLocked`](crate::shared::vfio::SetLocked) gives access to.
    pub(crate) fn locked(&self) -> &LockedState {
        &self.locked
    }

    /// Returns the container handle of the device, if the device is open through a container.
    pub(crate) fn container(&self) -> Option<ContainerHandle> {
        self.container.lock().clone()
    }

    /// Sets or clears the container handle of the device, and returns the previous one.  The caller drops it in a
    /// context that may sleep.  The caller holds the set's lock.
    pub(crate) fn set_container(&self, handle: Option<ContainerHandle>) -> Option<ContainerHandle> {
        core::mem::replace(&mut *self.container.lock(), handle)
    }

    /// Returns the group in which the device is registered.  Returns None if the device is in no group.
    /// Unregistration clears the group after the last registration reference is dropped.
    pub(crate) fn group(&self) -> Option<Arc<Group>> {
        Some(self.membership.lock().as_ref()?.group().clone())
    }

    /// Tells whether the device is registered in `group`.  After unregistration has begun, this stays true
    /// until the last registration reference is dropped.
    pub(crate) fn is_in_group(&self, group: &Group) -> bool {
        let membership = self.membership.lock();
        membership
            .as_ref()
            .is_some_and(|m| core::ptr::eq(&raw const **m.group(), group))
    }

    /// Tells whether the device is open and holds a reference on a VM.  Takes no lock: the answer can be
    /// stale.
    pub(crate) fn holds_vm(&self) -> bool {
        self.holds_vm.load(Relaxed)
    }

    /// Sets whether the device is open and holds a reference on a VM.  The caller holds the set's lock.
    fn set_holds_vm(&self, holds_vm: bool) {
        self.holds_vm.store(holds_vm, Relaxed);
    }
}

/// Makes a device from zeroed memory.  Takes `DEVICES`.  If the driver's `init` fails, takes, one after the other: the
/// lock of the set that `init` has assigned, `SETS`, the lock of the link.  May sleep.
///
/// Order: the minor, the inode, the driver's `init`.  The caller then makes the device a reference-counted
/// object.  C counterpart: `vfio_init_device()`.
///
/// # Errors
///
/// In this order:
///
/// - `ENODEV`: the module is not loaded completely.
/// - `ENOSPC`: no minor is free.
/// - The errno of the pseudo file system.
/// - The errno of the driver's `init`; `EINVAL` if it returns a positive number.
///
/// `ENOMEM` is possible at several of these steps.
pub(crate) fn make(memory: DeviceMemory) -> Result<InitialisedDevice> {
    let minors = DEVICES.lock().as_ref().map(|d| d.minors.clone());
    let minor = minors.ok_or(ENODEV)?.take()?;
    let index = minor.number();
    let state = UniqueArc::pin_init(State::new(minor, PseudoInode::new()?), GFP_KERNEL)?;
    let device = memory.into_device(index, state);
    device.driver_init().map_err(|(mut device, e)| {
        sets::release(device.leave_set());
        e
    })
}

/// Releases a device whose last reference is dropped.  Takes, one after the other: the lock of its set, `SETS`, the
/// lock of the file list, the lock of the link.  May sleep.  C counterpart: `vfio_device_release()`.
///
/// Order: the set, the minor, the driver's `release`, the state with the inode, the memory.  Open files keep
/// the state and the inode, and can keep the minor.
pub(crate) fn release(mut device: InitialisedDevice) {
    sets::release(device.leave_set());
    let state = device.state();
    state.minor.leave_to_files(!state.holders.is_empty());
    // This calls the driver's `release`.
    drop(device);
}

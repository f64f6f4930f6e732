// SPDX-License-Identifier: GPL-2.0-only

//! Devices: their making and their end, and the state that the core keeps of each.
//!
//! C counterpart: `vfio_main.c`, "Device objects".
//!
//! Two counts keep a device, and they are two types.  The object lives while its class device has
//! references, which are the driver's.  Its *registration* lives while there are
//! [`RegistrationRef`](crate::shared::vfio::RegistrationRef)s: every file that has the device open
//! holds one, and unregistration waits for them.  A file that is not bound holds neither: it keeps
//! the [`State`], whose link to the device unregistration cuts.
//!
//! The number of a device is its minor and the `X` of `vfioX`.  It stays taken while files of the
//! device are open, though the device has gone: the files' `st_rdev` names no other device.
//!
//! Locks: [`DEVICES`] protects the numbers and is a leaf.

mod debugfs;
pub(crate) mod driver_refs;
pub(crate) mod holders;
pub(crate) mod open;
pub(crate) mod registration;
pub(crate) mod sets;

use crate::{
    container::ContainerAccess,
    group::{Group, Membership},
    kapi::{
        cdev::{Cdev, CharRegion},
        debugfs::Dir,
        ratelimit::RateLimit,
        roll::Roll,
    },
    minors::Minors,
    shared::{
        fs::PseudoInode,
        vfio::{
            set::LockedState, severable::Epoch, Added, DeviceMemory, InitialisedDevice, Severable,
        },
    },
    sva::BoundProcesses,
};
use driver_refs::DriverRefs;
use holders::Holder;
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, AtomicFlag},
        global_lock, Arc, GlobalLockedBy, Mutex, SpinLock,
    },
};

global_lock! {
    /// The numbers of devices; None before load and after unload.
    pub(crate) unsafe(uninit) static DEVICES: Mutex<Option<Devices>> = None;
}

/// How many numbers of devices that are gone are kept for their files.  The files are as many as
/// users like; the numbers are not.
const KEPT_NUMBERS: u32 = 1024;

/// The numbers of devices, and where devices are shown.
pub(crate) struct Devices {
    minors: Minors,
    /// How many are [`Number`]s of devices that are gone.
    kept: u32,
    debugfs: Option<Arc<Dir>>,
    region: Option<CharRegion<State>>,
}

impl Devices {
    /// `region` is None on a kernel without device nodes (`CONFIG_VFIO_DEVICE_CDEV=n`), `debugfs`
    /// on one without VFIO's debugging aids.
    pub(crate) fn new(region: Option<CharRegion<State>>, debugfs: Option<Arc<Dir>>) -> Self {
        Self {
            minors: Minors::new(),
            kept: 0,
            region,
            debugfs,
        }
    }
}

/// What open needs to know of a registered device.
pub(crate) struct Link {
    group: Arc<Group>,
    /// Of its place among the group's devices.
    key: u64,
}

impl Link {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

/// What a registration holds, undone by unregistration.
struct Registration {
    added: Added,
    /// None for a device without a node.
    cdev: Option<Cdev<State>>,
}

/// The core's own state of a device.  The device and every file of it share it; files may keep it
/// longer than the device exists.
#[pin_data]
pub(crate) struct State {
    number: Number,
    inode: PseudoInode,
    /// It is open, and holds a virtual machine; changed under the set's lock, and read without, by
    /// those who show it.
    machine: AtomicFlag,
    #[pin]
    link: Severable<Link>,
    /// What the set's lock protects: what the device is open by, while it is.
    locked: LockedState,
    /// How often the log says that an open or a bind was refused.
    #[pin]
    refusals: RateLimit,
    /// The processes that it may work for.
    processes: Arc<BoundProcesses>,
    /// Its open files.
    #[pin]
    holders: Roll<Holder>,
    /// The references on its registration that its driver holds.
    #[pin]
    driver_refs: DriverRefs,
    /// Its way to memory while it is open by a container, for the driver's calls, which hold no
    /// lock of ours.
    #[pin]
    container: SpinLock<Option<ContainerAccess>>,
    /// The device's place in its group, from before it can be opened until nobody has it open.
    #[pin]
    membership: Mutex<Option<Membership>>,
    #[pin]
    registration: Mutex<Option<Registration>>,
}

impl State {
    fn new(
        number: Number,
        inode: PseudoInode,
        processes: Arc<BoundProcesses>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            number,
            inode,
            machine: AtomicFlag::new(false),
            link <- Severable::new(),
            locked: LockedState::new(),
            refusals <- RateLimit::new(c"refused opens and binds"),
            processes,
            holders <- Roll::new(),
            driver_refs <- DriverRefs::new(),
            container <- new_spinlock!(None),
            membership <- new_mutex!(None),
            registration <- new_mutex!(None),
        })
    }

    /// The inode whose mapping all files of the device share.
    pub(crate) fn inode(&self) -> &PseudoInode {
        &self.inode
    }

    /// Its number: the minor, and the `X` of `vfioX`.
    pub(crate) fn index(&self) -> u32 {
        self.number.minor
    }

    /// The limit of what the log says of refusals.
    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    /// Looks at the device's parent, if the registration still is.
    pub(crate) fn with_parent<R>(
        &self,
        epoch: Epoch,
        f: impl FnOnce(&kernel::device::Device) -> R,
    ) -> Option<R> {
        let (registration, ()) = self.link.registration(epoch, |_| ())?;
        Some(f(registration.parent()))
    }

    /// The link to the device, cut by unregistration.
    pub(crate) fn link(&self) -> &Severable<Link> {
        &self.link
    }

    /// The processes whose address spaces it may use while it is bound.
    pub(crate) fn processes(&self) -> &Arc<BoundProcesses> {
        &self.processes
    }

    /// The references on its registration that its driver holds.
    pub(crate) fn driver_refs(&self) -> &DriverRefs {
        &self.driver_refs
    }

    /// For [`SetLocked`](crate::shared::vfio::SetLocked).
    pub(crate) fn locked(&self) -> &LockedState {
        &self.locked
    }

    /// Its way to memory, if it is open by a container.
    pub(crate) fn container(&self) -> Option<ContainerAccess> {
        self.container.lock().clone()
    }

    /// Sets or clears that, and gives what was set, to be dropped where one may sleep.  The caller
    /// holds the set's lock.
    pub(crate) fn set_container(&self, access: Option<ContainerAccess>) -> Option<ContainerAccess> {
        core::mem::replace(&mut *self.container.lock(), access)
    }

    /// The group that the device is, or until its last close was, registered in.
    pub(crate) fn group(&self) -> Option<Arc<Group>> {
        Some(self.membership.lock().as_ref()?.group().clone())
    }

    /// Whether the device is, or until its last close was, registered in a group.
    pub(crate) fn is_in_group(&self, group: &Group) -> bool {
        let membership = self.membership.lock();
        membership
            .as_ref()
            .is_some_and(|m| core::ptr::eq(&raw const **m.group(), group))
    }

    /// Whether it is open and holds a virtual machine, which the next moment may change.
    pub(crate) fn has_machine(&self) -> bool {
        self.machine.load(Relaxed)
    }

    /// Sets that.  The caller holds the set's lock.
    fn set_machine(&self, machine: bool) {
        self.machine.store(machine, Relaxed);
    }
}

/// For whom a number is taken.
enum Taken {
    ForDevice,
    /// The device has been released.
    ForFiles,
    /// The number has been released.
    No,
}

/// The number of a device, taken until the device is gone and its files are closed.
struct Number {
    minor: u32,
    taken: GlobalLockedBy<Taken, DEVICES>,
}

impl Number {
    fn take() -> Result<Self> {
        Ok(Self {
            minor: DEVICES.lock().as_mut().ok_or(ENODEV)?.minors.take()?,
            taken: GlobalLockedBy::new(Taken::ForDevice),
        })
    }

    /// The device is gone: its files keep the number, unless there are none, or too many are kept.
    fn leave_to_files(&self, has_files: bool) {
        let mut guard = DEVICES.lock();
        let Some(devices) = guard.as_mut() else {
            return;
        };
        let taken = if has_files && devices.kept < KEPT_NUMBERS {
            devices.kept += 1;
            Taken::ForFiles
        } else {
            devices.minors.give_back(self.minor);
            Taken::No
        };
        *self.taken.as_mut(&mut guard) = taken;
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut guard = DEVICES.lock();
        let Some(devices) = guard.as_mut() else {
            return;
        };
        match self.taken.get_mut() {
            Taken::ForDevice => {}
            Taken::ForFiles => devices.kept = devices.kept.saturating_sub(1),
            Taken::No => return,
        }
        devices.minors.give_back(self.minor);
    }
}

/// Makes a device of zeroed memory.
///
/// Order: number, inode, the driver's `init`; the caller makes it a counted object.
///
/// # Errors
///
/// `ENOSPC`, `ENOMEM`; the errno of the pseudo file system; the driver's.
pub(crate) fn make(memory: DeviceMemory) -> Result<InitialisedDevice> {
    let number = Number::take()?;
    let minor = number.minor;
    let state = State::new(
        number,
        PseudoInode::new()?,
        BoundProcesses::new(GFP_KERNEL)?,
    );
    let state = Arc::pin_init(state, GFP_KERNEL)?;
    let device = memory.into_device(minor, state);
    device.driver_init().map_err(|(mut device, e)| {
        sets::release(device.leave_set());
        e
    })
}

/// The end of a device: its last reference is gone.
///
/// Order: the set, the number, the driver's `release`, the inode, the memory.
pub(crate) fn release(mut device: InitialisedDevice) {
    sets::release(device.leave_set());
    let state = device.state();
    state.number.leave_to_files(!state.holders.is_empty());
    // Calls the driver's `release`.
    drop(device);
}

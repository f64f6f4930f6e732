// SPDX-License-Identifier: GPL-2.0-only

//! Devices: their making and their end, and the state that the core keeps of each.
//!
//! C counterpart: `vfio_main.c`, "Device objects".
//!
//! Two counts keep a device, and they are two types.  The object lives while its class device has
//! references, which are the driver's.  Its *registration* lives while there are
//! [`RegistrationRef`](crate::kapi::vfio::RegistrationRef)s: every file that has the device open
//! holds one, and unregistration waits for them.  A file that is not bound holds neither: it keeps
//! the [`State`], whose link to the device unregistration cuts.
//!
//! Locks: [`DEVICES`] protects the minors and is a leaf.

pub(crate) mod holders;
pub(crate) mod open;
pub(crate) mod registration;
pub(crate) mod sets;

use crate::{
    container::ContainerAccess,
    debugfs::DeviceDir,
    group::{Group, Membership},
    kapi::{
        cdev::CharRegion,
        debugfs,
        fs::PseudoInode,
        ratelimit::RateLimit,
        roll::Roll,
        vfio::{
            set::SetProtected, severable::Epoch, DeviceMemory, NewDevice, RegistrationRef,
            Severable,
        },
    },
    minors::Minors,
    sva::BoundProcesses,
};
use holders::Holder;
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        global_lock, Arc, Mutex, SpinLock,
    },
};
use open::FirstOpen;

global_lock! {
    /// The minors of the range `vfio-dev`; None before load and after unload.
    pub(crate) unsafe(uninit) static DEVICES: Mutex<Option<Devices>> = None;
}

/// The range of device nodes and the devices that are registered in it.
pub(crate) struct Devices {
    minors: Minors<State>,
    debugfs: Option<Arc<debugfs::Dir>>,
    region: Option<CharRegion>,
}

impl Devices {
    /// `region` is None on a kernel without device nodes (`CONFIG_VFIO_DEVICE_CDEV=n`), `debugfs`
    /// on one without VFIO's debugging aids.
    pub(crate) fn new(region: Option<CharRegion>, debugfs: Option<Arc<debugfs::Dir>>) -> Self {
        Self {
            minors: Minors::new(),
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
    first: RegistrationRef,
    debugfs: Option<DeviceDir>,
}

/// The core's own state of a device.  The device and every file of it share it; files may keep it
/// longer than the device exists.
#[pin_data]
pub(crate) struct State {
    index: u32,
    inode: PseudoInode,
    /// Counts attachments and detachments; changed under the set's lock.
    attach_generation: Atomic<u64>,
    #[pin]
    link: Severable<Link>,
    /// What the device is open by, while it is.
    first_open: SetProtected<FirstOpen>,
    /// How often the log says that an open or a bind was refused.
    #[pin]
    refusals: RateLimit,
    /// The processes that it may work for.
    processes: Arc<BoundProcesses>,
    /// Its open files.
    #[pin]
    holders: Roll<Holder>,
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
    fn new(index: u32, inode: PseudoInode, processes: Arc<BoundProcesses>) -> impl PinInit<Self> {
        pin_init!(Self {
            index,
            inode,
            attach_generation: Atomic::new(0),
            link <- Severable::new(),
            first_open: SetProtected::new(),
            refusals <- RateLimit::new(c"refused opens and binds"),
            processes,
            holders <- Roll::new(),
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
        self.index
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

    /// What the first open took, for [`SetLocked`](crate::kapi::vfio::SetLocked).
    pub(crate) fn first_open(&self) -> &SetProtected<FirstOpen> {
        &self.first_open
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

    /// Counts a change of what is attached.  The caller holds the set's lock.
    pub(crate) fn count_attach(&self) -> u64 {
        self.attach_generation.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// The count of the last change.  The caller holds the set's lock.
    pub(crate) fn attach_generation(&self) -> u64 {
        self.attach_generation.load(Relaxed)
    }

    /// The state of the device that is registered under a minor.
    ///
    /// # Errors
    ///
    /// `ENXIO` when there is no device; `ENODEV` when it is not, or no longer, registered.
    pub(crate) fn by_minor(minor: u32) -> Result<Arc<Self>> {
        DEVICES.lock().as_ref().ok_or(ENXIO)?.minors.get(minor)
    }
}

/// A minor taken for a device that is being made; given back when dropped.
struct Index(u32);

impl Index {
    fn take() -> Result<Self> {
        Ok(Self(DEVICES.lock().as_mut().ok_or(ENODEV)?.minors.take()?))
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Some(devices) = DEVICES.lock().as_mut() {
            devices.minors.give_back(self.0);
        }
    }
}

/// Makes a device of zeroed memory.
///
/// Order: index, inode, the driver's `init`; the caller makes it a counted object.
///
/// # Errors
///
/// `ENOSPC`, `ENOMEM`; the errno of the pseudo file system; the driver's.
pub(crate) fn make(memory: DeviceMemory) -> Result<NewDevice> {
    let index = Index::take()?;
    let state = State::new(index.0, PseudoInode::new()?, BoundProcesses::new()?);
    let state = Arc::pin_init(state, GFP_KERNEL)?;
    let mut device = memory.into_device(index.0, state);
    if let Err(e) = device.driver_init() {
        sets::release(device.as_device());
        return Err(e);
    }
    // The device's until its release.
    core::mem::forget(index);
    Ok(device)
}

/// The end of a device: its last reference is gone.
///
/// Order: the set, the index, the driver's `release`, the inode, the memory.
pub(crate) fn release(mut device: NewDevice) {
    sets::release(device.as_device());
    let index = device.as_device().state().index;
    drop(Index(index));
    device.driver_release();
}

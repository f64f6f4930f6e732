// SPDX-License-Identifier: GPL-2.0-only

//! Groups: `/dev/vfio/$GROUP`, the legacy interface to devices.
//!
//! C counterpart: `group.c`.
//!
//! The IOMMU cannot isolate the devices of one IOMMU group from each other.  So a group is used either
//! through the group file or through cdev files of its devices, never both.  The type [`Users`] records
//! by which of the two the group is used.
//!
//! Locks:
//!
//! - `GROUPS`, the lock of the table, is outside `Group::inner`.
//! - `Group::change` is outside `Group::inner`, the locks of containers and the locks of [`BoundProcesses`].
//! - `Group::inner` and the lock of a device set are never held together.
//! - `Group::devices`, the list of a group's devices, is held during the driver's `match`.  Locks of the
//!   driver are inside it.
//! - `NODES` is a leaf.

pub(crate) mod backend;
pub(crate) mod table;
mod users;

use crate::{
    kapi::{
        device::has_iommu,
        iommu::{enforces_coherency, IommuGroup},
        kvm::KvmSlot,
        ratelimit::RateLimit,
        uaccess::UserString,
    },
    minors::Minor,
    refusal::{Reason, Refusal},
    shared::{
        params::enable_unsafe_noiommu_mode,
        vfio::{iommu_driver::GroupType, RegistrationRef},
    },
    sva::{self, BoundProcesses},
};
use core::num::NonZeroU32;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{Arc, Mutex},
};
pub(crate) use table::{Membership, GROUPS, NODES};
pub(crate) use users::GroupBackend;
use users::{BackendState, Users};

/// How a device accesses memory.
pub(crate) enum Backing {
    /// Through an IOMMU.  The IOMMU core has made the group.
    Iommu(IommuGroup),
    /// Through its driver, which emulates the device and does the DMA in software.
    Emulated,
    /// Without an IOMMU.  Nothing restricts DMA: user space can make the device overwrite any memory.
    NoIommu,
}

impl Backing {
    /// Returns the value for a physical device.  Reads `enable_unsafe_noiommu_mode` only once, because the
    /// parameter can change at any time.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device has no IOMMU group, and `enable_unsafe_noiommu_mode` is off.
    /// - `EINVAL`: the device is in an IOMMU group although it has no IOMMU.  iommufd would treat the device
    ///   as a device without isolation.
    pub(crate) fn of_physical(dev: &kernel::device::Device) -> Result<Self> {
        match IommuGroup::of(dev) {
            Some(group) if has_iommu(dev) => Ok(Self::Iommu(group)),
            None if enable_unsafe_noiommu_mode() => Ok(Self::NoIommu),
            _ => Err(EINVAL),
        }
    }

    /// Returns the value for a device that its driver emulates.
    pub(crate) fn emulated(_dev: &kernel::device::Device) -> Result<Self> {
        Ok(Self::Emulated)
    }

    /// Returns the type of the group.
    pub(crate) fn group_type(&self) -> GroupType {
        match self {
            Self::Iommu(_) => GroupType::Iommu,
            Self::Emulated => GroupType::Emulated,
            Self::NoIommu => GroupType::NoIommu,
        }
    }
}

struct Inner {
    /// None after the last device has left, and on a kernel without groups (`CONFIG_VFIO_GROUP=n`).
    iommu_group: Option<IommuGroup>,
    users: Users,
}

/// A reserved entry in a group's list of devices.
pub(crate) struct Reservation {
    key: u64,
    node: RBTreeNodeReservation<u64, RegistrationRef>,
}

impl Reservation {
    /// Returns the key of the device in the list.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }
}

/// The devices that can be opened through a group.  Keys decrease, so the latest device comes first.
/// Unregistration removes a device before it waits for the users of the device.
struct Devices {
    registrations: RBTree<u64, RegistrationRef>,
    /// The key of the next device.
    next: u64,
}

/// A group of devices that VFIO drivers have registered.
#[pin_data]
pub(crate) struct Group {
    group_type: GroupType,
    /// The id of the IOMMU group, or -1 on a kernel without groups.
    id: i32,
    /// The VM that KVM has assigned to the group file.
    #[pin]
    kvm: KvmSlot,
    /// The minor, which stays allocated until the last file of the group is closed.  None on a kernel without
    /// group nodes.
    _minor: Option<Minor>,
    /// Held while the backend of the group file changes.  It is outside `inner`.
    #[pin]
    change: Mutex<()>,
    #[pin]
    inner: Mutex<Inner>,
    /// The devices that can be opened through the group.
    #[pin]
    devices: Mutex<Devices>,
    /// The limit on log lines about refused opens.
    #[pin]
    refusals: RateLimit,
}

/// The answer to `VFIO_GROUP_GET_STATUS`.
pub(crate) struct Status {
    /// A container or an iommufd is set.
    pub(crate) has_backend: bool,
    /// True in either of these cases: a backend is set or is being changed; the DMA ownership of the group is not
    /// claimed.  If the backend is an iommufd, the first open of a device can still fail to claim the ownership.
    pub(crate) viable: bool,
}

impl Group {
    fn new(
        iommu_group: Option<IommuGroup>,
        group_type: GroupType,
        minor: Option<Minor>,
    ) -> impl PinInit<Self> {
        let id = iommu_group.as_ref().map_or(-1, IommuGroup::id);
        pin_init!(Self {
            group_type,
            id,
            kvm <- KvmSlot::new(),
            _minor: minor,
            change <- new_mutex!((), "Group::change"),
            inner <- new_mutex!(Inner {
                iommu_group,
                users: Users::None,
            }, "Group::inner"),
            devices <- new_mutex!(Devices {
                registrations: RBTree::new(),
                next: u64::MAX,
            }),
            refusals <- RateLimit::new(c"refused opens of a group"),
        })
    }

    /// Returns the type of the group: how its devices access memory.
    pub(crate) fn group_type(&self) -> GroupType {
        self.group_type
    }

    /// Tells whether the group is a noiommu group (`VFIO_NO_IOMMU`).
    pub(crate) fn is_noiommu(&self) -> bool {
        self.group_type == GroupType::NoIommu
    }

    /// Returns the id of the IOMMU group, which names the group in user space.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Returns the limit on log lines about refused opens.
    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    /// Returns the slot in which KVM records the VM of the group.
    pub(crate) fn kvm(&self) -> &KvmSlot {
        &self.kvm
    }

    /// Counts a device file as a user of the group until the result is dropped.  Takes `Group::inner`.  C
    /// counterpart: `vfio_device_block_group()`.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the group file is open, or the number of device files would overflow.
    #[inline]
    pub(crate) fn block(self: Arc<Self>) -> Result<GroupBlock> {
        let mut inner = self.inner.lock();
        let count = match inner.users {
            Users::None => NonZeroU32::MIN,
            Users::GroupFile(_) => return Err(EBUSY),
            Users::Cdevs(count) => count.checked_add(1).ok_or(EBUSY)?,
        };
        inner.users = Users::Cdevs(count);
        drop(inner);
        Ok(GroupBlock(self))
    }

    /// Marks the group as used through the group file.  Takes `Group::inner`.  C counterpart:
    /// `vfio_group_fops_open()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `ENODEV`: the last device has left the group.
    /// - `EPERM`: the group has no IOMMU, and `privileged` returns false.
    /// - `EBUSY`: the group file is open, or a device of the group is bound.
    pub(crate) fn open(&self, privileged: impl FnOnce() -> bool) -> Result<(), Refusal> {
        let mut inner = self.inner.lock();
        if inner.iommu_group.is_none() {
            return Err(ENODEV.into());
        }
        if self.is_noiommu() && !privileged() {
            return Err(Reason::NeedsRawIo.with(EPERM));
        }
        match inner.users {
            Users::None => {
                inner.users = Users::GroupFile(BackendState::None);
                Ok(())
            }
            Users::GroupFile(_) => Err(Reason::GroupFileOpen.with(EBUSY)),
            Users::Cdevs(_) => Err(Reason::DeviceBound.with(EBUSY)),
        }
    }

    /// Undoes [`open`](Self::open), and releases the backend.  Waits for a change of the backend in progress.
    /// Can also wait for page requests in flight and for the container driver's lock of its mappings.  Takes
    /// `Group::change`, and inside it, one after the other, `Group::inner` and the locks that the drop of a
    /// [`ContainerMembership`](crate::container::ContainerMembership) takes.
    ///
    /// C counterpart: `vfio_group_fops_release()`.
    pub(crate) fn close(&self) {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        if let Users::GroupFile(state @ BackendState::Set(_)) = &mut inner.users {
            let backend = core::mem::replace(state, BackendState::Changing);
            drop(inner);
            // The group stays in use until the release is done, so the next open finds it without a backend.
            drop(backend);
            inner = self.inner.lock();
        }
        inner.users = Users::None;
    }

    /// Returns the status of the group.  Takes `Group::inner`.  C counterpart:
    /// `vfio_group_ioctl_get_status()`.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the last device has left the group.
    pub(crate) fn status(&self) -> Result<Status> {
        let inner = self.inner.lock();
        let group = inner.iommu_group.as_ref().ok_or(ENODEV)?;
        let (has_backend, changing) = inner.users.state();
        if has_backend || changing {
            return Ok(Status {
                has_backend,
                viable: true,
            });
        }
        let group = group.clone();
        // The next call takes the IOMMU core's lock of the group.  The IOMMU core can hold that lock while it
        // waits for page requests in flight.
        drop(inner);
        if !group.dma_owner_claimed() {
            return Ok(Status {
                has_backend: false,
                viable: true,
            });
        }
        // A `VFIO_GROUP_SET_CONTAINER` of this group can have claimed the DMA ownership in the meantime.
        let (has_backend, changing) = self.inner.lock().users.state();
        Ok(Status {
            has_backend,
            viable: has_backend || changing,
        })
    }

    /// Sets the backend of the group file: the result of `make`, which gets the IOMMU group and the type of the
    /// group.  Takes `Group::change`, and `Group::inner` inside it.  `Group::inner` is not held while `make` runs.
    ///
    /// C counterpart: `vfio_group_ioctl_set_container()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: a backend is already set.
    /// - `ENODEV`: the last device has left the group.
    /// - Those of `make`.
    pub(crate) fn set(
        &self,
        make: impl FnOnce(IommuGroup, GroupType) -> Result<GroupBackend>,
    ) -> Result {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        let Inner { iommu_group, users } = &mut *inner;
        let Users::GroupFile(state @ BackendState::None) = users else {
            return Err(EINVAL);
        };
        let iommu_group = iommu_group.as_ref().ok_or(ENODEV)?.clone();
        *state = BackendState::Changing;
        drop(inner);

        let (state, result) = match make(iommu_group, self.group_type) {
            Ok(backend) => (BackendState::Set(backend), Ok(())),
            Err(e) => (BackendState::None, Err(e)),
        };
        self.inner.lock().users = Users::GroupFile(state);
        result
    }

    /// Releases the backend.  Devices that are open through an iommufd stay open.  Locks and waits: as for
    /// [`close`](Self::close).
    ///
    /// C counterpart: `vfio_group_ioctl_unset_container()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: no backend is set.
    /// - `EBUSY`: a device is open through the container.
    pub(crate) fn unset(&self) -> Result {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        let Users::GroupFile(state) = &mut inner.users else {
            return Err(EINVAL);
        };
        let backend = match state {
            BackendState::None | BackendState::Changing => return Err(EINVAL),
            BackendState::Set(GroupBackend::Container { opens, .. }) if *opens != 0 => {
                return Err(EBUSY)
            }
            BackendState::Set(_) => core::mem::replace(state, BackendState::Changing),
        };
        drop(inner);
        drop(backend);
        self.inner.lock().users = Users::GroupFile(BackendState::None);
        Ok(())
    }

    /// Returns the processes of the group's container, if the group is in a container.  Takes `Group::inner`.
    pub(crate) fn processes(&self) -> Option<Arc<BoundProcesses>> {
        match &self.inner.lock().users {
            Users::GroupFile(BackendState::Set(GroupBackend::Container { membership, .. })) => {
                Some(membership.container().processes().clone())
            }
            _ => None,
        }
    }

    /// Unbinds the container's processes that are bound to `dev`.  Called when `dev` leaves the group and
    /// other devices stay in it.  The processes were bound before the other devices joined, because a bind
    /// requires a group with one device.
    fn remove_from_processes(&self, dev: &kernel::device::Device) {
        // A change of the group can take long, so skip the lock unless processes are bound.
        if !sva::is_used() {
            return;
        }
        let _change = self.change.lock();
        if let Some(processes) = self.processes() {
            processes.remove_device(dev);
        }
    }

    /// Reserves an entry in the list for one more device, in front of the existing devices.  Takes
    /// `Group::devices`.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn reserve(&self) -> Result<Reservation> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut devices = self.devices.lock();
        let key = devices.next;
        devices.next = key.wrapping_sub(1);
        Ok(Reservation { key, node })
    }

    /// Adds a device to the list.  The device can be opened by its name until [`remove`](Self::remove).
    /// Takes `Group::devices`.  C counterpart: `vfio_device_group_register()`.
    pub(crate) fn add(&self, reservation: Reservation, device: RegistrationRef) {
        let Reservation { key, node } = reservation;
        let node = node.into_node(key, device);
        self.devices.lock().registrations.insert(node);
    }

    /// Undoes [`add`](Self::add).  `key` is the key of the [`Reservation`].  Takes `Group::devices`.
    /// C counterpart: `vfio_device_group_unregister()`.
    pub(crate) fn remove(&self, key: u64) {
        let removed = self.devices.lock().registrations.remove(&key);
        drop(removed);
    }

    /// Tells whether the IOMMU makes all DMA of the group's devices coherent, whatever the devices request.
    /// Devices that are being unregistered are skipped.  Takes `Group::devices`.  C counterpart:
    /// `vfio_group_enforced_coherent()`.
    pub(crate) fn enforces_coherency(&self) -> bool {
        let devices = self.devices.lock();
        let mut registrations = devices.registrations.values();
        registrations.all(|device| enforces_coherency(device.bound_parent()))
    }

    /// Returns the device with the given name.  The name is compared with the latest device first.  Holds the
    /// lock of the list during the driver's `match`.
    ///
    /// C counterpart: `vfio_device_get_from_name()`.
    ///
    /// # Errors
    ///
    /// - The errno of the first driver whose `match` fails.
    /// - `ENODEV`: the group has no such device.
    pub(crate) fn find(&self, name: &mut UserString) -> Result<RegistrationRef> {
        for device in self.devices.lock().registrations.values() {
            // Most devices have another name.  No reference on such a device is taken.
            if !device.has_name(name)? {
                continue;
            }
            // The list holds a reference, so another reference can be taken.
            if let Some(found) = RegistrationRef::try_get(device) {
                return Ok(found);
            }
        }
        Err(ENODEV)
    }

    /// Takes the IOMMU group out of this group, whose last device leaves.  Afterwards [`open`](Self::open),
    /// [`status`](Self::status) and [`set`](Self::set) fail with `ENODEV`.  The drop of the result does the
    /// remaining steps.
    fn retire(self: &Arc<Self>) -> Retired {
        Retired {
            _iommu_group: self.inner.lock().iommu_group.take(),
            group: self.clone(),
        }
    }
}

/// A group whose last device leaves.
struct Retired {
    group: Arc<Group>,
    _iommu_group: Option<IommuGroup>,
}

/// The group leaves its container.  An iommufd stays until the file is closed, as in the C core.  The caller
/// holds no lock of the core, because the drop waits for changes in progress and for page requests in flight.
impl Drop for Retired {
    fn drop(&mut self) {
        let _change = self.group.change.lock();
        let mut inner = self.group.inner.lock();
        let backend = match &mut inner.users {
            Users::GroupFile(state @ BackendState::Set(GroupBackend::Container { .. })) => {
                core::mem::replace(state, BackendState::None)
            }
            _ => BackendState::None,
        };
        drop(inner);
        drop(backend);
    }
}

/// The use of a group by one file of a device node.  While a `GroupBlock` exists, the group file cannot be opened.
/// The file holds a `GroupBlock` while the file is bound or is being bound.  The drop takes `Group::inner`.  C
/// counterpart of the drop: `vfio_device_unblock_group()`.
pub(crate) struct GroupBlock(Arc<Group>);

impl Drop for GroupBlock {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.users = match inner.users {
            Users::Cdevs(count) => match NonZeroU32::new(count.get() - 1) {
                Some(count) => Users::Cdevs(count),
                None => Users::None,
            },
            // Not reached: this block is counted in `Cdevs`.
            Users::None | Users::GroupFile(_) => return,
        };
    }
}

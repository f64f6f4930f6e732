// SPDX-License-Identifier: GPL-2.0-only

//! Groups: `/dev/vfio/$GROUP`, the legacy way to devices, and its exclusion of the modern one.
//!
//! C counterpart: `group.c`.
//!
//! The devices of one IOMMU group cannot be kept apart, so a group is used through its own file or
//! through files of its devices, never both: that is one value, [`Users`].
//!
//! Locks: [`GROUPS`], the table, is outside each group's own lock, which is outside the device
//! sets'.  The list of a group's devices has a lock of its own, which is held over the driver's
//! `match`; inside it are those of the links to devices.  [`NODES`] is a leaf.

pub(crate) mod table;

use crate::{
    device::{Dma, State},
    kapi::{
        device::has_iommu,
        iommu::IommuGroup,
        iommufd::Ctx,
        kvm::KvmSlot,
        ratelimit::RateLimit,
        uaccess::UserString,
        vfio::{severable::Epoch, RegistrationRef},
    },
    refusal::{Reason, Refusal},
};
use core::num::NonZeroU32;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
};
use table::Node;

pub(crate) use table::{Membership, GROUPS, NODES};

/// What stands between a device and memory.
pub(crate) enum Backing {
    /// An IOMMU, which made the group.
    Iommu(IommuGroup),
    /// The driver: it emulates the device and does its DMA by software.
    Emulated,
    /// Nothing: user space can make the device overwrite any memory.
    NoIommu,
}

impl Backing {
    /// Of a physical device.
    ///
    /// `noiommu_mode` is the administrator's word that devices without an IOMMU may be used.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a device without a group unless in that mode, and for one that is in a group
    /// though it has no IOMMU: iommufd would take it for one without isolation.
    pub(crate) fn of_physical(dev: &kernel::device::Device, noiommu_mode: bool) -> Result<Self> {
        match IommuGroup::of(dev) {
            Some(group) if has_iommu(dev) => Ok(Self::Iommu(group)),
            None if noiommu_mode => Ok(Self::NoIommu),
            _ => Err(EINVAL),
        }
    }

    /// Whether there is no IOMMU.
    pub(crate) fn is_noiommu(&self) -> bool {
        matches!(self, Self::NoIommu)
    }
}

/// Who uses a group.  Both at once cannot be written down.
enum Users {
    None,
    /// The group's file, perhaps with an iommufd for the devices that are opened by it.
    GroupFile(Option<ARef<Ctx>>),
    /// So many files of its devices, bound or about to be.
    Cdevs(NonZeroU32),
}

struct Inner {
    /// None once the last device has left.
    iommu_group: Option<IommuGroup>,
    users: Users,
}

/// A group of devices that VFIO drivers have registered.
#[pin_data]
pub(crate) struct Group {
    noiommu: bool,
    /// The id of its IOMMU group.
    id: i32,
    /// The machine that KVM says its file belongs to.
    #[pin]
    kvm: KvmSlot,
    /// Its minor; None on a kernel without nodes for groups.
    node: Option<Node>,
    #[pin]
    inner: Mutex<Inner>,
    /// The devices that can be opened by it, the latest last.
    #[pin]
    devices: Mutex<KVec<Arc<State>>>,
    /// How often the log says that an open was refused.
    #[pin]
    refusals: RateLimit,
}

/// What `VFIO_GROUP_GET_STATUS` tells.
pub(crate) struct Status {
    pub(crate) has_iommufd: bool,
    /// As far as one can see before a device is opened, no driver of the host does DMA in the
    /// group.
    pub(crate) viable: bool,
}

impl Group {
    fn new(
        iommu_group: Option<IommuGroup>,
        noiommu: bool,
        node: Option<Node>,
    ) -> impl PinInit<Self> {
        let id = iommu_group.as_ref().map_or(-1, IommuGroup::id);
        pin_init!(Self {
            noiommu,
            id,
            kvm <- KvmSlot::new(),
            node,
            inner <- new_mutex!(Inner {
                iommu_group,
                users: Users::None,
            }),
            devices <- new_mutex!(KVec::new()),
            refusals <- RateLimit::new(c"refused opens of a group"),
        })
    }

    /// Whether there is no IOMMU.
    pub(crate) fn is_noiommu(&self) -> bool {
        self.noiommu
    }

    /// The id of its IOMMU group, by which user space knows it.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// The limit of what the log says of refusals.
    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    /// Where KVM notes its machine.
    pub(crate) fn kvm(&self) -> &KvmSlot {
        &self.kvm
    }

    /// Counts a device file as a user of the group, until the token is dropped.
    ///
    /// # Errors
    ///
    /// `EBUSY` when the group's own file is open.
    pub(crate) fn block(self: &Arc<Self>) -> Result<GroupBlock> {
        let mut inner = self.inner.lock();
        let count = match inner.users {
            Users::None => NonZeroU32::MIN,
            Users::GroupFile(_) => return Err(EBUSY),
            Users::Cdevs(count) => count.checked_add(1).ok_or(EBUSY)?,
        };
        inner.users = Users::Cdevs(count);
        Ok(GroupBlock(self.clone()))
    }

    /// Marks the group as used by its own file.
    ///
    /// # Errors
    ///
    /// In this order: `ENODEV` when the last device has left; `EPERM` without an IOMMU, unless
    /// `privileged`; `EBUSY` when the group is in use either way.
    pub(crate) fn open(&self, privileged: impl FnOnce() -> bool) -> Result<(), Refusal> {
        let mut inner = self.inner.lock();
        if inner.iommu_group.is_none() {
            return Err(ENODEV.into());
        }
        if self.noiommu && !privileged() {
            return Err(Reason::NeedsRawIo.with(EPERM));
        }
        match inner.users {
            Users::None => {
                inner.users = Users::GroupFile(None);
                Ok(())
            }
            Users::GroupFile(_) => Err(Reason::GroupFileOpen.with(EBUSY)),
            Users::Cdevs(_) => Err(Reason::DeviceBound.with(EBUSY)),
        }
    }

    /// The end of [`open`](Self::open).
    pub(crate) fn close(&self) {
        let users = core::mem::replace(&mut self.inner.lock().users, Users::None);
        drop(users);
    }

    /// What can be told of the group.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the last device has left.
    pub(crate) fn status(&self) -> Result<Status> {
        let inner = self.inner.lock();
        let group = inner.iommu_group.as_ref().ok_or(ENODEV)?;
        let has_iommufd = matches!(inner.users, Users::GroupFile(Some(_)));
        Ok(Status {
            has_iommufd,
            viable: has_iommufd || !group.dma_owner_claimed(),
        })
    }

    /// Sets the iommufd that devices are opened with, and prepares it for the ioctls of containers.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` when one is set; `ENODEV` when the last device has left; those of
    /// `lookup`; `EINVAL` when the iommufd serves groups with an IOMMU and this one has none, or
    /// the other way round; `ENOMEM`.
    pub(crate) fn set_iommufd(&self, lookup: impl FnOnce() -> Result<ARef<Ctx>>) -> Result {
        let mut inner = self.inner.lock();
        let Inner { iommu_group, users } = &mut *inner;
        let Users::GroupFile(iommufd @ None) = users else {
            return Err(EINVAL);
        };
        if iommu_group.is_none() {
            return Err(ENODEV);
        }
        let ctx = lookup()?;
        match self.noiommu {
            true => ctx.set_compat_noiommu()?,
            false => ctx.create_compat_ioas()?,
        }
        *iommufd = Some(ctx);
        Ok(())
    }

    /// Takes the iommufd back.  Devices that are open by it stay so.
    ///
    /// # Errors
    ///
    /// `EINVAL` when none is set.
    pub(crate) fn unset_iommufd(&self) -> Result {
        let ctx = match &mut self.inner.lock().users {
            Users::GroupFile(iommufd) => iommufd.take(),
            Users::None | Users::Cdevs(_) => None,
        };
        ctx.map(drop).ok_or(EINVAL)
    }

    /// The iommufd that is set.
    pub(crate) fn iommufd(&self) -> Option<ARef<Ctx>> {
        match &self.inner.lock().users {
            Users::GroupFile(iommufd) => iommufd.clone(),
            Users::None | Users::Cdevs(_) => None,
        }
    }

    /// Lets a device be opened by its name, until [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add(&self, device: Arc<State>) -> Result {
        Ok(self.devices.lock().push(device, GFP_KERNEL)?)
    }

    /// The end of [`add`](Self::add).
    pub(crate) fn remove(&self, device: &State) {
        let mut devices = self.devices.lock();
        let index = devices
            .iter()
            .position(|d| core::ptr::eq(&raw const **d, device));
        let removed = index.and_then(|index| devices.remove(index).ok());
        drop(devices);
        drop(removed);
    }

    /// The device that goes by a name; the latest is asked first.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none; the errno of a driver that looks at the name.
    pub(crate) fn find(&self, name: &mut UserString) -> Result<(RegistrationRef, Epoch, Dma)> {
        for device in self.devices.lock().iter().rev() {
            let Some((epoch, dma)) = device.link().with(|link| link.dma()) else {
                continue;
            };
            let Some((registration, ())) = device.link().registration(epoch, |_| ()) else {
                continue;
            };
            if registration.has_name(name)? {
                return Ok((registration, epoch, dma));
            }
        }
        Err(ENODEV)
    }

    /// Nothing can be done with the group any more: the last device leaves.
    fn revoke(&self) -> Option<IommuGroup> {
        self.inner.lock().iommu_group.take()
    }
}

/// Keeps a group's own file closed, for a device file that is bound.
pub(crate) struct GroupBlock(Arc<Group>);

impl Drop for GroupBlock {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.users = match inner.users {
            Users::Cdevs(count) => match NonZeroU32::new(count.get() - 1) {
                Some(count) => Users::Cdevs(count),
                None => Users::None,
            },
            // A block counts itself in, so neither of these can be.
            Users::None | Users::GroupFile(_) => return,
        };
    }
}

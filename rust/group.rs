// SPDX-License-Identifier: GPL-2.0-only

//! Groups: `/dev/vfio/$GROUP`, the legacy way to devices, and its exclusion of the modern one.
//!
//! C counterpart: `group.c`.
//!
//! The devices of one IOMMU group cannot be kept apart, so a group is used through its own file or
//! through files of its devices, never both: that is one value, [`Users`].
//!
//! Locks: [`GROUPS`], the table, is outside each group's own lock, which is outside the device
//! sets'.  [`NODES`] is a leaf.

pub(crate) mod file;
pub(crate) mod table;

use crate::kapi::{device::has_iommu, iommu::IommuGroup, kvm::KvmSlot};
use core::num::NonZeroU32;
use kernel::{new_mutex, prelude::*, sync::Arc, sync::Mutex};
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
    /// The group's file.
    GroupFile,
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
        })
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
            Users::GroupFile => return Err(EBUSY),
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
    fn open(&self, privileged: impl FnOnce() -> bool) -> Result {
        let mut inner = self.inner.lock();
        if inner.iommu_group.is_none() {
            return Err(ENODEV);
        }
        if self.noiommu && !privileged() {
            return Err(EPERM);
        }
        match inner.users {
            Users::None => {
                inner.users = Users::GroupFile;
                Ok(())
            }
            Users::GroupFile | Users::Cdevs(_) => Err(EBUSY),
        }
    }

    /// The end of [`open`](Self::open).
    fn close(&self) {
        self.inner.lock().users = Users::None;
    }

    /// Whether no driver of the host and no other user does DMA in the group.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the last device has left.
    fn is_viable(&self) -> Result<bool> {
        let inner = self.inner.lock();
        let group = inner.iommu_group.as_ref().ok_or(ENODEV)?;
        Ok(!group.dma_owner_claimed())
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
            Users::None => Users::None,
            Users::GroupFile => Users::GroupFile,
        };
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The table of groups and of the devices in each group.
//!
//! C counterpart: `group.c`, section "Group objects".  The key of a group is the id of its IOMMU group.  The
//! C core walks a list instead.
//!
//! Locks: `GROUPS` is held while the class device of a group is made and while it is removed.  Otherwise a
//! new group for the same IOMMU group could find the old name still in use.

use super::{Backing, Group, Retired};
use crate::{
    kapi::{
        cdev::{Cdev, CharRegion},
        class::{ClassDevice, ClassRegistration},
        iommu::{FakeMember, IommuGroup},
        panic::warn_on,
    },
    minors::Minors,
    shared::vfio::iommu_driver::GroupType,
};
use kernel::{
    device::Device,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{aref::ARef, global_lock, Arc},
};

global_lock! {
    /// The groups that have devices, by the ids of their IOMMU groups.  None until the init function has stored
    /// the value, and again when the unload has dropped it.
    pub(crate) unsafe(uninit) static GROUPS: Mutex<Option<RBTree<i32, Entry>>> = None;
}

global_lock! {
    /// The device number range of group nodes.  None until the init function has stored the value, again when
    /// the unload has dropped it, and on a kernel without group nodes.
    pub(crate) unsafe(uninit) static NODES: Mutex<Option<Nodes>> = None;
}

/// The device number range of group nodes.
pub(crate) struct Nodes {
    minors: Arc<Minors>,
    region: CharRegion<Group>,
    class: Arc<ClassRegistration>,
}

impl Nodes {
    /// Returns a value in which all minors are free.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new(region: CharRegion<Group>, class: Arc<ClassRegistration>) -> Result<Self> {
        Ok(Self {
            minors: Minors::new()?,
            region,
            class,
        })
    }
}

/// A group in the table.
pub(crate) struct Entry {
    group: Arc<Group>,
    /// The devices in the group, by their addresses.
    members: RBTree<usize, ARef<Device>>,
    /// Dropped before the class device, so that opens of a node that still exists fail.
    _cdev: Cdev<Group>,
    /// The class device with its node.
    _class_device: ClassDevice,
}

/// A device's membership in its group.  The drop of the last membership removes the group.  The drop takes
/// `GROUPS`.  The drop of the last membership takes `Group::inner` inside it.  After the release of
/// `GROUPS`, the drop can take `Group::change`, `Group::inner`, the locks of the container and those of its
/// `BoundProcesses`, and can wait for page requests in flight.  C counterpart of the drop:
/// `vfio_device_remove_group()`.
pub(crate) struct Membership {
    group: Arc<Group>,
    member: Option<Member>,
}

/// The device of a membership.
struct Member {
    dev: ARef<Device>,
    /// The device's membership in an IOMMU group that this module has made for it.  None if the IOMMU core has
    /// made the group.
    fake: Option<FakeMember>,
}

impl Membership {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

impl Group {
    /// Adds a device to its group.  The first device makes the group.  Takes `GROUPS`, and inside it `NODES`; if the
    /// class device cannot be made, also the locks that the drop of the last [`Membership`] takes.  C counterpart:
    /// `vfio_device_set_group()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - For a device without an IOMMU group, those of [`IommuGroup::fake`].
    /// - `ENODEV`: the module is not loaded completely.
    /// - `EINVAL`: the device is already in the group.  This also warns.
    /// - `ENOSPC`: no minor is free.
    /// - Those of `device_add()`.
    ///
    /// `ENOMEM` is possible at several of these steps.
    pub(crate) fn join(dev: &Device, backing: Backing) -> Result<Membership> {
        if !cfg!(CONFIG_VFIO_GROUP) {
            let group = Group::new(None, backing.group_type(), None);
            return Ok(Membership {
                group: Arc::pin_init(group, GFP_KERNEL)?,
                member: None,
            });
        }
        let group_type = backing.group_type();
        match backing {
            Backing::Iommu(iommu_group) => Self::join_iommu(dev, iommu_group, group_type, None),
            Backing::Emulated | Backing::NoIommu => {
                // User space finds devices by their IOMMU groups, so a device without an IOMMU group gets one
                // of its own.
                let (iommu_group, fake) = IommuGroup::fake(c"vfio-noiommu", dev)?;
                Self::join_iommu(dev, iommu_group, group_type, Some(fake))
            }
        }
    }

    fn join_iommu(
        dev: &Device,
        iommu_group: IommuGroup,
        group_type: GroupType,
        fake: Option<FakeMember>,
    ) -> Result<Membership> {
        let id = iommu_group.id();
        let member = Some(Member {
            dev: dev.into(),
            fake,
        });
        // Declared before the guard, so that it is dropped after the lock.
        let mut retired = None;
        let mut table = GROUPS.lock();
        let groups = table.as_mut().ok_or(ENODEV)?;
        if let Some(entry) = groups.get_mut(&id) {
            if warn_on!(entry.has(dev)) {
                return Err(EINVAL);
            }
            entry
                .members
                .try_create_and_insert(address(dev), dev.into(), GFP_KERNEL)?;
            return Ok(Membership {
                group: entry.group.clone(),
                member,
            });
        }
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let (group, entry) = Entry::new(id, iommu_group, group_type, dev, &mut retired)?;
        groups.insert(node.into_node(id, entry));
        Ok(Membership { group, member })
    }
}

impl Entry {
    fn has(&self, dev: &Device) -> bool {
        self.members.get(&address(dev)).is_some()
    }

    fn new(
        id: i32,
        iommu_group: IommuGroup,
        group_type: GroupType,
        member: &Device,
        retired: &mut Option<Retired>,
    ) -> Result<(Arc<Group>, Self)> {
        let mut members = RBTree::new();
        members.try_create_and_insert(address(member), member.into(), GFP_KERNEL)?;
        let minors = NODES.lock().as_ref().map(|nodes| nodes.minors.clone());
        let minor = minors.ok_or(ENODEV)?.take()?;
        let number = minor.number();
        let group = Group::new(Some(iommu_group), group_type, Some(minor));
        let group = Arc::pin_init(group, GFP_KERNEL)?;

        // The node can be opened before its uevent is sent, so a program that reacts to the uevent can open
        // it at once.
        let (class, devt, cdev) = {
            let guard = NODES.lock();
            let nodes = guard.as_ref().ok_or(ENODEV)?;
            let cdev = nodes.region.add(number, group.clone())?;
            (nodes.class.clone(), nodes.region.devt(number), cdev)
        };
        let prefix = if group.is_noiommu() { c"noiommu-" } else { c"" };
        let class_device = ClassDevice::create(&class, devt, prefix, id).inspect_err(|_| {
            // A process can have opened the group by its device number already.
            *retired = Some(group.retire());
        })?;
        let entry = Self {
            group: group.clone(),
            members,
            _cdev: cdev,
            _class_device: class_device,
        };
        Ok((group, entry))
    }
}

/// Returns the address of a device, which identifies the device while a reference is held.
fn address(dev: &Device) -> usize {
    core::ptr::from_ref(dev).addr()
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(member) = &mut self.member else {
            return;
        };
        drop(member.fake.take());
        let mut table = GROUPS.lock();
        let Some(groups) = table.as_mut() else { return };
        let Some(entry) = groups.get_mut(&self.group.id) else {
            return;
        };
        drop(entry.members.remove(&address(&member.dev)));
        if !entry.members.is_empty() {
            drop(table);
            self.group.remove_from_processes(&member.dev);
            return;
        }
        let retired = self.group.retire();
        // The node is removed under the table's lock, so that its name is free for a new group.
        drop(groups.remove(&self.group.id));
        drop(table);
        drop(retired);
    }
}

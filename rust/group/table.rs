// SPDX-License-Identifier: GPL-2.0-only

//! The table of groups: which exist, and which devices are in them.
//!
//! C counterpart: `group.c`, "Group objects".  Found by the id of the IOMMU group, where the C core
//! walks a list.
//!
//! Locks: [`GROUPS`] is held over the making and removal of a group's class device, so that a group
//! that comes back does not meet its own name.

use super::{Backing, Group, Revoked};
use crate::{
    kapi::{
        cdev::{Cdev, CharRegion},
        class::{Class, ClassDevice},
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
    /// The groups that have devices, by the ids of their IOMMU groups; None before load and after
    /// unload.
    pub(crate) unsafe(uninit) static GROUPS: Mutex<Option<RBTree<i32, Entry>>> = None;
}

global_lock! {
    /// The range of group nodes; None before load, after unload and on a kernel without.
    pub(crate) unsafe(uninit) static NODES: Mutex<Option<Nodes>> = None;
}

/// The range of group nodes.
pub(crate) struct Nodes {
    minors: Minors,
    region: CharRegion<Group>,
    class: &'static Class,
}

impl Nodes {
    pub(crate) fn new(region: CharRegion<Group>, class: &'static Class) -> Self {
        Self {
            minors: Minors::new(),
            region,
            class,
        }
    }
}

/// The minor of a group, from its making to the end of its last file.
pub(super) struct Node(u32);

impl Node {
    fn take() -> Result<Self> {
        Ok(Self(NODES.lock().as_mut().ok_or(ENODEV)?.minors.take()?))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(nodes) = NODES.lock().as_mut() {
            nodes.minors.give_back(self.0);
        }
    }
}

/// A group in the table.
pub(crate) struct Entry {
    group: Arc<Group>,
    /// The devices in it, by their addresses.
    members: RBTree<usize, ARef<Device>>,
    /// Before the class device, so that a node that is still there leads nowhere.
    _cdev: Cdev<Group>,
    /// The class device with its node.
    _class_device: ClassDevice,
}

/// A device's place in its group.  When the last is dropped, the group goes.
pub(crate) struct Membership {
    group: Arc<Group>,
    place: Option<Place>,
}

/// Where a member stands in the table.
struct Place {
    dev: ARef<Device>,
    /// The membership of an IOMMU group that was made for this device alone.
    fake: Option<FakeMember>,
}

impl Membership {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

impl Group {
    /// Puts a device into its group, which is made for the first.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the device is in it already; `ENOMEM`, `ENOSPC`, those of `device_add()`.
    pub(crate) fn join(dev: &Device, backing: Backing) -> Result<Membership> {
        if !cfg!(CONFIG_VFIO_GROUP) {
            let group = Group::new(None, backing.kind(), None);
            return Ok(Membership {
                group: Arc::pin_init(group, GFP_KERNEL)?,
                place: None,
            });
        }
        let kind = backing.kind();
        match backing {
            Backing::Iommu(iommu_group) => Self::join_iommu(dev, iommu_group, kind, None),
            Backing::Emulated | Backing::NoIommu => {
                // User space knows devices by IOMMU groups, so these get one of their own.
                let (iommu_group, fake) = IommuGroup::fake(c"vfio-noiommu", dev)?;
                Self::join_iommu(dev, iommu_group, kind, Some(fake))
            }
        }
    }

    fn join_iommu(
        dev: &Device,
        iommu_group: IommuGroup,
        kind: GroupType,
        fake: Option<FakeMember>,
    ) -> Result<Membership> {
        let id = iommu_group.id();
        let place = Some(Place {
            dev: dev.into(),
            fake,
        });
        // Dropped after the lock.
        let mut revoked = None;
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
                place,
            });
        }
        let room = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let (group, entry) = Entry::new(id, iommu_group, kind, dev, &mut revoked)?;
        groups.insert(room.into_node(id, entry));
        Ok(Membership { group, place })
    }
}

impl Entry {
    fn has(&self, dev: &Device) -> bool {
        self.members.get(&address(dev)).is_some()
    }

    fn new(
        id: i32,
        iommu_group: IommuGroup,
        kind: GroupType,
        member: &Device,
        revoked: &mut Option<Revoked>,
    ) -> Result<(Arc<Group>, Self)> {
        let mut members = RBTree::new();
        members.try_create_and_insert(address(member), member.into(), GFP_KERNEL)?;
        let node = Node::take()?;
        let minor = node.0;
        let group = Group::new(Some(iommu_group), kind, Some(node));
        let group = Arc::pin_init(group, GFP_KERNEL)?;

        // Before it is announced: whoever reacts to the uevent can open it.
        let (class, devt, cdev) = {
            let guard = NODES.lock();
            let nodes = guard.as_ref().ok_or(ENODEV)?;
            let cdev = nodes.region.add(minor, group.clone())?;
            (nodes.class, nodes.region.devt(minor), cdev)
        };
        let prefix = if group.is_noiommu() { c"noiommu-" } else { c"" };
        let class_device = ClassDevice::create(class, devt, prefix, id).inspect_err(|_| {
            // Somebody may have it open by its number already.
            *revoked = Some(group.revoke());
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

/// What tells a device from others while a reference is held.
fn address(dev: &Device) -> usize {
    core::ptr::from_ref(dev).addr()
}

impl Drop for Membership {
    fn drop(&mut self) {
        let Some(place) = &mut self.place else {
            return;
        };
        drop(place.fake.take());
        let mut table = GROUPS.lock();
        let Some(groups) = table.as_mut() else { return };
        let Some(entry) = groups.get_mut(&self.group.id) else {
            return;
        };
        drop(entry.members.remove(&address(&place.dev)));
        if !entry.members.is_empty() {
            drop(table);
            self.group.remove_from_processes(&place.dev);
            return;
        }
        let revoked = self.group.revoke();
        // The node goes under the table's lock, so that the name is free for a successor.
        drop(groups.remove(&self.group.id));
        drop(table);
        drop(revoked);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Containers: `/dev/vfio/vfio`, the legacy interface to map memory for groups of devices.
//!
//! C counterpart: `container.c`.
//!
//! A container has no function until a group is added to it.  Then user space chooses a container driver:
//!
//! - For physical and emulated groups, the driver of another module, such as `vfio_iommu_type1.ko`.  It maps
//!   memory.
//! - For noiommu groups, [`noiommu`].  It maps nothing.
//!
//! When the last group leaves, the driver releases its data with all mappings.
//!
//! The data of a container driver for a container ([`IommuData`]) is reference-counted.  The drop of the last
//! reference releases the data.  The ioctls that a container passes to its driver,
//! `vfio_pin_pages()`, `vfio_unpin_pages()` and `vfio_dma_rw()` call the driver with a reference on the data and
//! without the container's lock (`VFIO_SET_IOMMU` holds `Container::inner`), for two reasons:
//!
//! - A driver can take its own locks in these calls, and can hold the same locks when it calls into the core.
//! - An ioctl that maps memory can take long.
//!
//! Locks:
//!
//! - `Container::inner` is outside `DRIVERS`, the table of drivers, and outside the locks of the drivers.
//!   It is held while a driver is opened for the container, and while a driver attaches or detaches a group.
//!   Callers hold neither `Group::inner` nor a lock of [`BoundProcesses`].
//! - `Container::data` is a leaf.  It is taken alone, or inside `Container::inner`.

pub(crate) mod noiommu;
mod processes;

use crate::{
    kapi::{
        capability,
        iommu::{DmaOwner, IommuGroup},
    },
    shared::vfio::iommu_driver::{
        AttachedGroup, GroupType, IommuData, IommuDriver, RegisteredDriver,
    },
    sva::{BoundProcesses, Resetting, Suspension},
    uapi::sva,
};
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{global_lock, Arc, Mutex, SetOnce},
    uaccess::UserPtr,
};

global_lock! {
    /// The registered container drivers, the latest last.  None until the init function has stored the value,
    /// and again when the unload has dropped it.
    pub(crate) unsafe(uninit) static DRIVERS: Mutex<Option<KVec<RegisteredDriver>>> = None;
}

/// Registers a container driver.  Takes `DRIVERS`.  C counterpart: `vfio_register_iommu_driver()`.
///
/// # Errors
///
/// In this order:
///
/// - `ENODEV`: the module is not loaded completely.
/// - `EINVAL`: the driver is already registered.
/// - `ENOMEM`: out of memory.
pub(crate) fn add_driver(driver: RegisteredDriver) -> Result {
    let mut table = DRIVERS.lock();
    let drivers = table.as_mut().ok_or(ENODEV)?;
    if drivers
        .iter()
        .any(|other| other.address() == driver.address())
    {
        return Err(EINVAL);
    }
    Ok(drivers.push(driver, GFP_KERNEL)?)
}

/// Undoes [`add_driver`].  `ops` is the address of the driver's operations.  No effect if the driver is not
/// registered.  Takes `DRIVERS`.  C counterpart: `vfio_unregister_iommu_driver()`.
pub(crate) fn remove_driver(ops: usize) {
    if let Some(drivers) = DRIVERS.lock().as_mut() {
        drivers.retain(|driver| driver.address() != ops);
    }
}

/// Returns the container drivers that can be chosen, the latest first.  Each is returned with a reference on
/// its module.  Drivers whose module is unloading are skipped.
///
/// `Some(true)` limits the result to the driver for noiommu groups, `Some(false)` to the drivers for physical and
/// emulated groups.
///
/// Takes `DRIVERS` for each driver, and not during the use of the driver, so drivers can be registered and
/// unregistered meanwhile.  The iteration goes from the last index to 0.  New drivers are appended.  A removal
/// shifts the drivers with higher indices down by one.  So no driver that stays registered is skipped.  A
/// driver can be returned twice if a driver with a lower index is unregistered meanwhile.
fn drivers(noiommu: Option<bool>) -> impl Iterator<Item = IommuDriver> {
    let mut end = usize::MAX;
    core::iter::from_fn(move || {
        let table = DRIVERS.lock();
        let drivers = table.as_ref()?;
        loop {
            end = end.min(drivers.len()).checked_sub(1)?;
            let driver = drivers.get(end)?;
            let suits = noiommu.is_none_or(|noiommu| noiommu == driver.is_noiommu());
            if let Some(driver) = suits.then(|| driver.hold()).flatten() {
                return Some(driver);
            }
        }
    })
}

/// The reference of an open device on its container.  Its group stays attached to the driver data of the
/// container while the reference exists.
#[derive(Clone)]
pub(crate) struct ContainerHandle {
    attached: Arc<AttachedGroup>,
    group: Arc<ContainerGroup>,
}

impl ContainerHandle {
    /// Returns the data of the container driver.
    pub(crate) fn data(&self) -> &Arc<IommuData> {
        self.attached.data()
    }

    /// Returns the attached group, for which the container driver pins memory.
    pub(crate) fn attached_group(&self) -> &AttachedGroup {
        &self.attached
    }

    /// Tells whether the group is a noiommu group.
    pub(crate) fn is_noiommu(&self) -> bool {
        self.group.group_type == GroupType::NoIommu
    }

    /// Tells whether both handles belong to the same container.
    pub(crate) fn is_in_same_container(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.group.container, &other.group.container)
    }

    /// Unbinds the container's processes from the group's device, which is about to be opened or closed,
    /// until the result is dropped.  Returns None if no process can be bound to the device of the group.
    pub(crate) fn suspend_processes(&self) -> Option<Suspension> {
        match self.group.group_type {
            GroupType::Iommu => self
                .group
                .container
                .processes
                .suspend(self.group.key, &self.group.iommu_group),
            GroupType::Emulated | GroupType::NoIommu => None,
        }
    }

    /// Unbinds the container's processes from all devices, for a reset.  No process can be bound until the
    /// result is dropped.
    pub(crate) fn begin_reset(&self) -> Resetting {
        self.group.container.processes.begin_reset()
    }
}

fn errno(e: Error) -> isize {
    e.to_errno() as isize
}

/// A group in a container.  The container's tree of groups and this reference on the container form a cycle,
/// which the drop of the [`ContainerMembership`] ends.
struct ContainerGroup {
    /// The key of the group in the container.  No key is given twice, and later groups have lower keys.
    key: u64,
    container: Arc<Container>,
    iommu_group: IommuGroup,
    group_type: GroupType,
    /// Set when the group is attached to the data of the container driver.  The drop detaches the group.
    attached: SetOnce<Arc<AttachedGroup>>,
    /// The DMA ownership of a physical group.  It is dropped after `attached`, because a group without an
    /// owner cannot be detached.
    _owner: Option<DmaOwner>,
}

impl ContainerGroup {
    /// Attaches the group to the data of a container driver.
    ///
    /// # Errors
    ///
    /// - The driver's errno.
    /// - `ENOMEM`: out of memory.
    fn attach(&self, data: &Arc<IommuData>) -> Result<Arc<AttachedGroup>> {
        let attached = AttachedGroup::attach(data, &self.iommu_group, self.group_type)?;
        Ok(Arc::new(attached, GFP_KERNEL)?)
    }
}

struct Inner {
    /// The groups by their keys, the latest group first.  A group joins and leaves in logarithmic time.
    groups: RBTree<u64, Arc<ContainerGroup>>,
    /// The key of the latest group.
    last: u64,
}

impl Inner {
    /// Tells whether the groups are noiommu groups.  None without groups.
    fn noiommu(&self) -> Option<bool> {
        let group = self.groups.values().next()?;
        Some(group.group_type == GroupType::NoIommu)
    }

    /// Attaches all groups, the latest first.  On failure no group stays attached.
    ///
    /// # Errors
    ///
    /// Those of [`ContainerGroup::attach`].
    fn attach_all(&self, data: &Arc<IommuData>) -> Result {
        let mut attached = KVec::new();
        let result = self
            .groups
            .values()
            .try_for_each(|group| Ok(attached.push(group.attach(data)?, GFP_KERNEL)?));
        if result.is_err() {
            // Undo in reverse order: the group that was attached last is detached first.
            while attached.pop().is_some() {}
            return result;
        }
        for (group, attached) in self.groups.values().zip(attached) {
            group.attached.populate(attached);
        }
        Ok(())
    }
}

/// A container.  C counterpart: `struct vfio_container`.
#[pin_data]
pub(crate) struct Container {
    #[pin]
    inner: Mutex<Inner>,
    /// The data of the chosen container driver, or None before the choice.  Written while `inner` is locked,
    /// and read without `inner`, so that users of the container do not wait for a group that joins.
    #[pin]
    data: Mutex<Option<Arc<IommuData>>>,
    /// The processes that are bound to the devices of the groups, while there is a container driver.
    processes: Arc<BoundProcesses>,
}

impl Container {
    /// Makes an empty container.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new() -> Result<Arc<Self>> {
        // The allocation is accounted, because user space decides on the number of containers.
        let processes = BoundProcesses::new(GFP_KERNEL_ACCOUNT)?;
        let container = pin_init!(Self {
            inner <- new_mutex!(Inner {
                groups: RBTree::new(),
                last: u64::MAX,
            }),
            data <- new_mutex!(None, "Container::data"),
            processes,
        });
        Arc::pin_init(container, GFP_KERNEL_ACCOUNT)
    }

    /// Returns the processes that are bound to the devices of the container's groups.
    pub(crate) fn processes(&self) -> &Arc<BoundProcesses> {
        &self.processes
    }

    /// Returns the data of the chosen container driver.
    fn data(&self) -> Option<Arc<IommuData>> {
        self.data.lock().clone()
    }

    /// Sets or clears the data of the container driver, and returns the previous data.  The caller holds
    /// `inner`.
    fn set_data(&self, _inner: &mut Inner, data: Option<Arc<IommuData>>) -> Option<Arc<IommuData>> {
        core::mem::replace(&mut *self.data.lock(), data)
    }

    /// Handles `VFIO_CHECK_EXTENSION`.  Returns one of these values:
    ///
    /// - For the extension `VFIO_SVA`: 1.
    /// - If a container driver is chosen: the answer of this driver.
    /// - Before the choice: the first answer above 0 of the drivers that can be chosen, or else the last
    ///   answer, or 0 without drivers.
    ///
    /// Takes `Container::data`.  Before the choice of a driver, then takes `Container::inner` and `DRIVERS`, one after
    /// the other.  C counterpart: `vfio_container_ioctl_check_extension()`.
    ///
    /// # Errors
    ///
    /// The negative errno of a driver.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        if arg == sva::EXTENSION {
            return 1;
        }
        if let Some(data) = self.data() {
            return data.check_extension(arg);
        }
        let noiommu = self.inner.lock().noiommu();
        let mut answer = 0;
        for driver in drivers(noiommu) {
            answer = driver.check_extension(arg);
            if answer > 0 {
                break;
            }
        }
        answer
    }

    /// Handles `VFIO_SET_IOMMU`: chooses a container driver, and attaches the groups to it.  Takes the lock
    /// of the container, then `DRIVERS`.  C counterpart: `vfio_ioctl_set_iommu()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: the container has no groups, or already has a container driver.
    /// - `ENODEV`: no driver supports `arg`.
    /// - The errno of the last driver that failed, or `ENOMEM`.
    pub(crate) fn set_iommu(&self, arg: usize) -> Result {
        let mut inner = self.inner.lock();
        let noiommu = inner.noiommu().ok_or(EINVAL)?;
        if self.data().is_some() {
            return Err(EINVAL);
        }
        let mut result = Err(ENODEV);
        for driver in drivers(Some(noiommu)) {
            if driver.check_extension(arg) <= 0 {
                continue;
            }
            let data = driver.open(arg).and_then(|data| {
                let data = Arc::new(data, GFP_KERNEL)?;
                inner.attach_all(&data)?;
                Ok(data)
            });
            match data {
                Ok(data) => {
                    self.set_data(&mut inner, Some(data));
                    return Ok(());
                }
                Err(e) => result = Err(e),
            }
        }
        result
    }

    /// Passes any other ioctl to the container driver.  Returns the driver's result, or a negative errno.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the container has no container driver.
    /// - The errno of the driver.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        match self.data() {
            Some(data) => data.ioctl(cmd, arg),
            None => errno(EINVAL),
        }
    }
}

/// A group's membership in a container.  The group leaves on drop.  The drop takes the locks of [`BoundProcesses`], and
/// after them the lock of the container.  C counterpart of the drop: `vfio_group_detach_container()`.
///
/// An open device holds a reference on the `ContainerGroup` only while the device is counted in
/// `GroupBackend::Container::opens`.  A group with a count above 0 does not leave its container.  So the drop of the
/// `ContainerMembership` drops the last reference on the `ContainerGroup`, and thereby detaches the group.
pub(crate) struct ContainerMembership {
    container: Arc<Container>,
    /// Taken by the drop.
    group: Option<Arc<ContainerGroup>>,
}

impl ContainerMembership {
    /// Adds a group to the container.  Takes the lock of the container, releases it, and takes the locks of
    /// [`BoundProcesses`].  C counterpart: `vfio_container_attach_group()`.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EPERM`: the group has no IOMMU, and the caller does not have `CAP_SYS_RAWIO`.
    /// - `EPERM`: the container has groups without an IOMMU and this group has one, or the reverse.
    /// - `EPERM`: a host driver or another owner has the DMA ownership of the group.
    /// - `EBUSY`: a page table other than the default one, or a page table of a PASID, is attached to the
    ///   group.
    /// - The errno with which the IOMMU driver refuses to block the DMA of the group.
    /// - The errno of the container driver, if the container has one.
    /// - Those of [`BoundProcesses::join`].
    ///
    /// `ENOMEM` is possible at several of these steps.
    pub(crate) fn join(
        container: Arc<Container>,
        iommu_group: IommuGroup,
        group_type: GroupType,
    ) -> Result<Self> {
        let noiommu = group_type == GroupType::NoIommu;
        if noiommu && !capability::sys_rawio() {
            return Err(EPERM);
        }
        let mut inner = container.inner.lock();
        if inner.noiommu().is_some_and(|others| others != noiommu) {
            return Err(EPERM);
        }
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let owner = match group_type {
            GroupType::Iommu => Some(DmaOwner::claim(&iommu_group)?),
            GroupType::Emulated | GroupType::NoIommu => None,
        };
        inner.last = inner.last.wrapping_sub(1);
        let group = ContainerGroup {
            key: inner.last,
            container: container.clone(),
            iommu_group,
            group_type,
            attached: SetOnce::new(),
            _owner: owner,
        };
        let group = Arc::new(group, GFP_KERNEL)?;
        if let Some(data) = container.data() {
            group.attached.populate(group.attach(&data)?);
        }
        inner
            .groups
            .insert(node.into_node(group.key, group.clone()));
        drop(inner);
        // From here on the drop undoes everything.
        let membership = Self {
            group: Some(group.clone()),
            container,
        };
        let processes = membership.container.processes();
        let joined = processes.join(group.key, &group.iommu_group, group.group_type);
        // Before the membership, which detaches the group if the processes could not be bound.
        drop(group);
        joined.map(|()| membership)
    }

    /// Returns a container handle, if the container has a container driver.
    pub(crate) fn handle(&self) -> Option<ContainerHandle> {
        let group = self.group.as_ref()?;
        Some(ContainerHandle {
            attached: group.attached.as_ref()?.clone(),
            group: group.clone(),
        })
    }

    /// Returns the container.
    pub(crate) fn container(&self) -> &Arc<Container> {
        &self.container
    }
}

impl Drop for ContainerMembership {
    #[inline(never)]
    fn drop(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        let container = &self.container;
        // This runs without the container's lock, because it waits for page requests in flight.
        container.processes.leave(group.key, &group.iommu_group);
        let mut inner = container.inner.lock();
        inner.groups.remove(&group.key);
        // This detaches the group, and then releases the DMA ownership.
        drop(group);
        let last = match inner.groups.is_empty() {
            true => container.set_data(&mut inner, None),
            false => None,
        };
        drop(inner);
        // The drop runs without the lock.  If an ioctl in progress holds another reference, the end of the
        // ioctl releases the data.
        drop(last);
    }
}

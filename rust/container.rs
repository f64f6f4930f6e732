// SPDX-License-Identifier: GPL-2.0-only

//! Containers: `/dev/vfio/vfio`, the legacy interface to map memory for groups of devices.
//!
//! C counterpart: `container.c`.
//!
//! A container has no function until a group is added to it.  Then user space chooses a *backend*, which maps
//! memory: an IOMMU driver of another module (`vfio_iommu_type1.ko`), or noiommu, which maps nothing, for
//! devices without an IOMMU.  When the last group leaves, the backend is released with all its mappings.
//!
//! The data of an IOMMU driver for a container ([`IommuData`]) is reference-counted.  The drop of the last
//! reference releases the data.  Ioctls, pins and copies call the driver with a reference and without the
//! container's lock, for two reasons: a driver can take its own locks, which are held elsewhere during calls
//! into the core; and an ioctl that maps memory can take long.
//!
//! Locks:
//!
//! - `Container::inner` is outside [`DRIVERS`], the table of drivers, and outside the locks of the drivers.
//!   It is held while a driver is opened for the container, and while a driver attaches or detaches a group.
//!   Callers hold neither a group's own lock nor a lock of the processes.
//! - `Container::backend` is a leaf, inside `Container::inner` and inside a group's own lock.

mod processes;

use crate::{
    kapi::{
        capability,
        iommu::{DmaOwner, IommuGroup},
        module::ModuleRef,
    },
    shared::{
        params::enable_unsafe_noiommu_mode,
        vfio::iommu_driver::{GroupType, IommuData, IommuDriver, RegisteredDriver},
        OwnerModule,
    },
    sva::{Apart, BoundProcesses, Resetting},
    uapi::sva,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{global_lock, Arc, Mutex},
    uaccess::UserPtr,
};

global_lock! {
    /// The registered IOMMU drivers, the latest last.  None before the module is loaded and after it is
    /// unloaded.
    pub(crate) unsafe(uninit) static DRIVERS: Mutex<Option<KVec<RegisteredDriver>>> = None;
}

/// `VFIO_NOIOMMU_IOMMU`: the backend that maps nothing.
const NOIOMMU: usize = 8;

/// Registers an IOMMU driver.  Takes [`DRIVERS`].  C counterpart: `vfio_register_iommu_driver()`.
///
/// # Errors
///
/// - `EINVAL`: the driver is already registered.
/// - `ENODEV`: the module is not loaded completely.
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
/// registered.
pub(crate) fn remove_driver(ops: usize) {
    if let Some(drivers) = DRIVERS.lock().as_mut() {
        drivers.retain(|driver| driver.address() != ops);
    }
}

/// A backend that can be chosen.
enum Choice {
    Driver(IommuDriver),
    /// The noiommu backend, with a reference on this module.
    NoIommu(ModuleRef),
}

impl Choice {
    /// Returns all backends that can be chosen, the latest driver first.  Drivers whose module is unloading
    /// are skipped.
    ///
    /// `Some(true)` limits the result to the noiommu backend, `Some(false)` to the backends for groups with
    /// an IOMMU.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the module is not loaded completely.
    /// - `ENOMEM`: out of memory.
    fn all(noiommu: Option<bool>) -> Result<KVec<Self>> {
        let table = DRIVERS.lock();
        let table = table.as_ref().ok_or(ENODEV)?;
        let mut choices = KVec::with_capacity(table.len().saturating_add(1), GFP_KERNEL)?;
        if noiommu != Some(true) {
            for driver in table.iter().rev() {
                if let Some(driver) = driver.hold() {
                    choices.push(Self::Driver(driver), GFP_KERNEL)?;
                }
            }
        }
        if cfg!(CONFIG_VFIO_NOIOMMU) && noiommu != Some(false) {
            if let Some(module) = ModuleRef::of::<OwnerModule>() {
                choices.push(Self::NoIommu(module), GFP_KERNEL)?;
            }
        }
        Ok(choices)
    }

    /// Returns the backend's answer to `VFIO_CHECK_EXTENSION`.
    fn check_extension(&self, arg: usize) -> isize {
        match self {
            Self::Driver(driver) => driver.check_extension(arg),
            Self::NoIommu(_) => check_noiommu(arg),
        }
    }

    /// # Errors
    ///
    /// - The driver's errno.
    /// - `ENOMEM`: out of memory.
    /// - `EINVAL`, noiommu only: `arg` is not `VFIO_NOIOMMU_IOMMU`.
    /// - `EPERM`, noiommu only: the caller does not have `CAP_SYS_RAWIO`.
    fn open(self, arg: usize) -> Result<Backend> {
        match self {
            Self::Driver(driver) => {
                let data = driver.open(arg)?;
                Ok(Backend::Driver(Arc::new(data, GFP_KERNEL)?))
            }
            Self::NoIommu(_) if arg != NOIOMMU => Err(EINVAL),
            Self::NoIommu(_) if !capability::sys_rawio() => Err(EPERM),
            Self::NoIommu(module) => Ok(Backend::NoIommu(Arc::new(module, GFP_KERNEL)?)),
        }
    }
}

fn check_noiommu(arg: usize) -> isize {
    (arg == NOIOMMU && enable_unsafe_noiommu_mode()).into()
}

/// The backend of a container.
#[derive(Clone)]
enum Backend {
    Driver(Arc<IommuData>),
    /// This backend maps nothing.  It holds a reference on this module, as a driver's backend does on its
    /// module.
    NoIommu(#[allow(dead_code)] Arc<ModuleRef>),
}

impl Backend {
    fn check_extension(&self, arg: usize) -> isize {
        match self {
            Self::Driver(driver) => driver.check_extension(arg),
            Self::NoIommu(_) => check_noiommu(arg),
        }
    }

    /// Passes an ioctl that the core does not handle to the driver.  Returns the driver's result unchanged.
    fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        match self {
            Self::Driver(driver) => driver.ioctl(cmd, arg),
            Self::NoIommu(_) => errno(ENOTTY),
        }
    }

    fn attach(&self, group: &ContainerGroup) -> Result {
        match self {
            Self::Driver(driver) => driver.attach_group(&group.iommu_group, group.kind),
            Self::NoIommu(_) => Ok(()),
        }
    }

    fn detach(&self, group: &ContainerGroup) {
        match self {
            Self::Driver(driver) => driver.detach_group(&group.iommu_group),
            Self::NoIommu(_) => {}
        }
    }

    fn driver(&self) -> Option<&Arc<IommuData>> {
        match self {
            Self::Driver(driver) => Some(driver),
            Self::NoIommu(_) => None,
        }
    }
}

/// A group's handle for DMA through its container, for an open device.
#[derive(Clone)]
pub(crate) struct ContainerHandle {
    backend: Backend,
    group: Arc<ContainerGroup>,
    processes: Arc<BoundProcesses>,
}

impl ContainerHandle {
    /// Returns the driver's data, for a device that is opened.  None if the backend maps nothing.
    pub(crate) fn data(&self) -> Option<&Arc<IommuData>> {
        self.backend.driver()
    }

    /// Unbinds the container's processes from the group's device, which is about to be opened or closed,
    /// until the result is dropped.  None if no process can be bound to the group.
    pub(crate) fn part_from_processes(&self) -> Option<Apart> {
        match self.group.kind {
            GroupType::Iommu => self.processes.part(&self.group.iommu_group),
            GroupType::Emulated | GroupType::NoIommu => None,
        }
    }

    /// Unbinds the container's processes for the duration of a reset.
    pub(crate) fn begin_reset(&self) -> Resetting {
        self.processes.begin_reset()
    }

    /// Returns the IOMMU driver that pins and copies memory, and the group for which it does so.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the backend maps nothing.
    pub(crate) fn driver(&self) -> Result<(&IommuData, &IommuGroup)> {
        let driver = self.backend.driver().ok_or(ENOTTY)?;
        Ok((driver, &self.group.iommu_group))
    }
}

fn errno(e: Error) -> isize {
    e.to_errno() as isize
}

/// A group in a container.
struct ContainerGroup {
    iommu_group: IommuGroup,
    kind: GroupType,
}

struct Inner {
    /// The groups, the latest last.
    groups: KVec<Arc<ContainerGroup>>,
}

impl Inner {
    /// Tells whether the groups have no IOMMU.  None without groups.
    fn noiommu(&self) -> Option<bool> {
        let group = self.groups.first()?;
        Some(group.kind == GroupType::NoIommu)
    }

    /// Attaches all groups, the latest first.  On failure no group stays attached.
    ///
    /// # Errors
    ///
    /// The driver's errno.
    fn attach_all(&self, backend: &Backend) -> Result {
        for (index, group) in self.groups.iter().enumerate().rev() {
            if let Err(e) = backend.attach(group) {
                // Undo in reverse order: the group that was attached last is detached first.
                for attached in self.groups.iter().skip(index.saturating_add(1)) {
                    backend.detach(attached);
                }
                return Err(e);
            }
        }
        Ok(())
    }
}

/// A container.
#[pin_data]
pub(crate) struct Container {
    #[pin]
    inner: Mutex<Inner>,
    /// Written while `inner` is locked, and read without `inner`: users of the container do not wait for a
    /// group that joins.
    #[pin]
    backend: Mutex<Option<Backend>>,
    /// The processes that are bound to the devices of the groups, while there is a backend.
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
                groups: KVec::new(),
            }),
            backend <- new_mutex!(None, "Container::backend"),
            processes,
        });
        Arc::pin_init(container, GFP_KERNEL_ACCOUNT)
    }

    /// Returns the processes that are bound to the devices of the container's groups.
    pub(crate) fn processes(&self) -> &Arc<BoundProcesses> {
        &self.processes
    }

    /// Returns the chosen backend.
    fn backend(&self) -> Option<Backend> {
        self.backend.lock().clone()
    }

    /// Sets or clears the backend, and returns the previous one.  The caller holds `inner`.
    fn set_backend(&self, _inner: &mut Inner, backend: Option<Backend>) -> Option<Backend> {
        core::mem::replace(&mut *self.backend.lock(), backend)
    }

    /// Handles `VFIO_CHECK_EXTENSION`.  For the extension `VFIO_SVA` this returns 1.  Otherwise it asks the
    /// backend or, without a backend, all backends that could be chosen.  It returns the first answer above
    /// 0, or else the last answer.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - The errno of a driver.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        if arg == sva::EXTENSION {
            return 1;
        }
        if let Some(backend) = self.backend() {
            return backend.check_extension(arg);
        }
        let noiommu = self.inner.lock().noiommu();
        let choices = match Choice::all(noiommu) {
            Ok(choices) => choices,
            Err(e) => return errno(e),
        };
        let mut answer = 0;
        for choice in choices.iter() {
            answer = choice.check_extension(arg);
            if answer > 0 {
                break;
            }
        }
        answer
    }

    /// Handles `VFIO_SET_IOMMU`: chooses a backend, and attaches the groups to it.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the container has no groups, or already has a backend.
    /// - `ENODEV`: no backend supports `arg`.
    /// - `ENOMEM`: out of memory.
    /// - The errno of the last backend that failed.
    pub(crate) fn set_iommu(&self, arg: usize) -> Result {
        let mut inner = self.inner.lock();
        let noiommu = inner.noiommu().ok_or(EINVAL)?;
        if self.backend().is_some() {
            return Err(EINVAL);
        }
        let mut result = Err(ENODEV);
        for choice in Choice::all(Some(noiommu))? {
            if choice.check_extension(arg) <= 0 {
                continue;
            }
            let backend = choice.open(arg).and_then(|backend| {
                inner.attach_all(&backend)?;
                Ok(backend)
            });
            match backend {
                Ok(backend) => {
                    self.set_backend(&mut inner, Some(backend));
                    return Ok(());
                }
                Err(e) => result = Err(e),
            }
        }
        result
    }

    /// Passes any other ioctl to the backend.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the container has no backend.
    /// - The errno of the backend.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        match self.backend() {
            Some(backend) => backend.ioctl(cmd, arg),
            None => errno(EINVAL),
        }
    }
}

/// A group's membership in a container.  The group leaves on drop.
pub(crate) struct ContainerMembership {
    container: Arc<Container>,
    group: Arc<ContainerGroup>,
    owner: Option<DmaOwner>,
}

impl ContainerMembership {
    /// Adds a group to the container.  Takes the lock of the container.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EPERM`: the group has no IOMMU, and the caller does not have `CAP_SYS_RAWIO`.
    /// - `EPERM`: the container has groups without an IOMMU and this group has one, or the reverse.
    /// - `EPERM`: another owner has claimed the DMA of the group.
    /// - `EBUSY`: a page table is attached to the group.
    /// - The errno of the backend, if the container has one.
    /// - Those of [`BoundProcesses::join`].
    ///
    /// `ENOMEM` is possible at several of these steps.
    pub(crate) fn take(
        container: Arc<Container>,
        iommu_group: IommuGroup,
        kind: GroupType,
    ) -> Result<Self> {
        let noiommu = kind == GroupType::NoIommu;
        if noiommu && !capability::sys_rawio() {
            return Err(EPERM);
        }
        let group = Arc::new(ContainerGroup { iommu_group, kind }, GFP_KERNEL)?;
        let mut inner = container.inner.lock();
        if inner.noiommu().is_some_and(|others| others != noiommu) {
            return Err(EPERM);
        }
        inner.groups.reserve(1, GFP_KERNEL)?;
        let owner = match kind {
            GroupType::Iommu => Some(DmaOwner::claim(&group.iommu_group)?),
            GroupType::Emulated | GroupType::NoIommu => None,
        };
        if let Some(backend) = container.backend() {
            backend.attach(&group)?;
        }
        // The space was reserved above.
        let pushed = inner.groups.push(group.clone(), GFP_KERNEL);
        drop(inner);
        // From here on the drop undoes everything.
        let membership = Self {
            container,
            group,
            owner,
        };
        pushed?;
        let ContainerGroup { iommu_group, kind } = &*membership.group;
        membership.container.processes.join(iommu_group, *kind)?;
        Ok(membership)
    }

    /// Returns the handle for DMA, if the container has a backend.
    pub(crate) fn handle(&self) -> Option<ContainerHandle> {
        Some(ContainerHandle {
            backend: self.container.backend()?,
            group: self.group.clone(),
            processes: self.container.processes.clone(),
        })
    }

    /// Returns the container.
    pub(crate) fn container(&self) -> &Arc<Container> {
        &self.container
    }
}

impl Drop for ContainerMembership {
    fn drop(&mut self) {
        // This runs without the container's lock, because it waits for page requests in flight.
        self.container.processes.leave(&self.group.iommu_group);
        let mut inner = self.container.inner.lock();
        if let Some(backend) = self.container.backend() {
            backend.detach(&self.group);
        }
        drop(self.owner.take());
        inner
            .groups
            .retain(|group| !core::ptr::eq(&raw const **group, &raw const *self.group));
        let last = match inner.groups.is_empty() {
            true => self.container.set_backend(&mut inner, None),
            false => None,
        };
        drop(inner);
        // The drop runs without the lock.  An ioctl in progress can hold the last reference, and release the
        // backend.
        drop(last);
    }
}

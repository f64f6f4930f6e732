// SPDX-License-Identifier: GPL-2.0-only

//! Containers: `/dev/vfio/vfio`, the legacy way to map memory for groups of devices.
//!
//! C counterpart: `container.c`.
//!
//! A container is nothing until a group is put into it, and maps memory by a *backend*, which user
//! space chooses then: a driver of another module (`vfio_iommu_type1.ko`), or none for devices
//! without an IOMMU.  When the last group leaves, the backend goes and all mappings with it.
//!
//! A driver's side of a backend is one counted value.  Whoever calls into it holds a reference, and no lock: a driver
//! may take locks of its own that are held elsewhere around calls into the core, and an ioctl that
//! maps memory may take long.  What the last reference leaves behind is released by its drop.
//!
//! Locks: a container's, outside the table of drivers and outside the drivers' own.  Neither a group's
//! lock is held, nor that of the processes.

mod processes;

use crate::{
    kapi::{
        capability,
        iommu::{DmaOwner, IommuGroup},
        module::ModuleRef,
    },
    shared::{
        params::enable_unsafe_noiommu_mode,
        vfio::iommu_driver::{GroupType, Instance, IommuDriver, Offer},
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
    /// The drivers that have offered themselves, the latest last; None before load and after
    /// unload.
    pub(crate) unsafe(uninit) static DRIVERS: Mutex<Option<KVec<Offer>>> = None;
}

/// `VFIO_NOIOMMU_IOMMU`: the backend that does nothing.
const NOIOMMU: usize = 8;

/// Offers a driver to containers.
///
/// # Errors
///
/// `EINVAL` when it is there already; `ENOMEM`.
pub(crate) fn add_driver(offer: Offer) -> Result {
    let mut table = DRIVERS.lock();
    let drivers = table.as_mut().ok_or(ENODEV)?;
    if drivers
        .iter()
        .any(|driver| driver.address() == offer.address())
    {
        return Err(EINVAL);
    }
    Ok(drivers.push(offer, GFP_KERNEL)?)
}

/// The end of [`add_driver`], by the address of the driver's operations; does nothing if there was
/// none.
pub(crate) fn remove_driver(ops: usize) {
    if let Some(drivers) = DRIVERS.lock().as_mut() {
        drivers.retain(|driver| driver.address() != ops);
    }
}

/// A backend that can be chosen.
enum Choice {
    Driver(IommuDriver),
    /// This module's own.
    NoIommu(ModuleRef),
}

impl Choice {
    /// All that may be chosen, the latest first.  A driver whose module is going away is none.
    ///
    /// `noiommu` limits them to those for groups with an IOMMU, or without.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn all(noiommu: Option<bool>) -> Result<KVec<Self>> {
        let table = DRIVERS.lock();
        let table = table.as_ref().ok_or(ENODEV)?;
        let mut choices = KVec::with_capacity(table.len().saturating_add(1), GFP_KERNEL)?;
        if noiommu != Some(true) {
            for offer in table.iter().rev() {
                if let Some(driver) = offer.hold() {
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

    /// What it answers to `VFIO_CHECK_EXTENSION`.
    fn check_extension(&self, arg: usize) -> isize {
        match self {
            Self::Driver(driver) => driver.check_extension(arg),
            Self::NoIommu(_) => check_noiommu(arg),
        }
    }

    /// # Errors
    ///
    /// The driver's, `ENOMEM`; without an IOMMU `EINVAL` for another extension than its own, `EPERM`
    /// unless the caller has `CAP_SYS_RAWIO`.
    fn open(self, arg: usize) -> Result<Backend> {
        match self {
            Self::Driver(driver) => {
                let instance = driver.open(arg)?;
                Ok(Backend::Driver(Arc::new(instance, GFP_KERNEL)?))
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

/// What maps memory for a container.
#[derive(Clone)]
enum Backend {
    Driver(Arc<Instance>),
    /// There is nothing to map.  The module is held, as another driver's is.
    NoIommu(#[allow(dead_code)] Arc<ModuleRef>),
}

impl Backend {
    fn check_extension(&self, arg: usize) -> isize {
        match self {
            Self::Driver(driver) => driver.check_extension(arg),
            Self::NoIommu(_) => check_noiommu(arg),
        }
    }

    /// An ioctl that the core does not know.  The driver's result as it is.
    fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        match self {
            Self::Driver(driver) => driver.ioctl(cmd, arg),
            Self::NoIommu(_) => errno(ENOTTY),
        }
    }

    fn attach(&self, member: &Member) -> Result {
        match self {
            Self::Driver(driver) => driver.attach_group(&member.iommu_group, member.kind),
            Self::NoIommu(_) => Ok(()),
        }
    }

    fn detach(&self, member: &Member) {
        match self {
            Self::Driver(driver) => driver.detach_group(&member.iommu_group),
            Self::NoIommu(_) => {}
        }
    }

    fn driver(&self) -> Option<&Arc<Instance>> {
        match self {
            Self::Driver(driver) => Some(driver),
            Self::NoIommu(_) => None,
        }
    }
}

/// A group's way to the memory that its container maps, for a device that is open.
#[derive(Clone)]
pub(crate) struct ContainerAccess {
    backend: Backend,
    member: Arc<Member>,
    processes: Arc<BoundProcesses>,
}

impl ContainerAccess {
    /// What maps memory, to be told of a device that is opened.  None when nothing does.
    pub(crate) fn instance(&self) -> Option<&Arc<Instance>> {
        self.backend.driver()
    }

    /// Keeps the processes that are bound to the container from the group's device, which is about to
    /// be opened or closed.  None when there can be none.
    pub(crate) fn part_from_processes(&self) -> Option<Apart> {
        match self.member.kind {
            GroupType::Iommu => self.processes.part(&self.member.iommu_group),
            GroupType::Emulated | GroupType::NoIommu => None,
        }
    }

    /// Ends the bonds of the container's processes for the time of a reset.
    pub(crate) fn begin_reset(&self) -> Resetting {
        self.processes.begin_reset()
    }

    /// What pins and copies memory, and the group to do it for.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when nothing does.
    pub(crate) fn driver(&self) -> Result<(&Instance, &IommuGroup)> {
        let driver = self.backend.driver().ok_or(ENOTTY)?;
        Ok((driver, &self.member.iommu_group))
    }
}

fn errno(e: Error) -> isize {
    e.to_errno() as isize
}

/// A group in a container.
struct Member {
    iommu_group: IommuGroup,
    kind: GroupType,
}

struct Inner {
    /// The latest last.
    members: KVec<Arc<Member>>,
}

impl Inner {
    /// Whether the groups have an IOMMU; None without groups.
    fn noiommu(&self) -> Option<bool> {
        let member = self.members.first()?;
        Some(member.kind == GroupType::NoIommu)
    }

    /// Attaches all groups, the latest first, or none.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn attach_all(&self, backend: &Backend) -> Result {
        for (index, member) in self.members.iter().enumerate().rev() {
            if let Err(e) = backend.attach(member) {
                // In reverse: the one attached last comes first.
                for attached in self.members.iter().skip(index.saturating_add(1)) {
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
    /// Written with `inner` locked, read without it: callers that only use the container do not wait
    /// for a group that joins.
    #[pin]
    backend: Mutex<Option<Backend>>,
    /// The processes that the groups' devices may work for, while there is a backend.
    processes: Arc<BoundProcesses>,
}

impl Container {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        // Accounted: how many are opened is up to user space.
        let processes = BoundProcesses::new(GFP_KERNEL_ACCOUNT)?;
        let container = pin_init!(Self {
            inner <- new_mutex!(Inner {
                members: KVec::new(),
            }),
            backend <- new_mutex!(None, "Container::backend"),
            processes,
        });
        Arc::pin_init(container, GFP_KERNEL_ACCOUNT)
    }

    /// The processes that are bound to its groups' devices.
    pub(crate) fn processes(&self) -> &Arc<BoundProcesses> {
        &self.processes
    }

    /// The backend that is chosen.
    fn backend(&self) -> Option<Backend> {
        self.backend.lock().clone()
    }

    /// Chooses one, or none; the caller has locked `inner`.  The result is what was chosen.
    fn set_backend(&self, _inner: &mut Inner, backend: Option<Backend>) -> Option<Backend> {
        core::mem::replace(&mut *self.backend.lock(), backend)
    }

    /// `VFIO_CHECK_EXTENSION`: asks the backend, or while there is none all that could be chosen,
    /// and gives the first answer above 0, or else the last.  Of our own extension: 1.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; the drivers'.
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

    /// `VFIO_SET_IOMMU`: chooses a backend, and attaches the groups to it.
    ///
    /// # Errors
    ///
    /// `EINVAL` without groups, or when one is chosen already; `ENODEV` when there is none for
    /// `arg`; else the errno of the last that failed; `ENOMEM`.
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

    /// Any other ioctl: the backend's.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a backend; the driver's.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        match self.backend() {
            Some(backend) => backend.ioctl(cmd, arg),
            None => errno(EINVAL),
        }
    }
}

/// A group's place in a container; left when dropped.
pub(crate) struct ContainerMembership {
    container: Arc<Container>,
    member: Arc<Member>,
    owner: Option<DmaOwner>,
}

impl ContainerMembership {
    /// Puts a group into the container.
    ///
    /// # Errors
    ///
    /// In this order: `EPERM` without an IOMMU, unless the caller has `CAP_SYS_RAWIO`; `EPERM` for
    /// a group with an IOMMU among those without, and the reverse; `EPERM` when DMA of the group
    /// is another's, `EBUSY` when a page table is attached to it; those of the backend, if one is
    /// chosen; those of [`BoundProcesses::join`]; `ENOMEM`.
    pub(crate) fn take(
        container: Arc<Container>,
        iommu_group: IommuGroup,
        kind: GroupType,
    ) -> Result<Self> {
        let noiommu = kind == GroupType::NoIommu;
        if noiommu && !capability::sys_rawio() {
            return Err(EPERM);
        }
        let member = Arc::new(Member { iommu_group, kind }, GFP_KERNEL)?;
        let mut inner = container.inner.lock();
        if inner.noiommu().is_some_and(|others| others != noiommu) {
            return Err(EPERM);
        }
        inner.members.reserve(1, GFP_KERNEL)?;
        let owner = match kind {
            GroupType::Iommu => Some(DmaOwner::claim(&member.iommu_group)?),
            GroupType::Emulated | GroupType::NoIommu => None,
        };
        if let Some(backend) = container.backend() {
            backend.attach(&member)?;
        }
        // There is room.
        let pushed = inner.members.push(member.clone(), GFP_KERNEL);
        drop(inner);
        // From here on the drop undoes it.
        let membership = Self {
            container,
            member,
            owner,
        };
        pushed?;
        let Member { iommu_group, kind } = &*membership.member;
        membership.container.processes.join(iommu_group, *kind)?;
        Ok(membership)
    }

    /// The way to memory, if a backend is chosen.
    pub(crate) fn access(&self) -> Option<ContainerAccess> {
        Some(ContainerAccess {
            backend: self.container.backend()?,
            member: self.member.clone(),
            processes: self.container.processes.clone(),
        })
    }

    /// The container.
    pub(crate) fn container(&self) -> &Arc<Container> {
        &self.container
    }
}

impl Drop for ContainerMembership {
    fn drop(&mut self) {
        // Not under the container's lock: page requests in flight are waited for.
        self.container.processes.leave(&self.member.iommu_group);
        let mut inner = self.container.inner.lock();
        if let Some(backend) = self.container.backend() {
            backend.detach(&self.member);
        }
        drop(self.owner.take());
        inner
            .members
            .retain(|member| !core::ptr::eq(&raw const **member, &raw const *self.member));
        let last = match inner.members.is_empty() {
            true => self.container.set_backend(&mut inner, None),
            false => None,
        };
        drop(inner);
        // Not under the lock: an ioctl that is going on may be the one that releases it.
        drop(last);
    }
}

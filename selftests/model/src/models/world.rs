// SPDX-License-Identifier: GPL-2.0-only

//! A machine with an IOMMU group, and the system calls on it.  The group has a device, and a second device that
//! some models register.

use crate::{
    bindings::{self, kvm},
    container::Container,
    device::open::{OpenDevice, OpenResources},
    file::DeviceFile,
    group::{
        table::{Nodes, GROUPS, NODES},
        Group, GroupBackend,
    },
    kapi::{
        cdev::CharRegion, class::ClassRegistration, iommu::IommuGroup, iommufd::Ctx,
        uaccess::UserString,
    },
    refusal::{Because, Reason},
    shared::vfio::{iommu_driver::RegisteredDriver, Device, RegistrationRef},
};
use kernel::{
    fs::File,
    prelude::*,
    rbtree::RBTree,
    sync::{Arc, ArcBorrow},
};
use std::sync::{
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    Arc as StdArc, Mutex as StdMutex,
};

/// The users of the group, as user space sees them.
#[derive(Default)]
struct Users {
    group_files: AtomicU32,
    bound_files: AtomicU32,
}

impl Users {
    /// A group file is open from here on.
    fn group_opened(&self) {
        assert_eq!(
            self.group_files.fetch_add(1, Relaxed),
            0,
            "the group is opened twice"
        );
        assert_eq!(
            self.bound_files.load(Relaxed),
            0,
            "the group is opened beside a bound file"
        );
    }

    fn group_closes(&self) {
        self.group_files.fetch_sub(1, Relaxed);
    }

    /// A device file is bound from here on.
    fn bound(&self) {
        assert_eq!(
            self.bound_files.fetch_add(1, Relaxed),
            0,
            "a device is bound twice"
        );
        assert_eq!(
            self.group_files.load(Relaxed),
            0,
            "a file is bound beside the group's file"
        );
    }

    fn unbinds(&self) {
        self.bound_files.fetch_sub(1, Relaxed);
    }
}

/// The machine.
pub(super) struct World {
    device: StdArc<Device>,
    second_device: StdArc<Device>,
    iommu_group: IommuGroup,
    /// The nodes of groups, as open(2) finds them.
    groups: StdMutex<Option<CharRegion<Group>>>,
    users: StdArc<Users>,
    /// The number of registrations that have ended.
    past_registrations: StdArc<AtomicU32>,
    /// The number of calls that may still succeed, if the model limits it.
    successes: StdMutex<Option<u32>>,
    shared_files: StdMutex<Vec<Arc<CdevFile>>>,
    shared_group: StdMutex<Option<StdArc<GroupFile>>>,
    container: StdMutex<Option<Arc<Container>>>,
    machine: StdArc<kvm>,
    machine_closed: AtomicBool,
}

impl World {
    /// Boots the machine, and registers the device.
    pub(super) fn new() -> StdArc<Self> {
        *GROUPS.lock() = Some(RBTree::new());
        let region = CharRegion::new();
        let nodes = region.same();
        let class = Arc::new(ClassRegistration, GFP_KERNEL).expect("allocations do not fail");
        *NODES.lock() = Some(Nodes::new(region, class).expect("allocations do not fail"));
        let mut drivers = KVec::new();
        drivers
            .push(RegisteredDriver, GFP_KERNEL)
            .expect("allocations do not fail");
        *crate::container::DRIVERS.lock() = Some(drivers);
        let device = Device::new();
        let iommu_group = IommuGroup::of(device.parent()).expect("the device has an IOMMU");
        let world = StdArc::new(Self {
            device,
            second_device: Device::new(),
            iommu_group,
            groups: StdMutex::new(Some(nodes)),
            users: StdArc::default(),
            past_registrations: StdArc::default(),
            successes: StdMutex::new(None),
            shared_files: StdMutex::new(Vec::new()),
            shared_group: StdMutex::new(None),
            container: StdMutex::new(None),
            machine: StdArc::new(kvm::new()),
            machine_closed: AtomicBool::new(false),
        });
        world.register();
        world
    }

    pub(super) fn register(&self) {
        assert_eq!(self.device.register(), Ok(()));
    }

    pub(super) fn register_second(&self) {
        assert_eq!(self.second_device.register(), Ok(()));
    }

    pub(super) fn unregister(&self) {
        self.device.unregister();
        if !self.second_device.is_registered() {
            // It was the last device of its group, which has left its container.
            self.assert_detached();
        }
        assert!(
            self.open_cdev().is_err(),
            "a device that is unregistered can be opened"
        );
        self.past_registrations.fetch_add(1, Relaxed);
    }

    /// Closes what the threads have left open, removes the device, and unloads the module.
    pub(super) fn end(&self) {
        drop(self.shared_group.lock().unwrap().take());
        drop(self.container.lock().unwrap().take());
        if self.second_device.is_registered() {
            drop(self.open_group().expect("the group is free"));
            self.second_device.unregister();
        }
        if self.device.is_registered() {
            // Nobody uses the group any more.
            drop(self.open_group().expect("the group is free"));
            let file = self.open_cdev().expect("the device is registered");
            assert_eq!(file.bind(), Ok(()));
            drop(file);
            self.unregister();
        }
        assert_ne!(*self.successes.lock().unwrap(), Some(1), "no call succeeds");
        assert!(
            GROUPS
                .lock()
                .take()
                .expect("the module is loaded")
                .is_empty(),
            "a group is left"
        );
        drop(NODES.lock().take());
        drop(crate::container::DRIVERS.lock().take());
        drop(self.groups.lock().unwrap().take());
        assert!(
            !self.iommu_group.dma_owner_claimed(),
            "the DMA of the group has an owner"
        );
        self.device.free();
        self.second_device.free();
        if !self.machine_closed.load(Relaxed) {
            self.close_machine();
        }
        assert!(
            self.machine.has_ended(),
            "a reference on the machine is left"
        );
        assert_eq!(
            bindings::symbol_references(),
            0,
            "a reference on KVM's module is left"
        );
    }

    /// open(2) of the group's node.
    pub(super) fn open_group(&self) -> Result<GroupFile> {
        let nodes = self
            .groups
            .lock()
            .unwrap()
            .as_ref()
            .expect("the module is loaded")
            .same();
        let group = nodes.lookup().ok_or(ENXIO)?;
        group.open(|| true).map_err(|refusal| refusal.errno())?;
        Ok(GroupFile::new(group, self.users.clone()))
    }

    /// open(2) of the device's node.
    pub(super) fn open_cdev(&self) -> Result<CdevFile> {
        let file = DeviceFile::open_cdev(self.device.state().clone())?;
        Ok(CdevFile {
            file,
            users: self.users.clone(),
            past_registrations: self.past_registrations.clone(),
            opened_after: self.past_registrations.load(Relaxed),
        })
    }

    /// Opens a file for `threads` threads, each of which takes it once.
    pub(super) fn open_shared_file(&self, threads: usize) {
        let file = self.open_cdev().expect("the device is registered");
        let file = Arc::new(file, GFP_KERNEL).expect("allocations do not fail");
        let mut files = self.shared_files.lock().unwrap();
        files.extend(std::iter::repeat_n(file, threads));
    }

    pub(super) fn shared_file(&self) -> Arc<CdevFile> {
        self.shared_files
            .lock()
            .unwrap()
            .pop()
            .expect("the file is open")
    }

    /// Exactly one call of the threads succeeds.
    pub(super) fn expect_one_success(&self) {
        *self.successes.lock().unwrap() = Some(1);
    }

    pub(super) fn count_success(&self) {
        let mut successes = self.successes.lock().unwrap();
        let left = successes.and_then(|left| left.checked_sub(1));
        assert!(left.is_some(), "more calls succeed than expected");
        *successes = left;
    }

    pub(super) fn open_shared_group(&self) {
        let file = self.open_group().expect("the group is free");
        *self.shared_group.lock().unwrap() = Some(StdArc::new(file));
    }

    pub(super) fn shared_group(&self) -> Arc<Group> {
        let file = self.shared_group.lock().unwrap();
        file.as_ref().expect("the group is open").group.clone()
    }

    /// Adds a file of the threads to the machine.
    pub(super) fn add_file_to_machine(&self) {
        let slot = self.shared_file().file.kvm().clone();
        // SAFETY: By the promise of `add_to_machine()`.
        self.add_to_machine(move |kvm| unsafe { slot.set(kvm) });
    }

    /// Adds the group's file to the machine.
    pub(super) fn add_group_to_machine(&self) {
        let group = self.shared_group();
        // SAFETY: By the promise of `add_to_machine()`.
        self.add_to_machine(move |kvm| unsafe { group.kvm().set(kvm) });
    }

    /// `KVM_DEV_VFIO_FILE_ADD`.  The slot is emptied before the machine ends.
    fn add_to_machine(&self, set: impl Fn(*mut kvm) + Send + 'static) {
        set(self.raw_machine());
        self.machine.at_end(move || set(core::ptr::null_mut()));
    }

    /// Closes the machine.  It ends when no device holds it.
    pub(super) fn close_machine(&self) {
        assert!(!self.machine_closed.swap(true, Relaxed));
        // SAFETY: The machine has this user.
        unsafe { bindings::kvm_put_kvm(self.raw_machine()) };
    }

    fn raw_machine(&self) -> *mut kvm {
        StdArc::as_ptr(&self.machine).cast_mut()
    }

    /// `VFIO_GROUP_SET_CONTAINER` with a container of its own.
    pub(super) fn join_new_container(&self) -> Result {
        join(&self.shared_group(), &Container::new()?)
    }

    /// `VFIO_GROUP_SET_CONTAINER` with an iommufd.
    pub(super) fn set_shared_iommufd(&self) -> Result {
        set_iommufd(&self.shared_group())
    }

    /// `VFIO_GROUP_SET_CONTAINER` with the container of the threads.
    pub(super) fn join_shared_container(&self) -> Result {
        join(&self.shared_group(), &self.container())
    }

    /// Opens the group, and makes a container for the threads, which the group joins.
    pub(super) fn open_shared_container(&self) {
        self.open_shared_group();
        let container = Container::new().expect("allocations do not fail");
        *self.container.lock().unwrap() = Some(container);
        self.join_shared_container()
            .expect("the group has no backend");
    }

    /// As [`open_shared_container`](Self::open_shared_container), with a container driver.
    pub(super) fn open_container_with_driver(&self) {
        self.open_shared_container();
        let chosen = self.container().set_iommu(0);
        chosen.expect("the driver takes the container");
    }

    pub(super) fn container(&self) -> Arc<Container> {
        self.container
            .lock()
            .unwrap()
            .clone()
            .expect("there is a container")
    }

    pub(super) fn shared_device(&self) -> Result<GroupDevice> {
        let file = self
            .shared_group
            .lock()
            .unwrap()
            .clone()
            .expect("the group is open");
        file.device()
    }

    /// The group has left its container, and its DMA has no owner.
    pub(super) fn assert_detached(&self) {
        assert!(
            !self.iommu_group.dma_owner_claimed(),
            "the group is in its container"
        );
    }
}

/// `VFIO_GROUP_SET_CONTAINER` with a container.
fn join(group: &Group, container: &Arc<Container>) -> Result {
    group.set(|iommu_group, group_type| {
        GroupBackend::container(container.clone(), iommu_group, group_type)
    })
}

/// `VFIO_GROUP_SET_CONTAINER` with an iommufd.
fn set_iommufd(group: &Group) -> Result {
    group.set(|_, group_type| GroupBackend::iommufd(Ctx::open(), group_type))
}

/// The group's file.
pub(super) struct GroupFile {
    group: Arc<Group>,
    file: StdArc<File>,
}

impl GroupFile {
    fn new(group: Arc<Group>, users: StdArc<Users>) -> Self {
        users.group_opened();
        let closes = group.clone();
        let file = File::new(move || {
            users.group_closes();
            closes.close();
        });
        Self { group, file }
    }

    pub(super) fn set_container(&self) -> Result {
        let container = Container::new()?;
        join(&self.group, &container)?;
        // Another group cannot be in the container.
        container.set_iommu(0).or_else(|e| match e {
            // The last device has left the group, and the group has left the container.
            EINVAL => Ok(()),
            e => Err(e),
        })
    }

    pub(super) fn set_iommufd(&self) -> Result {
        set_iommufd(&self.group)
    }

    pub(super) fn unset(&self) -> Result {
        self.group.unset()
    }

    /// `VFIO_GROUP_GET_DEVICE_FD`, in the steps of `get_device_fd()` of the module.
    pub(super) fn device(&self) -> Result<GroupDevice> {
        let registration = self.group.find(&mut UserString)?;
        self.open(&registration).map_err(|refusal| refusal.errno())
    }

    fn open(&self, registration: &RegistrationRef) -> Result<GroupDevice, crate::refusal::Refusal> {
        let state = registration.state();
        let file = DeviceFile::new(state.clone(), registration.generation());
        let group: ArcBorrow<'_, Group> = self.group.as_arc_borrow();
        let backend = group
            .backend(&self.file)
            .ok_or(EINVAL)
            .because(Reason::NoContainer)?;
        let mut resources = Some(OpenResources::new(backend, group.kvm().get(), None));
        file.grant(OpenDevice::by_group(registration, &mut resources)?);
        Ok(GroupDevice { _file: file })
    }
}

/// A device file from the group.
pub(super) struct GroupDevice {
    _file: DeviceFile,
}

/// A file of the device's node.
pub(super) struct CdevFile {
    file: DeviceFile,
    users: StdArc<Users>,
    past_registrations: StdArc<AtomicU32>,
    /// The number of registrations that had ended when the file was opened.
    opened_after: u32,
}

impl CdevFile {
    pub(super) fn bind(&self) -> Result {
        self.file.bind()?;
        self.users.bound();
        let past = self.past_registrations.load(Relaxed);
        assert_eq!(
            past, self.opened_after,
            "a file reaches a later registration"
        );
        Ok(())
    }
}

impl Drop for CdevFile {
    fn drop(&mut self) {
        if self.file.has_access() {
            self.users.unbinds();
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The VFIO core: devices for user space, confined by the IOMMU.
//!
//! This is `vfio.ko`, in the place of the kernel's own C module: same symbols, same nodes, same
//! behaviour.  C counterpart of this file: `vfio_init()` and `vfio_cleanup()`.
//!
//! # The map
//!
//! From the ground up; imports go down only.
//!
//! | floor | what |
//! |---|---|
//! | [`bindings`] | generated from the tree that is built against |
//! | [`kapi`] | safe wrappers of what the kernel crate lacks |
//! | [`uapi`], [`info_cap`], [`irqs`], [`minors`] | arguments of ioctls; pure logic |
//! | [`device`], [`group`], [`iommufd`], [`virqfd`] | what there is, and what protects it |
//! | [`file`] | what user space does with it |
//! | [`abi`] | the C face: file operations and exported functions |
//!
//! `unsafe` is in `bindings`, `kapi` and `abi`; the others deny it.

#[deny(unsafe_op_in_unsafe_fn)]
mod abi;
mod bindings;
#[deny(unsafe_code)]
mod device;
#[deny(unsafe_code)]
mod file;
#[deny(unsafe_code)]
mod group;
#[deny(unsafe_code)]
mod info_cap;
#[cfg(CONFIG_IOMMUFD)]
#[deny(unsafe_code)]
mod iommufd;
#[deny(unsafe_code)]
mod irqs;
#[deny(unsafe_op_in_unsafe_fn)]
mod kapi;
#[deny(unsafe_code)]
mod minors;
#[deny(unsafe_code)]
mod uapi;
#[cfg(CONFIG_VFIO_VIRQFD)]
#[deny(unsafe_code)]
mod virqfd;

use kapi::{
    cdev::CharRegion, class::ClassRegistration, debugfs, lock::LoadPhase, workqueue::OwnedQueue,
};
use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

module! {
    type: Vfio,
    name: "vfio",
    authors: ["Alex Williamson <alex.williamson@redhat.com>"],
    description: "VFIO - User Level meta-driver",
    license: "GPL v2",
    imports_ns: ["IOMMUFD", "IOMMUFD_VFIO"],
}

const VERSION: &str = "0.3";

/// The loaded module.  Fields are dropped in their order, which is the reverse of their making.
struct Vfio {
    _devices: DevicesLoaded,
    _device_class: ClassRegistration,
    #[cfg(CONFIG_VFIO_VIRQFD)]
    _virqfd: VirqfdLoaded,
    _groups: Option<GroupsLoaded>,
    _group_class: Option<ClassRegistration>,
    _sets: SetsLoaded,
}

impl kernel::Module for Vfio {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut load = LoadPhase::begin()?;
        load.init(&device::sets::SETS)?;
        load.init(&device::DEVICES)?;
        load.init(&group::GROUPS)?;
        load.init(&group::NODES)?;
        #[cfg(CONFIG_VFIO_VIRQFD)]
        {
            load.init(&kapi::eventfd::SLOTS)?;
            load.init(&virqfd::CLEANUP)?;
        }

        let sets = SetsLoaded::new();
        let group_class = match cfg!(CONFIG_VFIO_GROUP) {
            true => Some(abi::group::CLASS.register()?),
            false => None,
        };
        let groups = match cfg!(CONFIG_VFIO_GROUP) {
            true => Some(GroupsLoaded::new()?),
            false => None,
        };
        #[cfg(CONFIG_VFIO_VIRQFD)]
        let virqfd = VirqfdLoaded::new()?;
        let device_class = abi::vfio_main::DEVICE_CLASS.register()?;
        let devices = DevicesLoaded::new()?;

        // The C core prints no prefix, and tools look for the line.
        pr_load_message();
        Ok(Self {
            _devices: devices,
            _device_class: device_class,
            #[cfg(CONFIG_VFIO_VIRQFD)]
            _virqfd: virqfd,
            _groups: groups,
            _group_class: group_class,
            _sets: sets,
        })
    }
}

fn pr_load_message() {
    kapi::module::print_info(c"VFIO - User Level meta-driver version: ", VERSION);
}

/// Devices can be registered.
struct DevicesLoaded;

impl DevicesLoaded {
    fn new() -> Result<Self> {
        let region = match cfg!(CONFIG_VFIO_DEVICE_CDEV) {
            true => Some(CharRegion::register(c"vfio-dev", &abi::device_cdev::FOPS)?),
            false => None,
        };
        let root = match cfg!(CONFIG_VFIO_DEBUGFS) {
            true => Some(Arc::new(debugfs::Dir::new(c"vfio", None), GFP_KERNEL)?),
            false => None,
        };
        *device::DEVICES.lock() = Some(device::Devices::new(region, root));
        Ok(Self)
    }
}

impl Drop for DevicesLoaded {
    fn drop(&mut self) {
        let devices = device::DEVICES.lock().take();
        drop(devices);
    }
}

/// Groups can be made.
struct GroupsLoaded;

impl GroupsLoaded {
    fn new() -> Result<Self> {
        let region = CharRegion::register(c"vfio", &abi::group::FOPS)?;
        *group::NODES.lock() = Some(group::table::Nodes::new(region, &abi::group::CLASS));
        *group::GROUPS.lock() = Some(RBTree::new());
        Ok(Self)
    }
}

impl Drop for GroupsLoaded {
    fn drop(&mut self) {
        let groups = group::GROUPS.lock().take();
        kernel::warn_on!(groups.is_some_and(|g| !g.is_empty()));
        let nodes = group::NODES.lock().take();
        drop(nodes);
    }
}

/// Sets can be made.
struct SetsLoaded;

impl SetsLoaded {
    fn new() -> Self {
        *device::sets::SETS.lock() = Some(RBTree::new());
        Self
    }
}

impl Drop for SetsLoaded {
    fn drop(&mut self) {
        let sets = device::sets::SETS.lock().take();
        drop(sets);
    }
}

/// Eventfds can be listened to.
#[cfg(CONFIG_VFIO_VIRQFD)]
struct VirqfdLoaded;

#[cfg(CONFIG_VFIO_VIRQFD)]
impl VirqfdLoaded {
    fn new() -> Result<Self> {
        let queue = OwnedQueue::new_single_threaded(c"vfio-irqfd-cleanup")?;
        *virqfd::CLEANUP.lock() = Some(Arc::new(queue, GFP_KERNEL)?);
        Ok(Self)
    }
}

#[cfg(CONFIG_VFIO_VIRQFD)]
impl Drop for VirqfdLoaded {
    fn drop(&mut self) {
        let queue = virqfd::CLEANUP.lock().take();
        drop(queue);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The VFIO core: user space access to devices whose DMA the IOMMU confines.
//!
//! This module is `vfio.ko` and replaces the C module of the kernel.  It has the same symbols, the same
//! device nodes and the same behaviour, except for the differences that
//! `Documentation/differences-from-c.rst` lists.  C counterpart of this file: `vfio_init()` and
//! `vfio_cleanup()`.
//!
//! # Layers
//!
//! The table lists the layers from the bottom up.  A module imports only from its own layer and from lower
//! layers.  Imports within one layer form no cycle, except between a module and the modules that it declares.
//! `scripts/checks/check-layers` reads this table.
//!
//! | layer | contents |
//! |---|---|
//! | [`bindings`] | bindings generated from the kernel tree of the build |
//! | [`kapi`] | safe wrappers that the kernel crate lacks |
//! | [`shared`] | data shared with C code: `struct vfio_device`, the callbacks of drivers, virqfds, trace events |
//! | [`uapi`], [`info_cap`], [`irqs`], [`migration`], [`minors`], [`ranges`], [`refusal`], [`tally`] | ioctl arguments; minors; logic without locks, most of it tested on the host |
//! | [`device`], [`group`], [`container`], [`sva`], [`pages`] | the objects of the core, and their locks |
//! | [`file`](mod@file) | the operations of user space on files |
//! | [`abi`] | the C interface: classes and exported functions |
//!
//! `unsafe` code is in `bindings`, `kapi`, `shared` and `abi`.  The other modules deny it.

#[deny(unsafe_op_in_unsafe_fn)]
mod abi;
mod bindings;
#[deny(unsafe_code)]
mod container;
#[deny(unsafe_code)]
mod device;
#[deny(unsafe_code)]
mod file;
#[deny(unsafe_code)]
mod group;
#[deny(unsafe_code)]
mod info_cap;
#[deny(unsafe_code)]
mod irqs;
#[deny(unsafe_op_in_unsafe_fn)]
mod kapi;
#[deny(unsafe_code)]
mod migration;
#[deny(unsafe_code)]
mod minors;
#[deny(unsafe_code)]
mod pages;
#[deny(unsafe_code)]
mod ranges;
#[deny(unsafe_code)]
mod refusal;
#[deny(unsafe_op_in_unsafe_fn)]
mod shared;
#[deny(unsafe_code)]
mod sva;
#[deny(unsafe_code)]
mod tally;
#[deny(unsafe_code)]
mod uapi;

use kapi::{
    cdev::CharRegion,
    class::ClassRegistration,
    debugfs::Dir,
    lock::{GlobalValue, LoadPhase},
    miscdevice::MiscDevice,
    workqueue::OwnedQueue,
};
use kernel::{prelude::*, rbtree::RBTree, sync::Arc};

module! {
    type: Vfio,
    name: "vfio",
    authors: ["Alex Williamson <alex.williamson@redhat.com>"],
    description: "VFIO - User Level meta-driver",
    license: "GPL v2",
}

impl shared::Owner for shared::vfio::Device {
    type Module = LocalModule;
}

const VERSION: &str = "0.3";

/// The loaded module.  Fields are dropped in declaration order: the reverse of the order in which they are made.
struct Vfio {
    _devices: GlobalValue<device::DEVICES>,
    _device_class: ClassRegistration,
    #[cfg(CONFIG_VFIO_VIRQFD)]
    _virqfd: GlobalValue<shared::virqfd::CLEANUP>,
    _nodes: Option<GlobalValue<group::NODES>>,
    _groups: GlobalValue<group::GROUPS>,
    _container_node: Option<MiscDevice>,
    _drivers: GlobalValue<container::DRIVERS>,
    _sets: GlobalValue<device::sets::SETS>,
    _deferred: GlobalValue<sva::DEFERRED>,
}

impl kernel::Module for Vfio {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut load = LoadPhase::begin()?;
        load.init(&device::sets::SETS)?;
        load.init(&device::DEVICES)?;
        load.init(&group::GROUPS)?;
        load.init(&group::NODES)?;
        load.init(&container::DRIVERS)?;
        load.init(&sva::DEFERRED)?;
        #[cfg(CONFIG_VFIO_VIRQFD)]
        {
            load.init(&shared::virqfd::SLOTS)?;
            load.init(&shared::virqfd::CLEANUP)?;
        }

        let deferred = sva::Deferred::new(OwnedQueue::new_unbound(c"vfio-sva")?);
        let deferred = GlobalValue::new(&sva::DEFERRED, Some(deferred));
        let sets = GlobalValue::new(&device::sets::SETS, Some(RBTree::new()));
        let drivers = GlobalValue::new(&container::DRIVERS, Some(KVec::new()));
        if cfg!(all(CONFIG_VFIO_CONTAINER, CONFIG_VFIO_NOIOMMU)) {
            abi::container::add_noiommu()?;
        }
        let container_node = match cfg!(CONFIG_VFIO_CONTAINER) {
            true => Some(container_node()?),
            false => None,
        };
        let groups = GlobalValue::new(&group::GROUPS, Some(RBTree::new()));
        let nodes = match cfg!(CONFIG_VFIO_GROUP) {
            true => Some(GlobalValue::new(&group::NODES, Some(group_nodes()?))),
            false => None,
        };
        #[cfg(CONFIG_VFIO_VIRQFD)]
        let virqfd = GlobalValue::new(&shared::virqfd::CLEANUP, Some(cleanup_queue()?));
        let device_class = abi::vfio_main::DEVICE_CLASS.register()?;
        let devices = GlobalValue::new(&device::DEVICES, Some(device_nodes()?));

        // The C core prints this line without a prefix, and tools look for it.
        kapi::printk::print_info(c"VFIO - User Level meta-driver version: ", VERSION);
        Ok(Self {
            _devices: devices,
            _device_class: device_class,
            #[cfg(CONFIG_VFIO_VIRQFD)]
            _virqfd: virqfd,
            _nodes: nodes,
            _groups: groups,
            _container_node: container_node,
            _drivers: drivers,
            _sets: sets,
            _deferred: deferred,
        })
    }
}

impl Drop for Vfio {
    fn drop(&mut self) {
        // Drivers that have devices keep the module loaded, so the table of groups is empty here.
        let left = group::GROUPS.lock().as_ref().is_some_and(|g| !g.is_empty());
        kapi::panic::warn_on!(left);
    }
}

/// Registers the misc device `/dev/vfio/vfio`.  Logs a failure.
fn container_node() -> Result<MiscDevice> {
    MiscDevice::register::<container::Container>(&abi::container::NODE)
        .inspect_err(|_| kapi::printk::print_error(c"vfio: misc device register failed"))
}

/// Registers the class and the device number range of `/dev/vfio/$GROUP`.
fn group_nodes() -> Result<group::table::Nodes> {
    let class = Arc::new(abi::group::CLASS.register()?, GFP_KERNEL)?;
    let region = CharRegion::register::<group::Group>(c"vfio")?;
    group::table::Nodes::new(region, class)
}

/// Creates the work queue on which the shutdowns of virqfds run.
#[cfg(CONFIG_VFIO_VIRQFD)]
fn cleanup_queue() -> Result<Arc<OwnedQueue>> {
    let queue = OwnedQueue::new_single_threaded(c"vfio-irqfd-cleanup")?;
    Ok(Arc::new(queue, GFP_KERNEL)?)
}

/// Registers the device number range of `/dev/vfio/devices/vfioX`, if the kernel has `CONFIG_VFIO_DEVICE_CDEV`,
/// and makes the debugfs directory `vfio`, if the kernel has `CONFIG_VFIO_DEBUGFS`.
fn device_nodes() -> Result<device::Devices> {
    let region = match cfg!(CONFIG_VFIO_DEVICE_CDEV) {
        true => Some(CharRegion::register::<file::DeviceFile>(c"vfio-dev")?),
        false => None,
    };
    let debugfs = match cfg!(CONFIG_VFIO_DEBUGFS) {
        true => Some(Arc::new(Dir::new(c"vfio"), GFP_KERNEL)?),
        false => None,
    };
    device::Devices::new(region, debugfs)
}

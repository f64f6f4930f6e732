// SPDX-License-Identifier: GPL-2.0-only

//! The data and callbacks that `vfio.ko` shares with C code: VFIO drivers, container drivers, virqfds, the pseudo
//! file system, trace events.  It also has the parts of two `kapi` wrappers that are specific to VFIO: the
//! conditions for a bond ([`iommu_sva`]), and the log message of a failed resume ([`pm_runtime`]).
//!
//! `unsafe` code is allowed here, as in [`kapi`](crate::kapi).  Unlike `kapi`, this layer knows VFIO.

pub(crate) mod fs;
pub(crate) mod iommu_sva;
pub(crate) mod params;
pub(crate) mod pm_runtime;
pub(crate) mod trace;
pub(crate) mod vfio;
#[cfg(CONFIG_VFIO_VIRQFD)]
pub(crate) mod virqfd;

use fs::PseudoInode;
use kernel::{sync::Mutex, ModuleMetadata};
use vfio::{opening::Closing, set::LockedState, Device, DeviceLink, Registered};

/// The metadata of this kernel module, which owns files and the pseudo file system.  The crate root implements
/// this trait once, for [`Device`].
pub(crate) trait Owner {
    /// The metadata.
    type Module: ModuleMetadata;
}

/// The types of the upper layers of the core that are attached to each device.
///
/// `abi` implements this trait once, for [`Device`].  So the `driver_data` of every class device of VFIO has the
/// same type, and this layer does not name the type.
///
/// # Safety
///
/// [`link`](Self::link) and [`locked`](Self::locked) return a field of the state.
pub(crate) unsafe trait Core {
    /// The core's own state of a device.  The files of the device share it, and can keep it after the device
    /// is gone.
    type State: Send + Sync + 'static;
    /// The data in the link to a registered device: the group of the device.
    type GroupLink: Send + Unpin;
    /// The resources that are held from the first open of a device to its last close.
    type OpenResources: Send;
    /// The kind of an open.
    type OpenedBy: Copy;

    /// Ends one open of the device.  Takes the lock of the device's set, and passes `closing` to
    /// [`driver_close`](vfio::SetLocked::driver_close).
    fn close(device: &Device<Registered>, opened_by: Self::OpenedBy, closing: Closing<'_>);
    /// Returns the inode whose mapping all files of the device share.  The state keeps the inode alive.
    fn inode(state: &Self::State) -> &PseudoInode;
    /// Returns the link to the device.
    fn link(state: &Self::State) -> &DeviceLink<Self::GroupLink>;
    /// Returns the lock that excludes a read of the migration state while the driver opens or closes the device.
    /// It is inside the lock of the device's set.
    fn open_or_close(state: &Self::State) -> &Mutex<()>;
    /// Returns the data that the lock of the device's set protects.
    fn locked(state: &Self::State) -> &LockedState;
}

/// This module.
pub(crate) type OwnerModule = <Device as Owner>::Module;

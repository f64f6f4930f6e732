// SPDX-License-Identifier: GPL-2.0-only

//! What `vfio.ko` shares with C code: the structures and callbacks of VFIO drivers and IOMMU drivers,
//! its pseudo file system, its trace events.
//!
//! As in [`kapi`](crate::kapi), `unsafe` is allowed here; unlike there, all of it is VFIO's.

pub(crate) mod fs;
pub(crate) mod iommu_sva;
pub(crate) mod params;
pub(crate) mod pm_runtime;
pub(crate) mod trace;
pub(crate) mod vfio;
#[cfg(CONFIG_VFIO_VIRQFD)]
pub(crate) mod virqfd;

use fs::PseudoInode;
use kernel::ModuleMetadata;
use vfio::{set::LockedState, Device, Severable};

/// What the core, whose floors are above this one, hangs on devices.
///
/// The crate root implements it, for [`Device`].  There is one implementation, so the driver data of each
/// device is of one type, which this floor need not know.
pub(crate) trait Core {
    /// The module that owns files and file systems.
    type OwnerModule: ModuleMetadata;
    /// The core's own state of a device.  Files of the device share it, and may keep it longer.
    type State: Send + Sync + 'static;
    /// What a file finds by the link to its device.
    type Link: Send + Unpin;
    /// What is held from the first open of a device to its last close.
    type FirstOpen: Send;

    /// The inode whose mapping all files of the device share.  The state keeps it.
    fn inode(state: &Self::State) -> &PseudoInode;
    /// The link to the device.
    fn link(state: &Self::State) -> &Severable<Self::Link>;
    /// What the lock of the device's set protects.
    fn locked(state: &Self::State) -> &LockedState;
}

/// The module that this is.
pub(crate) type OwnerModule = <Device as Core>::OwnerModule;

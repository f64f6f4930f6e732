// SPDX-License-Identifier: GPL-2.0-only

//! The data and callbacks that `vfio.ko` shares with C code: VFIO drivers, container drivers, virqfds, the
//! pseudo file system, trace events.  This layer also completes two `kapi` wrappers: [`iommu_sva`] has the
//! conditions for a bond and the workarounds for IOMMU drivers, and [`pm_runtime`] has the log message of a
//! failed resume.
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

use kernel::ModuleMetadata;
use vfio::Device;

/// The metadata of this kernel module, which owns files and the pseudo file system.  The crate root implements
/// this trait once, for [`Device`].
pub(crate) trait Owner {
    /// The metadata.
    type Module: ModuleMetadata;
}

/// This module.
pub(crate) type OwnerModule = <Device as Owner>::Module;

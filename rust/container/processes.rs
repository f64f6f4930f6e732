// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls that bind process address spaces to all devices of a container's groups.
//!
//! There is no C counterpart; `include/uapi/linux/vfio_sva.h` is the specification.
//!
//! Locks: `Container::data`, which is released; then those of [`BoundProcesses`](crate::sva::BoundProcesses).  User
//! memory is accessed without these locks.  The ioctls take neither the lock of the container nor the locks of
//! the container driver (`VFIO_IOMMU_MAP_DMA` takes the latter).

use super::Container;
use crate::sva::{bind_caller, unbind_caller};
use kernel::{prelude::*, uaccess::UserPtr};

impl Container {
    /// Handles `VFIO_BIND_PROCESS`: binds the address space of the caller.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: the container has no container driver.
    /// - Those of [`bind_caller`], with those of
    ///   [`BoundProcesses::bind_to_all`](crate::sva::BoundProcesses::bind_to_all).
    pub(crate) fn bind_process(&self, arg: UserPtr) -> Result {
        self.data().ok_or(EINVAL)?;
        bind_caller(arg, |mm| self.processes().bind_to_all(mm)).map(|_| ())
    }

    /// Handles `VFIO_UNBIND_PROCESS`: unbinds the address space of the caller.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: the container has no container driver.
    /// - Those of [`unbind_caller`], with those of
    ///   [`BoundProcesses::unbind_from_all`](crate::sva::BoundProcesses::unbind_from_all).
    pub(crate) fn unbind_process(&self, arg: UserPtr) -> Result {
        self.data().ok_or(EINVAL)?;
        unbind_caller(arg, |mm| self.processes().unbind_from_all(mm)).map(|_| ())
    }
}

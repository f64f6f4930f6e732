// SPDX-License-Identifier: GPL-2.0-only

//! Processes whose address spaces all devices of a container's groups may use.
//!
//! Without C counterpart; the specification is `include/uapi/linux/vfio_sva.h`.
//!
//! Locks: those of [`BoundProcesses`](crate::sva::BoundProcesses), over nothing of user memory, and
//! not that of the container, which `VFIO_IOMMU_MAP_DMA` takes.

use super::Container;
use crate::sva::{bind_caller, unbind_caller};
use kernel::{prelude::*, uaccess::UserPtr};

impl Container {
    /// `VFIO_BIND_PROCESS`.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` without a backend; those of [`bind_caller`], with those of
    /// [`BoundProcesses::bind_to_all`](crate::sva::BoundProcesses::bind_to_all).
    pub(crate) fn bind_process(&self, arg: UserPtr) -> Result {
        self.backend().ok_or(EINVAL)?;
        bind_caller(arg, |mm| self.processes().bind_to_all(mm)).map(|_| ())
    }

    /// `VFIO_UNBIND_PROCESS`.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` without a backend; those of [`unbind_caller`], with those of
    /// [`BoundProcesses::unbind_from_all`](crate::sva::BoundProcesses::unbind_from_all).
    pub(crate) fn unbind_process(&self, arg: UserPtr) -> Result {
        self.backend().ok_or(EINVAL)?;
        unbind_caller(arg, |mm| self.processes().unbind_from_all(mm)).map(|_| ())
    }
}

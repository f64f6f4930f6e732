// SPDX-License-Identifier: GPL-2.0-only

//! Processes whose address spaces all devices of a container's groups may use.
//!
//! Without C counterpart; the specification is `include/uapi/linux/vfio_sva.h`.
//!
//! Locks: the container's, over that of the [processes](crate::sva::BoundProcesses) and over nothing
//! of user memory: a group that comes or goes meanwhile finds a process bound, or does not.

use super::{Container, Inner, Member};
use crate::{
    kapi::vfio::iommu_driver::GroupType,
    sva::{bind_caller, unbind_caller},
};
use kernel::{prelude::*, sync::Arc, uaccess::UserPtr};

impl Inner {
    /// Whether processes can be bound.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a backend; `EOPNOTSUPP` when there is a group without an IOMMU.
    fn check_processes(&self) -> Result {
        if self.backend.is_none() {
            return Err(EINVAL);
        }
        let physical = |member: &Arc<Member>| member.kind == GroupType::Iommu;
        match self.members.iter().all(physical) {
            true => Ok(()),
            false => Err(EOPNOTSUPP),
        }
    }

    /// Lets a group that has been attached to the backend join in with the processes.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` when there are processes and the group has no IOMMU; those of
    /// [`BoundProcesses::add`](crate::sva::BoundProcesses::add).
    pub(super) fn add_to_processes(&self, member: &Member) -> Result {
        match member.kind {
            GroupType::Iommu => self.processes.add(&member.iommu_group),
            _ if self.processes.has_living() => Err(EOPNOTSUPP),
            _ => Ok(()),
        }
    }
}

impl Container {
    /// `VFIO_BIND_PROCESS`.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` without a backend; those of [`bind_caller`], with `EOPNOTSUPP` when
    /// there is a group without an IOMMU and those of
    /// [`BoundProcesses::bind`](crate::sva::BoundProcesses::bind).
    pub(crate) fn bind_process(&self, arg: UserPtr) -> Result {
        self.backend().ok_or(EINVAL)?;
        bind_caller(arg, |mm| {
            let inner = self.inner.lock();
            inner.check_processes()?;
            let groups = inner.members.iter().map(|member| &member.iommu_group);
            inner.processes.bind(mm, groups)
        })
        .map(|_| ())
    }

    /// `VFIO_UNBIND_PROCESS`.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` without a backend; those of [`unbind_caller`], with `EOPNOTSUPP`
    /// when there is a group without an IOMMU and `ENOENT` (not bound).
    pub(crate) fn unbind_process(&self, arg: UserPtr) -> Result {
        self.backend().ok_or(EINVAL)?;
        unbind_caller(arg, |mm| {
            let inner = self.inner.lock();
            inner.check_processes()?;
            inner.processes.unbind(mm)
        })
        .map(|_| ())
    }
}

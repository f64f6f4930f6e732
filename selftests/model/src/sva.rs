// SPDX-License-Identifier: GPL-2.0-only

//! Processes that are bound to devices: none.

use crate::{kapi::iommu::IommuGroup, shared::vfio::iommu_driver::GroupType};
use kernel::{device::Device, prelude::*, sync::Arc, uaccess::UserPtr};

pub(crate) struct BoundProcesses;
pub(crate) struct Process;
pub(crate) struct MmWithUser;
pub(crate) struct Suspension;
pub(crate) struct Resetting;

pub(crate) fn is_used() -> bool {
    false
}

pub(crate) fn bind_caller(
    _: UserPtr,
    f: impl FnOnce(&MmWithUser) -> Result<Arc<Process>>,
) -> Result<Arc<Process>> {
    f(&MmWithUser)
}

pub(crate) fn unbind_caller(_: UserPtr, f: impl FnOnce(&MmWithUser) -> Result<u32>) -> Result<u32> {
    f(&MmWithUser)
}

impl BoundProcesses {
    pub(crate) fn new(flags: Flags) -> Result<Arc<Self>> {
        Ok(Arc::new(Self, flags)?)
    }

    pub(crate) fn bind_to_all(self: &Arc<Self>, _: &MmWithUser) -> Result<Arc<Process>> {
        Err(EINVAL)
    }

    pub(crate) fn unbind_from_all(&self, _: &MmWithUser) -> Result<u32> {
        Err(EINVAL)
    }

    pub(crate) fn join(&self, _: u64, _: &IommuGroup, _: GroupType) -> Result {
        Ok(())
    }

    pub(crate) fn leave(&self, _: u64, _: &IommuGroup) {}

    pub(crate) fn remove_device(&self, _: &Device) {}

    pub(crate) fn suspend(self: &Arc<Self>, _: u64, _: &IommuGroup) -> Option<Suspension> {
        None
    }

    pub(crate) fn begin_reset(self: &Arc<Self>) -> Resetting {
        Resetting
    }

    pub(crate) fn end_all(&self) {}
}

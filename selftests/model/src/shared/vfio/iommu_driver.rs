// SPDX-License-Identifier: GPL-2.0-only

//! A container driver, which counts the groups that are attached to its data.

use super::Device;
use crate::kapi::iommu::IommuGroup;
use kernel::{prelude::*, sync::Arc, uaccess::UserPtr};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum GroupType {
    Iommu,
    Emulated,
    NoIommu,
}

pub(crate) struct RegisteredDriver;

impl RegisteredDriver {
    pub(crate) fn is_noiommu(&self) -> bool {
        false
    }

    pub(crate) fn address(&self) -> usize {
        0
    }

    pub(crate) fn hold(&self) -> Option<IommuDriver> {
        Some(IommuDriver)
    }
}

pub(crate) struct IommuDriver;

impl IommuDriver {
    pub(crate) fn check_extension(&self, _: usize) -> isize {
        1
    }

    pub(crate) fn open(&self, _: usize) -> Result<IommuData> {
        Ok(IommuData::default())
    }
}

/// The data of the driver for a container.
#[derive(Default)]
pub(crate) struct IommuData {
    groups: AtomicI32,
    devices: AtomicI32,
}

impl IommuData {
    pub(crate) fn check_extension(&self, _: usize) -> isize {
        1
    }

    pub(crate) fn ioctl(&self, _: u32, _: UserPtr) -> isize {
        0
    }

    /// # Safety
    ///
    /// None.
    pub(crate) unsafe fn register_device(&self, device: &Device) {
        assert!(
            self.groups.load(Relaxed) > 0,
            "a device is opened in a group that is not attached"
        );
        device.bind();
        self.devices.fetch_add(1, Relaxed);
    }

    /// # Safety
    ///
    /// None.
    pub(crate) unsafe fn unregister_device(&self, device: &Device) {
        assert!(
            self.groups.load(Relaxed) > 0,
            "a group is detached under its device"
        );
        device.unbind();
        self.devices.fetch_sub(1, Relaxed);
    }
}

impl Drop for IommuData {
    fn drop(&mut self) {
        assert_eq!(
            self.groups.load(Relaxed),
            0,
            "data is released with a group"
        );
        assert_eq!(
            self.devices.load(Relaxed),
            0,
            "data is released with a device"
        );
    }
}

pub(crate) struct AttachedGroup {
    data: Arc<IommuData>,
    group: IommuGroup,
}

impl AttachedGroup {
    pub(crate) fn attach(data: &Arc<IommuData>, group: &IommuGroup, _: GroupType) -> Result<Self> {
        assert!(
            group.dma_owner_claimed(),
            "a group without owner is attached"
        );
        data.groups.fetch_add(1, Relaxed);
        Ok(Self {
            data: data.clone(),
            group: group.clone(),
        })
    }

    pub(crate) fn data(&self) -> &Arc<IommuData> {
        &self.data
    }
}

impl Drop for AttachedGroup {
    fn drop(&mut self) {
        assert!(
            self.group.dma_owner_claimed(),
            "a group without owner is detached"
        );
        if self.data.groups.fetch_sub(1, Relaxed) == 1 {
            assert_eq!(
                self.data.devices.load(Relaxed),
                0,
                "a group is detached under its device"
            );
        }
    }
}

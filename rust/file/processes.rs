// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls that bind process address spaces to a bound device.
//!
//! There is no C counterpart; `include/uapi/linux/vfio_sva.h` is the specification.
//!
//! Locks: those of [`BoundProcesses`](crate::sva::BoundProcesses).  User memory is accessed without them.

use super::{errno_of, DeviceFile};
use crate::{
    device::open::OpenedBy,
    kapi::{iommu::IommuGroup, iommu_sva::max_pasids, series::EOPNOTSUPP},
    shared::{
        iommu_sva,
        trace::{self, traced},
        vfio::{iommu_driver::GroupType, Device, Open},
    },
    sva::{bind_caller, unbind_caller},
    uapi::{feature::Feature, sva},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Checks that the ioctls are available on the file.
///
/// # Errors
///
/// - `ENOTTY`: the file was opened through the group.
/// - `EOPNOTSUPP`: the device is emulated, or has no IOMMU.
fn check(file: &DeviceFile) -> Result {
    match (file.opened_by(), file.group_type()) {
        (OpenedBy::Group, _) => Err(ENOTTY),
        (OpenedBy::Cdev, GroupType::Iommu) => Ok(()),
        (OpenedBy::Cdev, GroupType::Emulated | GroupType::NoIommu) => Err(EOPNOTSUPP),
    }
}

/// Handles `VFIO_BIND_PROCESS`: binds the address space of the caller.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`check`].
/// - Those of [`bind_caller`].  The errors of its `bind` are, in this order:
///   - `ENODEV`: the device is in no IOMMU group.
///   - For a device with PASIDs, those of [`BoundProcesses::bind`](crate::sva::BoundProcesses::bind).
///   - For a device without PASIDs: `EPERM`, `EOPNOTSUPP` and `ENOSPC`, as for [`iommu_sva::bind`].
#[inline(never)]
pub(super) fn bind(file: &DeviceFile, device: &Device<Open>, arg: UserPtr) -> Result {
    let pasid = check(file).and_then(|()| {
        bind_caller(arg, |mm| {
            let group = IommuGroup::of(device.parent()).ok_or(ENODEV)?;
            match file.state().processes() {
                Some(processes) => processes.bind(mm, &group),
                // The device has no PASIDs.
                None => Err(iommu_sva::check(&group).err().unwrap_or(ENOSPC)),
            }
        })
    });
    let pasid = traced(trace::bind_process::enabled(), pasid, move |pasid| {
        let (pasid, errno) = (pasid.unwrap_or(0), errno_of(pasid));
        file.trace(|minor, dev| trace::bind_process::record(minor, dev, pasid, errno));
    });
    pasid.map(|_| ())
}

/// Handles `VFIO_UNBIND_PROCESS`: unbinds the address space of the caller.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`check`].
/// - Those of [`unbind_caller`], with `ENOENT` if the address space is not bound.
#[inline(never)]
pub(super) fn unbind(file: &DeviceFile, arg: UserPtr) -> Result {
    let pasid = check(file).and_then(|()| {
        unbind_caller(arg, |mm| match file.state().processes() {
            Some(processes) => processes.unbind(mm),
            None => Err(ENOENT),
        })
    });
    let pasid = traced(trace::unbind_process::enabled(), pasid, move |pasid| {
        let (pasid, errno) = (pasid.unwrap_or(0), errno_of(pasid));
        file.trace(|minor, dev| trace::unbind_process::record(minor, dev, pasid, errno));
    });
    pasid.map(|_| ())
}

/// Handles `VFIO_DEVICE_FEATURE_SVA`: returns the number of PASIDs that the device supports.
///
/// # Errors
///
/// In this order:
///
/// - `ENOTTY`: [`check`] fails.
/// - Those of [`Feature::check_get`].
/// - `EFAULT`: the result cannot be written.
#[inline(never)]
pub(super) fn feature(file: &DeviceFile, device: &Device<Open>, arg: &Feature) -> Result {
    check(file).map_err(|_| ENOTTY)?;
    if !arg.check_get::<sva::Feature>()? {
        return Ok(());
    }
    arg.write_data(&sva::Feature {
        flags: 0,
        max_pasids: max_pasids(device.bound_parent()),
    })
}

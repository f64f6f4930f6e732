// SPDX-License-Identifier: GPL-2.0-only

//! The resets that user space requests.  Before the driver resets a device, the core unbinds the processes that
//! are bound to the device, as a close does.
//!
//! There is no C counterpart.  Without the unbinding, `VFIO_DEVICE_RESET` can deadlock:
//!
//! 1. The driver holds a lock during the reset.
//! 2. A page request in flight waits for this lock.
//! 3. The IOMMU core, which the reset calls, waits for the page request.
//!
//! A hot reset does not call the IOMMU core (Linux 7.3).  There, the unbinding ensures that no change in the
//! memory of a process causes an invalidation that is sent to a device in reset.  [`sva`] describes
//! the other resets.
//!
//! Locks:
//!
//! - A reset of a device that has PASIDs: the locks of its [`BoundProcesses`](sva::BoundProcesses), and then
//!   those of its container's `BoundProcesses`.
//! - A hot reset of a device behind an IOMMU, if the device has PASIDs or any process is bound:
//!
//!   1. the set's lock, to find the devices of the set;
//!   2. for each device of the set, one lock after the other: the locks of its `BoundProcesses`,
//!      `Group::inner`, and the locks of its container's `BoundProcesses`.
//!
//! - Any other reset: none.
//!
//! The core holds no lock during the reset.

use super::{DeviceFile, OpenedBy};
#[cfg(CONFIG_IOMMUFD)]
use crate::shared::vfio::iommufd::dev_id;
use crate::{
    device::State,
    group::Group,
    kapi::{file::data_of, iommu_sva::max_pasids},
    shared::vfio::{iommu_driver::GroupType, Device, Open, SetLocked},
    sva::{self, Resetting},
    uapi::{self, reset::HotReset},
};
use kernel::{
    fs::LocalFile,
    prelude::*,
    sync::{Arc, ArcBorrow},
    uaccess::UserPtr,
};

/// Tells whether a process can be bound to the device, so that a reset must unbind it.
#[inline]
pub(super) fn concerns_bonds(device: &Device<Open>) -> bool {
    max_pasids(device.bound_parent()) != 0
}

/// Tells whether a hot reset must unbind processes: the device is behind an IOMMU, and it supports PASIDs or any
/// process is bound to any device.
///
/// Returns false for a noiommu device and for an emulated device.  The hot reset of an emulated device affects no
/// other device, and its driver can use the number of the ioctl for another ioctl.
#[inline]
pub(super) fn hot_reset_concerns_bonds(file: &DeviceFile, device: &Device<Open>) -> bool {
    file.group_type() == GroupType::Iommu && (sva::is_used() || concerns_bonds(device))
}

/// Handles `VFIO_DEVICE_RESET` of a device to which processes can be bound: unbinds them, and has the driver
/// reset the device.  Returns the driver's result, or a negative errno.
///
/// # Errors
///
/// The driver's errno.
#[inline(never)]
pub(super) fn reset(device: &Device<Open>, arg: UserPtr) -> c_int {
    let state = device.state();
    let own = state.processes().map(|processes| processes.begin_reset());
    let _resets = (own, state.container().map(|handle| handle.begin_reset()));
    device.ioctl(uapi::DEVICE_RESET, arg)
}

/// Handles `VFIO_DEVICE_PCI_HOT_RESET` if processes can be bound to devices of the set.  Unbinds the processes if
/// the argument is valid and the caller owns all devices of the set.  Then passes the ioctl to the driver, also if no
/// process was unbound.  Returns the driver's result, or a negative errno.
///
/// # Errors
///
/// - `ENOMEM`: out of memory.
/// - The driver's errno.
#[inline(never)]
pub(super) fn hot_reset(file: &DeviceFile, device: &Device<Open>, arg: UserPtr) -> c_int {
    let _resets = match begin_reset_of_set(file, device, arg) {
        Ok(resets) => resets,
        Err(e) => return e.to_errno(),
    };
    device.ioctl(uapi::DEVICE_PCI_HOT_RESET, arg)
}

/// Unbinds the processes of all devices in the set, if the argument is valid and the caller owns all devices of
/// the set.  Otherwise all processes stay bound.
///
/// The driver reads the argument and checks the ownership again.  So the driver can accept a reset that this
/// function expects it to refuse (`Documentation/sva.rst`).
///
/// # Errors
///
/// - `ENOMEM`: out of memory.
fn begin_reset_of_set(
    file: &DeviceFile,
    device: &Device<Open>,
    arg: UserPtr,
) -> Result<KVec<Resetting>> {
    let mut resets = KVec::new();
    let Some(arg) = HotReset::read(arg) else {
        return Ok(resets);
    };
    let states = match (file.opened_by(), arg.count()) {
        (OpenedBy::Cdev, 0) => device.states_of_set(is_owned_as)?,
        (OpenedBy::Group, 1..) => {
            let mut groups = KVec::new();
            for fd in arg.fds() {
                // CAST: A negative number is no open file, before and after the conversion.
                let Ok(file) = LocalFile::fget(fd as u32) else {
                    return Ok(resets);
                };
                let Some(group) = data_of::<Group>(&file) else {
                    return Ok(resets);
                };
                groups.push(Arc::from(group), GFP_KERNEL)?;
            }
            device.states_of_set(|_, other| {
                let state: ArcBorrow<'_, State> = other.device().state();
                groups.iter().any(|group| state.is_in_group(group))
            })?
        }
        _ => None,
    };
    for state in states.iter().flatten() {
        if let Some(processes) = state.processes() {
            resets.push(processes.begin_reset(), GFP_KERNEL)?;
        }
        if let Some(processes) = state.group().and_then(|group| group.processes()) {
            resets.push(processes.begin_reset(), GFP_KERNEL)?;
        }
    }
    Ok(resets)
}

/// Tells whether the iommufd to which `own` is bound owns `other`, a device of the same set.  This is the
/// rule that the driver applies.
fn is_owned_as(own: &SetLocked<'_>, other: &SetLocked<'_>) -> bool {
    #[cfg(CONFIG_IOMMUFD)]
    {
        let Some(bound) = own.iommufd_device() else {
            return false;
        };
        let id = dev_id(other.device(), other.iommufd_device(), Some(bound.ctx()));
        id.is_ok() || id == Err(ENOENT)
    }
    #[cfg(not(CONFIG_IOMMUFD))]
    {
        let _ = (own, other);
        false
    }
}

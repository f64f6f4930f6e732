// SPDX-License-Identifier: GPL-2.0-only

//! Resets that user space asks for.  They end the bonds of what they reset, as a close does.
//!
//! Without C counterpart; [`sva`](crate::sva) says why: the driver holds a lock over the reset that a
//! page request in flight may wait for, and the IOMMU core waits for page requests in a reset.
//!
//! Locks: for a device that has PASIDs those of its processes; a reset of any other device takes none.
//! For a hot reset while processes are bound: the set's, to find its devices, then those of each
//! device's group and processes, one device after the other.  None over the reset.

use super::{DeviceFile, Path};
#[cfg(CONFIG_IOMMUFD)]
use crate::iommufd::dev_id;
use crate::{
    device::State,
    group::Group,
    kapi::iommu_sva::max_pasids,
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

/// The group whose file it is, if it is one: the C face knows.
pub(crate) type GroupOf = fn(&LocalFile) -> Option<Arc<Group>>;

/// Whether a process can be bound to the device.
fn can_have_bonds(device: &Device<Open>) -> bool {
    max_pasids(device.bound_parent()) != 0
}

/// `VFIO_DEVICE_RESET`.
///
/// # Errors
///
/// The driver's.
pub(super) fn reset(device: &Device<Open>, arg: UserPtr) -> Result<c_int> {
    let _resets = can_have_bonds(device).then(|| {
        let state = device.state();
        let own = state.processes().begin_reset();
        (own, state.container().map(|access| access.begin_reset()))
    });
    device.ioctl(uapi::DEVICE_RESET, arg)
}

/// `VFIO_DEVICE_PCI_HOT_RESET`.
///
/// # Errors
///
/// The driver's; `ENOMEM` while processes are bound, and for a device that has PASIDs.
pub(super) fn hot_reset(
    file: &DeviceFile,
    device: &Device<Open>,
    arg: UserPtr,
    group_of: GroupOf,
) -> Result<c_int> {
    // An emulated device resets no others, and its driver may know the number as another ioctl's.
    let concerns_bonds =
        file.kind == GroupType::Iommu && (sva::is_used() || can_have_bonds(device));
    let _resets = match concerns_bonds {
        true => begin_reset_of_set(file, device, arg, group_of)?,
        false => KVec::new(),
    };
    device.ioctl(uapi::DEVICE_PCI_HOT_RESET, arg)
}

/// Ends the bonds with all devices of the set, if all of them are the caller's, as far as the driver
/// asks for that: what it is about to refuse ends nobody's bonds.
///
/// The driver reads the argument again, and decides by what it reads then.
fn begin_reset_of_set(
    file: &DeviceFile,
    device: &Device<Open>,
    arg: UserPtr,
    group_of: GroupOf,
) -> Result<KVec<Resetting>> {
    let mut resets = KVec::new();
    let Some(arg) = HotReset::read(arg) else {
        return Ok(resets);
    };
    let states = match (file.path, arg.count()) {
        (Path::Cdev, 0) => device.states_of_set(is_owned_as)?,
        (Path::Group, 1..) => {
            let mut groups = KVec::new();
            for fd in arg.fds()? {
                // CAST: A negative number is no open file either way.
                let file = LocalFile::fget(fd as u32);
                let Some(group) = file.ok().and_then(|file| group_of(&file)) else {
                    return Ok(resets);
                };
                groups.push(group, GFP_KERNEL)?;
            }
            device.states_of_set(|_, other| {
                let state: ArcBorrow<'_, State> = other.device().state();
                groups.iter().any(|group| state.is_in_group(group))
            })?
        }
        _ => None,
    };
    for state in states.iter().flatten() {
        resets.push(state.processes().begin_reset(), GFP_KERNEL)?;
        if let Some(processes) = state.group().and_then(|group| group.processes()) {
            resets.push(processes.begin_reset(), GFP_KERNEL)?;
        }
    }
    Ok(resets)
}

/// Whether a device is in the hands of the iommufd that `own`, a device of the same set, is bound to: the
/// driver's rule.
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

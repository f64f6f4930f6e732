// SPDX-License-Identifier: GPL-2.0-only

//! Resets that user space asks for.  They end the bonds of what they reset, as a close does.
//!
//! Without C counterpart; [`sva`](crate::sva) says why: the driver holds a lock over the reset that a
//! page request in flight may wait for, and the IOMMU core waits for page requests in a reset.
//!
//! Locks: the set's, to find its devices; then those of each device's processes, one device after the
//! other; none over the reset.  While no process is bound to anything, none at all.

use super::{DeviceFile, Path};
use crate::{
    device::State,
    group::Group,
    kapi::vfio::{Device, Open},
    sva,
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

/// `VFIO_DEVICE_RESET` and `VFIO_DEVICE_PCI_HOT_RESET`.
///
/// # Errors
///
/// The driver's; `ENOMEM` for the second while processes are bound.
pub(super) fn reset(
    file: &DeviceFile,
    device: &Device<Open>,
    cmd: u32,
    arg: UserPtr,
    group_of: GroupOf,
) -> Result<c_int> {
    if sva::is_used() {
        match cmd {
            uapi::DEVICE_RESET => end_bonds(&device.state()),
            _ => end_bonds_of_set(file, device, arg, group_of)?,
        }
    }
    device.ioctl(cmd, arg)
}

/// Ends the bonds with the device: those of its own file, and those of its group's container.
fn end_bonds(state: &State) {
    state.processes().end_all();
    if let Some(processes) = state.group().and_then(|group| group.processes()) {
        processes.end_all();
    }
}

/// Ends the bonds with all devices of the set, if all of them are the caller's, as far as the driver
/// asks for that: what it is about to refuse ends nobody's bonds.
///
/// The driver reads the argument again, and decides by what it reads then.
fn end_bonds_of_set(
    file: &DeviceFile,
    device: &Device<Open>,
    arg: UserPtr,
    group_of: GroupOf,
) -> Result {
    let Some(arg) = HotReset::read(arg) else {
        return Ok(());
    };
    let states = match (file.path, arg.count()) {
        (Path::Cdev, 0) => device.states_of_set(|own, other| other.is_bound_as(own))?,
        (Path::Group, 1..) => {
            let mut groups = KVec::new();
            for fd in arg.fds()? {
                // CAST: A negative number is no open file either way.
                let file = LocalFile::fget(fd as u32);
                let Some(group) = file.ok().and_then(|file| group_of(&file)) else {
                    return Ok(());
                };
                groups.push(group, GFP_KERNEL)?;
            }
            device.states_of_set(|_, other| {
                let state: ArcBorrow<'_, State> = other.device().state();
                groups.iter().any(|group| state.is_in_group(group))
            })?
        }
        _ => return Ok(()),
    };
    states.iter().flatten().for_each(|state| end_bonds(state));
    Ok(())
}

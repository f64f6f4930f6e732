// SPDX-License-Identifier: GPL-2.0-only

//! Resets that user space asks for: the driver's, while no process is bound to what is reset.
//!
//! Without C counterpart; [`sva`](crate::sva) says why the two do not go together.
//!
//! Locks: the set's, to find its devices; that of the group, its container and the processes, one
//! device after the other; none over the reset.

use crate::{
    device::State,
    kapi::vfio::{Device, Open},
    sva::ResetHold,
    uapi,
};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_RESET` and `VFIO_DEVICE_PCI_HOT_RESET`.
///
/// # Errors
///
/// `EBUSY` when a process is bound to the device, or for the second to one of its set; `ENOMEM`;
/// the driver's.
pub(super) fn reset(device: &Device<Open>, cmd: u32, arg: UserPtr) -> Result<c_int> {
    let mut held = KVec::new();
    match cmd {
        uapi::DEVICE_RESET => hold(&device.state(), &mut held)?,
        _ => {
            for state in device.states_of_set()? {
                hold(&state, &mut held)?;
            }
        }
    }
    device.ioctl(cmd, arg)
}

/// Keeps processes from the device, those of its file and those of its group's container.
fn hold(state: &State, held: &mut KVec<ResetHold>) -> Result {
    held.push(state.processes().hold_for_reset()?, GFP_KERNEL)?;
    if let Some(processes) = state.group().and_then(|group| group.processes()) {
        held.push(processes.hold_for_reset()?, GFP_KERNEL)?;
    }
    Ok(())
}

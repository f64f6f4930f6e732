// SPDX-License-Identifier: GPL-2.0-only

//! Attaching a bound device, or one of its PASIDs, to an I/O address space or page table.
//!
//! C counterpart: `vfio_df_ioctl_attach_pt()` and `vfio_df_ioctl_detach_pt()`.
//!
//! Locks: the set's, over the driver's callback, which may pin the user's memory, and
//! not over the argument.

use super::errno_of;
use crate::{
    device::open::FirstOpen,
    shared::{
        trace,
        vfio::{Device, Open, SetLocked},
    },
    uapi::attach::{Attach, Detach, Target},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`: attaches, or replaces what is attached.
///
/// # Errors
///
/// In this order: those of [`Attach::read`]; the driver's, those of iommufd among them (`ENOENT`,
/// `EINVAL`, `EBUSY`, `ENOMEM`); `EFAULT` when the id cannot be written.  Then a fresh attachment
/// is undone, unless somebody has changed it since; a replacement stays, for the page table that
/// it replaced may be gone.
pub(super) fn attach(device: &Device<Open>, arg: UserPtr) -> Result {
    let arg = Attach::read(arg, device.has_pasid_attach());
    let result = arg
        .as_ref()
        .map_err(|e| *e)
        .and_then(|arg| attach_to(device, arg));
    if trace::attach::enabled() {
        let (pasid, pt_id) = arg.map_or((0, 0), |arg| (arg.target.pasid(), arg.pt_id));
        let (state, name) = (device.state(), device.parent().name());
        let used = *result.as_ref().unwrap_or(&0);
        trace::attach::record(
            state.index() as c_int,
            name,
            pasid,
            pt_id,
            used,
            errno_of(&result),
        );
    }
    result.map(|_| ())
}

/// The result is the id of the page table in use.
fn attach_to(device: &Device<Open>, arg: &Attach) -> Result<u32> {
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    let fresh = !is_attached(&locked, arg.target);
    let pt_id = match arg.target {
        Target::Rid => locked.attach_ioas(arg.pt_id)?,
        Target::Pasid(pasid) => locked.pasid_attach_ioas(pasid, arg.pt_id)?,
    };
    let count = FirstOpen::count_attach(&mut locked);
    drop(guard);

    let written = arg.write_pt_id(pt_id);
    if written.is_err() && fresh {
        let mut guard = device.lock_set();
        let mut locked = guard.locked();
        if FirstOpen::attachments(&locked) == count {
            detach_target(&mut locked, arg.target);
            FirstOpen::count_attach(&mut locked);
        }
    }
    written.map(|()| pt_id)
}

/// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.  Nothing attached is no error.
///
/// # Errors
///
/// Those of [`Detach::read`].
pub(super) fn detach(device: &Device<Open>, arg: UserPtr) -> Result {
    let target = Detach::read(arg, device.has_pasid_detach()).map(|arg| arg.target);
    if let Ok(target) = target {
        let mut guard = device.lock_set();
        let mut locked = guard.locked();
        detach_target(&mut locked, target);
        FirstOpen::count_attach(&mut locked);
    }
    if trace::detach::enabled() {
        let (state, name) = (device.state(), device.parent().name());
        let pasid = target.map_or(0, Target::pasid);
        trace::detach::record(state.index() as c_int, name, pasid, errno_of(&target));
    }
    target.map(|_| ())
}

fn is_attached(locked: &SetLocked<'_>, target: Target) -> bool {
    match target {
        Target::Rid => locked.is_attached(),
        Target::Pasid(pasid) => locked.has_pasid(pasid),
    }
}

fn detach_target(locked: &mut SetLocked<'_>, target: Target) {
    match target {
        Target::Rid => locked.detach_ioas(),
        Target::Pasid(pasid) => locked.pasid_detach_ioas(pasid),
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The attachment of a bound device, or of one of its PASIDs, to an IOAS or a page table.
//!
//! C counterpart: `vfio_df_ioctl_attach_pt()` and `vfio_df_ioctl_detach_pt()`.
//!
//! Locks: the set's lock is held during the driver's callback, which can pin user memory.  It is not held
//! while the argument is read or written.

use super::errno_of;
use crate::{
    device::open::OpenResources,
    shared::{
        trace,
        vfio::{Device, Open, SetLocked},
    },
    uapi::attach::{Attach, Detach, Target},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_ATTACH_IOMMUFD_PT`: attaches an IOAS or a page table, or replaces the attached page
/// table.  Takes the set's lock.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`Attach::read`].
/// - The driver's errno, which includes those of iommufd: `ENOENT`, `EINVAL`, `EBUSY`, `ENOMEM`.
/// - `EFAULT`: the id of the attached page table cannot be written.  A new attachment is then undone, unless
///   another task has attached or detached in the meantime.  A replacement is kept, because the previous page
///   table can be gone.
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
            state.minor() as c_int,
            name,
            pasid,
            pt_id,
            used,
            errno_of(&result),
        );
    }
    result.map(|_| ())
}

/// Attaches, and writes the id of the attached page table to the user.  Returns the id.
fn attach_to(device: &Device<Open>, arg: &Attach) -> Result<u32> {
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    let fresh = !is_attached(&locked, arg.target);
    let pt_id = match arg.target {
        Target::Rid => locked.attach_ioas(arg.pt_id)?,
        Target::Pasid(pasid) => locked.pasid_attach_ioas(pasid, arg.pt_id)?,
    };
    let count = OpenResources::count_attach(&mut locked);
    drop(guard);

    let written = arg.write_pt_id(pt_id);
    if written.is_err() && fresh {
        let mut guard = device.lock_set();
        let mut locked = guard.locked();
        if OpenResources::attachments(&locked) == count {
            detach_target(&mut locked, arg.target);
            OpenResources::count_attach(&mut locked);
        }
    }
    written.map(|()| pt_id)
}

/// Handles `VFIO_DEVICE_DETACH_IOMMUFD_PT`.  Succeeds also if no page table is attached.  Takes the set's
/// lock.
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
        OpenResources::count_attach(&mut locked);
    }
    if trace::detach::enabled() {
        let (state, name) = (device.state(), device.parent().name());
        let pasid = target.map_or(0, Target::pasid);
        trace::detach::record(state.minor() as c_int, name, pasid, errno_of(&target));
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

// SPDX-License-Identifier: GPL-2.0-only

//! The attachment of a bound device, or of one of its PASIDs, to an IOAS or a page table.
//!
//! C counterpart: `vfio_df_ioctl_attach_pt()` and `vfio_df_ioctl_detach_pt()`.
//!
//! Locks: the set's lock is held during the driver's callback, which can pin user memory.  It is not held
//! while the argument is read or written.

use super::errno_of;
use crate::{
    shared::{
        trace::{self, traced},
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
/// - The driver's errno, which includes those of iommufd: `ENOENT`, `EINVAL`, `EBUSY`, `EADDRINUSE`, `EFAULT`,
///   `ENOMEM`.
/// - `EFAULT`: the id of the attached page table cannot be written.  A new attachment is then undone, unless
///   another task has attached or detached in the meantime.  A replacement is kept, because the previous page
///   table can be gone.
#[inline(never)]
pub(super) fn attach(device: &Device<Open>, arg: UserPtr) -> Result {
    let arg = match Attach::read(arg, device.has_pasid_attach()) {
        Ok(arg) => arg,
        Err(e) => return traced_attach(device, 0, 0, Err(e)),
    };
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    let fresh = !is_attached(&locked, arg.target);
    let mut pt_id = arg.pt_id;
    let attached = match arg.target {
        Target::Rid => locked.attach_ioas(&mut pt_id),
        Target::Pasid(pasid) => locked.pasid_attach_ioas(pasid, &mut pt_id),
    };
    drop(guard);
    let count = match attached {
        Ok(count) => count,
        Err(e) => return traced_attach(device, arg.target.pasid(), arg.pt_id, Err(e)),
    };

    if let Err(e) = arg.write_pt_id(pt_id) {
        if fresh {
            undo(device, arg.target, count);
        }
        return traced_attach(device, arg.target.pasid(), arg.pt_id, Err(e));
    }
    traced_attach(device, arg.target.pasid(), arg.pt_id, Ok(pt_id))
}

/// Undoes an attachment.  `count` is the result of `attachments()` after it.  No effect if the count differs:
/// another task has attached or detached since.
#[cold]
fn undo(device: &Device<Open>, target: Target, count: u64) {
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    if locked.attachments() == Some(count) {
        detach_target(&mut locked, target);
    }
}

/// Records the trace event of an attach, if it is enabled.
#[inline]
fn traced_attach(device: &Device<Open>, pasid: u32, pt_id: u32, result: Result<u32>) -> Result {
    let result = traced(trace::attach::enabled(), result, move |result| {
        let (minor, name) = (device.state().minor(), device.parent().name());
        let (used, errno) = (result.unwrap_or(0), errno_of(result));
        // CAST: A minor has 20 bits.
        trace::attach::record(minor as c_int, name, pasid, pt_id, used, errno);
    });
    result.map(|_| ())
}

/// Handles `VFIO_DEVICE_DETACH_IOMMUFD_PT`.  Succeeds also if no page table is attached.  Takes the set's
/// lock.
///
/// # Errors
///
/// Those of [`Detach::read`].
#[inline(never)]
pub(super) fn detach(device: &Device<Open>, arg: UserPtr) -> Result {
    let target = match Detach::read(arg, device.has_pasid_detach()) {
        Ok(arg) => arg.target,
        Err(e) => return traced_detach(device, 0, Err(e)),
    };
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    detach_target(&mut locked, target);
    drop(guard);
    traced_detach(device, target.pasid(), Ok(()))
}

/// Records the trace event of a detach, if it is enabled.
#[inline]
fn traced_detach(device: &Device<Open>, pasid: u32, result: Result) -> Result {
    traced(trace::detach::enabled(), result, move |result| {
        let (minor, name) = (device.state().minor(), device.parent().name());
        // CAST: A minor has 20 bits.
        trace::detach::record(minor as c_int, name, pasid, errno_of(result));
    })
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

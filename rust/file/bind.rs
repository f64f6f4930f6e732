// SPDX-License-Identifier: GPL-2.0-only

//! The bind of a file to an iommufd, which gives the file access.
//!
//! C counterpart: `vfio_df_ioctl_bind_iommufd()` and `vfio_df_unbind_iommufd()`.
//!
//! Locks: `Group::inner` is released before the set's lock is taken.  The argument is read and written
//! without these locks, because otherwise a page fault that does not complete would block all devices of the
//! set.

use super::{errno_of, DeviceFile};
use crate::{
    device::open::{OpenDevice, OpenResources},
    group::backend::OpenBackend,
    kapi::iommufd::Ctx,
    refusal::{Because, Reason, Refusal},
    shared::{
        trace::{self, traced},
        vfio::{ops::Uuid, SetLocked},
    },
    uapi::bind::BindIommufd,
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_BIND_IOMMUFD`.
///
/// # Errors
///
/// In this order:
///
/// - `ENODEV`: the file is not bound, and its device is no longer registered.
/// - Those of [`BindIommufd::read`].
/// - `EINVAL`: the file is already bound, or was opened through the group.
/// - `ENODEV`: the device is no longer registered.
/// - `EBUSY`: the group file is open.
/// - `EINVAL`: another thread has bound the file in the meantime.
/// - Those of the token (see [`check_token`]).
/// - `EBADF`: the file descriptor is not open.
/// - `EBADFD`: the file is not an iommufd.
/// - `EINVAL`: another file of the device is bound.
/// - `ENODEV`: the driver's module is unloading.
/// - The driver's errno, which includes those of iommufd.
/// - `EFAULT`: the id of the device cannot be written.
///
/// A failure does not change the file.  A file that was not bound can be bound later.
#[inline]
pub(super) fn bind(file: &DeviceFile, arg: UserPtr) -> Result {
    let bound = file.has_access();
    let arg = match bound || file.is_connected() {
        true => BindIommufd::read(arg),
        false => Err(ENODEV),
    };
    let result = match &arg {
        Ok(arg) => bind_or_tell(file, bound, arg),
        Err(e) => Err(*e),
    };
    traced(trace::bind::enabled(), result, |result| {
        let iommufd = arg.map_or(-1, |arg| arg.iommufd);
        let opened = file.opened.as_ref().filter(|_| result.is_ok());
        let (devid, errno) = (opened.map_or(0, OpenDevice::devid), errno_of(result));
        file.trace(|minor, dev| trace::bind::record(minor, dev, iommufd, devid, errno));
    })
}

/// Binds the file.  Explains a refusal in the log.
#[inline(never)]
fn bind_or_tell(file: &DeviceFile, bound: bool, arg: &BindIommufd) -> Result {
    try_bind(file, bound, arg).map_err(|refusal| {
        refusal.log("bind", file.state().refusals(), |tell| {
            file.with_parent(|dev| tell(dev));
        })
    })
}

/// Binds the file.  `bound` tells whether the file was bound when the argument was read.
fn try_bind(file: &DeviceFile, bound: bool, arg: &BindIommufd) -> Result<(), Refusal> {
    if bound {
        return Err(Reason::BoundAlready.with(EINVAL));
    }
    let token = arg.read_token();
    let (registration, group) = file.registration().ok_or(ENODEV)?;
    let block = group.block().because(Reason::GroupFileOpen)?;

    // A VM that KVM assigns to the file after this point has no effect on this bind.
    let kvm = file.kvm.get();
    // Declared before the guard, so that it is dropped after the lock if the device does not take it.
    let mut resources;

    let mut guard = registration.lock_set();
    let mut locked = guard.locked();
    // Another thread can have bound the file in the meantime.
    if file.has_access() {
        return Err(Reason::BoundAlready.with(EINVAL));
    }
    check_token(&locked, &token)?;
    let ctx = Ctx::from_fd(arg.iommufd).because(Reason::NotIommufd(arg.iommufd))?;
    let backend = OpenBackend::Iommufd(ctx);
    resources = Some(OpenResources::new(backend, kvm, Some(block)));
    let open = OpenDevice::by_cdev(&mut locked, &mut resources)?;
    drop(guard);

    // On failure the drop of `open` undoes everything.
    arg.write_devid(open.devid())?;
    file.grant(open);
    Ok(())
}

/// Checks the token.  C counterpart: `vfio_df_check_token()`.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: a token was given, and the driver does not check tokens.
/// - `EFAULT`: the token could not be read.
/// - The driver's errno, even if no token was given.
#[inline]
fn check_token(locked: &SetLocked<'_>, token: &Option<Result<Uuid>>) -> Result<(), Refusal> {
    let uuid = match token {
        None => None,
        Some(_) if !locked.device().has_match_token() => {
            return Err(Reason::TokenUnwanted.with(EINVAL));
        }
        Some(uuid) => Some(uuid.as_ref().map_err(|e| *e)?),
    };
    locked.match_token(uuid).because(Reason::Token)
}

// SPDX-License-Identifier: GPL-2.0-only

//! Binding a file to an iommufd: the step by which it gets access.
//!
//! C counterpart: `vfio_df_ioctl_bind_iommufd()` and `vfio_df_unbind_iommufd()`.
//!
//! Locks: the group's, which is dropped before the set's is taken.  The argument is read and written
//! under neither, for a page that does not come would stop every device of the set.

use super::{
    errno_of,
    gate::{BoundFile, Granted},
    DeviceFile,
};
use crate::{
    device::open::{FirstOpen, OpenDevice},
    group::backend::OpenBackend,
    kapi::iommufd::Ctx,
    refusal::{Because, Reason, Refusal},
    shared::{trace, vfio::SetLocked},
    uapi::bind::{BindIommufd, Token},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_BIND_IOMMUFD`.
///
/// # Errors
///
/// In this order: those of [`BindIommufd::read`]; `EINVAL` (bound already, or opened by the group);
/// `ENODEV` (device gone); `EBUSY` (the group's file is open); the token's (see [`check_token`]);
/// `EBADF`, `EBADFD` (no iommufd); `EINVAL` (another file is bound); `ENODEV` (the driver's module
/// is going away); the driver's, those of iommufd among them; `EFAULT` (the id could not be
/// written).  Whatever fails, the file is as before and can be bound later.
pub(super) fn bind(file: &DeviceFile, arg: UserPtr) -> Result {
    let mut iommufd = -1;
    let result = try_bind(file, arg, &mut iommufd);
    let result = result.map_err(|refusal| {
        refusal.told("bind", file.state().refusals(), |tell| {
            file.with_parent(tell);
        })
    });
    if trace::bind::enabled() {
        let opened = file.gate.opened().filter(|_| result.is_ok());
        let devid = opened.map_or(0, OpenDevice::devid);
        let errno = errno_of(&result);
        file.traced(|minor, dev| trace::bind::record(minor, dev, iommufd, devid, errno));
    }
    result
}

/// Notes the `iommufd` that the caller gave.
fn try_bind(file: &DeviceFile, arg: UserPtr, iommufd: &mut c_int) -> Result<(), Refusal> {
    let bound = file.gate.pass().is_some();
    if !bound && !file.is_connected() {
        return Err(ENODEV.into());
    }
    let arg = BindIommufd::read(arg)?;
    *iommufd = arg.iommufd;
    if bound {
        return Err(Reason::BoundAlready.with(EINVAL));
    }
    let (registration, group) = file.registration().ok_or(ENODEV)?;
    let block = group.block().because(Reason::GroupFileOpen)?;

    // What KVM says later counts at the next bind.
    let kvm = file.kvm.get();
    // Dropped after the lock, if the device does not take it.
    let mut first;

    let mut guard = registration.lock_set();
    let mut locked = guard.locked();
    // Bound by another thread in the meantime.
    if file.gate.pass().is_some() {
        return Err(Reason::BoundAlready.with(EINVAL));
    }
    check_token(&locked, &arg.token)?;
    let ctx = Ctx::from_fd(arg.iommufd).because(Reason::NotIommufd(arg.iommufd))?;
    first = Some(FirstOpen::new(OpenBackend::Iommufd(ctx), kvm));
    let open = OpenDevice::by_cdev(&mut locked, &mut first)?;
    drop(guard);

    let bound = BoundFile::new(open, block, registration);
    // On failure the drop of `bound` undoes everything.
    arg.write_devid(bound.open().devid())?;
    file.held.set_bound();
    file.gate.open(Granted::Bound(bound));
    Ok(())
}

/// Whether the token opens the device.
///
/// # Errors
///
/// `EINVAL` when one was given to a driver that looks at none; `EFAULT` when it could not be read;
/// the driver's.
fn check_token(locked: &SetLocked<'_>, token: &Token) -> Result<(), Refusal> {
    let uuid = match token {
        Token::None => None,
        Token::Given(_) if !locked.device().has_match_token() => {
            return Err(Reason::TokenUnwanted.with(EINVAL));
        }
        Token::Given(uuid) => Some(uuid.as_ref().map_err(|e| *e)?),
    };
    locked.match_token(uuid).because(Reason::Token)
}

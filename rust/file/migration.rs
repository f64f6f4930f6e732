// SPDX-License-Identifier: GPL-2.0-only

//! The device features for migration.
//!
//! C counterpart: `vfio_ioctl_device_feature_migration*()` and
//! `vfio_ioctl_device_feature_mig_device_state()`.
//!
//! All functions except [`precopy_info_v2`] return these errors first:
//!
//! - `ENOTTY`: the device does not support migration.  A probe also returns this error.
//! - Those of [`Feature::check`].

use crate::{
    migration::PRE_COPY,
    shared::vfio::{Device, Open},
    uapi::feature::{Feature, MigDataSize, MigState, Migration, FLAG_GET, FLAG_SET},
};
use kernel::{
    fs::file::{flags::O_CLOEXEC, FileDescriptorReservation},
    prelude::*,
};

/// Tells whether the feature is to be executed, not only probed.
fn check<T>(device: &Device<Open>, arg: &Feature, operations: u32) -> Result<bool> {
    match device.has_migration() {
        true => arg.check(operations, size_of::<T>()),
        false => Err(ENOTTY),
    }
}

/// Handles `VFIO_DEVICE_FEATURE_MIGRATION`: returns the migration flags of the device.
///
/// # Errors
///
/// - `EFAULT`: the result cannot be written.
#[inline(never)]
pub(super) fn capabilities(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<Migration>(device, arg, FLAG_GET)? {
        return Ok(());
    }
    arg.write_data(&Migration {
        flags: device.migration_flags().into(),
    })
}

/// Handles `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE`: returns or sets the migration state of the device.
///
/// For SET, `data_fd` returns a file descriptor of the driver's file.  It returns -1 if the new state has no
/// file, or if the driver fails.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - GET: `ENOTTY` if the driver does not have the callback, or the driver's errno.
/// - SET: `EMFILE` or `ENOMEM` if there is no file descriptor for the driver's file.  The new state is kept.
/// - `EFAULT`: the argument cannot be written.  A new state is kept.
/// - SET: `ENOTTY` if the driver does not have the callback, or the driver's errno.
#[inline(never)]
pub(super) fn state(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<MigState>(device, arg, FLAG_GET | FLAG_SET)? {
        return Ok(());
    }
    // The argument is read for GET, too, as in the C core.
    let mut state: MigState = arg.read_data()?;
    if arg.is_get() {
        state.device_state = device.migration_state()?;
        state.data_fd = -1;
        return arg.write_data(&state);
    }
    match device.set_migration_state(state.device_state) {
        Ok(Some(file)) => {
            let fd = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
            state.data_fd = fd.reserved_fd() as i32;
            arg.write_data(&state)?;
            fd.fd_install(file);
            Ok(())
        }
        other => {
            state.data_fd = -1;
            arg.write_data(&state)?;
            other.map(|_| ())
        }
    }
}

/// Handles `VFIO_DEVICE_FEATURE_MIG_DATA_SIZE`: returns the estimated size of the data to copy, in bytes.
///
/// # Errors
///
/// In this order:
///
/// - `ENOTTY`: the driver does not have the callback.
/// - The driver's errno.
/// - `EFAULT`: the result cannot be written.
#[inline(never)]
pub(super) fn data_size(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<MigDataSize>(device, arg, FLAG_GET)? {
        return Ok(());
    }
    arg.write_data(&MigDataSize {
        stop_copy_length: device.migration_data_size()?,
    })
}

/// Handles `VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2`: selects the second format of the precopy information
/// until the last close.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: the device does not support precopy.  This is ABI; other features return `ENOTTY`.
/// - Those of [`Feature::check`].
#[inline(never)]
pub(super) fn precopy_info_v2(device: &Device<Open>, arg: &Feature) -> Result {
    if device.migration_flags() & PRE_COPY == 0 {
        return Err(EINVAL);
    }
    if arg.check(FLAG_SET, 0)? {
        device.set_precopy_info_v2();
    }
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only

//! The features of migration.
//!
//! C counterpart: `vfio_ioctl_device_feature_mig_*()`.
//!
//! Errors of all: `ENOTTY` when the device cannot migrate, also for a probe; then those of
//! [`Feature::check`].

use crate::{
    migration::PRE_COPY,
    shared::vfio::{Device, Open},
    uapi::feature::{Feature, MigDataSize, MigState, Migration, FLAG_GET, FLAG_SET},
};
use kernel::{
    fs::file::{flags::O_CLOEXEC, FileDescriptorReservation},
    prelude::*,
};

/// Whether the feature is to be executed.
fn check<T>(device: &Device<Open>, arg: &Feature, operations: u32) -> Result<bool> {
    match device.has_migration() {
        true => arg.check(operations, size_of::<T>()),
        false => Err(ENOTTY),
    }
}

/// `VFIO_DEVICE_FEATURE_MIGRATION`: what the device can do.
///
/// # Errors
///
/// `EFAULT`.
pub(super) fn capabilities(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<Migration>(device, arg, FLAG_GET)? {
        return Ok(());
    }
    arg.write_data(&Migration {
        flags: device.migration_flags().into(),
    })
}

/// `VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE`: in which state the device is, or bring it into one.
///
/// # Errors
///
/// `EFAULT`; the driver's, and then user space finds no file descriptor; `EMFILE` when there is
/// none for the file, and the change of state stays.
pub(super) fn state(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<MigState>(device, arg, FLAG_GET | FLAG_SET)? {
        return Ok(());
    }
    // Read also for GET, as in the C core.
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

/// `VFIO_DEVICE_FEATURE_MIG_DATA_SIZE`: how much there would be to copy.
///
/// # Errors
///
/// The driver's; `EFAULT`.
pub(super) fn data_size(device: &Device<Open>, arg: &Feature) -> Result {
    if !check::<MigDataSize>(device, arg, FLAG_GET)? {
        return Ok(());
    }
    arg.write_data(&MigDataSize {
        stop_copy_length: device.migration_data_size()?,
    })
}

/// `VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2`: user space knows the second format of the precopy
/// information, until the last close.
///
/// # Errors
///
/// `EINVAL` instead of `ENOTTY` when the device has no precopy: it is ABI.
pub(super) fn precopy_info_v2(device: &Device<Open>, arg: &Feature) -> Result {
    if device.migration_flags() & PRE_COPY == 0 {
        return Err(EINVAL);
    }
    if arg.check(FLAG_SET, 0)? {
        device.set_precopy_info_v2();
    }
    Ok(())
}

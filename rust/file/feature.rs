// SPDX-License-Identifier: GPL-2.0-only

//! Features of a device: which are the core's and which the driver's.
//!
//! C counterpart: `vfio_ioctl_device_feature()`.  Migration and the logging of DMA are not there
//! yet: a device has neither, as far as user space can see.

use crate::{
    kapi::vfio::{Device, Open},
    uapi::feature::{self, Feature},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_FEATURE`.
///
/// # Errors
///
/// In this order: those of [`Feature::read`]; `ENOTTY` for the features of migration and logging;
/// `EINVAL` for the second precopy format, which depends on migration; the driver's, `ENOTTY` when
/// it has no features.
pub(super) fn feature(device: &Device<Open>, arg: UserPtr) -> Result<c_int> {
    let arg = Feature::read(arg)?;
    match arg.id() {
        feature::MIGRATION
        | feature::MIG_DEVICE_STATE
        | feature::MIG_DATA_SIZE
        | feature::DMA_LOGGING_START
        | feature::DMA_LOGGING_STOP
        | feature::DMA_LOGGING_REPORT => Err(ENOTTY),
        feature::MIG_PRECOPY_INFO_V2 => Err(EINVAL),
        _ => device.device_feature(arg.flags(), arg.data, arg.size),
    }
}

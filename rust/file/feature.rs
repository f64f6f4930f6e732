// SPDX-License-Identifier: GPL-2.0-only

//! The device features, and the dispatch of each feature to the core or to the driver.
//!
//! C counterpart: `vfio_ioctl_device_feature()`.  The migration features are in
//! [`migration`](super::migration), the DMA logging features are in [`logging`](super::logging), and the
//! feature for shared virtual addressing is in [`processes`](super::processes).

use super::{logging, migration, processes, DeviceFile};
use crate::{
    kapi::to_int,
    shared::vfio::{Device, Open},
    uapi::feature::{self, Feature},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_FEATURE`.  Returns 0, or the driver's result if the driver handles the feature, or a
/// negative errno.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`Feature::read`].
/// - Those of the feature.  For a feature that the core does not have, `ENOTTY` if the driver has no
///   `device_feature`.
#[inline(never)]
pub(super) fn feature(file: &DeviceFile, device: &Device<Open>, arg: UserPtr) -> c_int {
    let arg = match Feature::read(arg) {
        Ok(arg) => arg,
        Err(e) => return e.to_errno(),
    };
    match arg.id() {
        feature::MIGRATION
        | feature::MIG_DEVICE_STATE
        | feature::MIG_DATA_SIZE
        | feature::MIG_PRECOPY_INFO_V2
        | feature::DMA_LOGGING_START
        | feature::DMA_LOGGING_STOP
        | feature::DMA_LOGGING_REPORT
        | feature::SVA => to_int(core_feature(file, device, arg.flags(), arg.data, arg.size)),
        feature::DMA_BUF => dma_buf(device, arg.flags(), arg.data, arg.size),
        _ => device.device_feature(arg.flags(), arg.data, arg.size),
    }
}

/// Handles a feature of the core.  The parts of the ioctl's argument are separate parameters, so that they are
/// passed in registers.
#[inline(never)]
fn core_feature(
    file: &DeviceFile,
    device: &Device<Open>,
    flags: u32,
    data: UserPtr,
    size: usize,
) -> Result {
    let arg = Feature::from_parts(flags, data, size);
    match arg.id() {
        feature::MIGRATION => migration::capabilities(device, &arg),
        feature::MIG_DEVICE_STATE => migration::state(device, &arg),
        feature::MIG_DATA_SIZE => migration::data_size(device, &arg),
        feature::MIG_PRECOPY_INFO_V2 => migration::precopy_info_v2(device, &arg),
        feature::DMA_LOGGING_START => logging::start(device, &arg),
        feature::DMA_LOGGING_STOP => logging::stop(device, &arg),
        feature::DMA_LOGGING_REPORT => logging::report(device, &arg),
        feature::SVA => processes::feature(file, device, &arg),
        _ => Err(ENOTTY),
    }
}

/// Passes the export of a dma-buf to the driver.
#[inline(never)]
fn dma_buf(device: &Device<Open>, flags: u32, data: UserPtr, size: usize) -> c_int {
    let state = device.state();
    let _exporting = state.driver_refs().exporting();
    device.device_feature(flags, data, size)
}

// SPDX-License-Identifier: GPL-2.0-only

//! The device features, and the dispatch of each feature to the core or to the driver.
//!
//! C counterpart: `vfio_ioctl_device_feature()`.  The migration features are in
//! [`migration`](super::migration), the DMA logging features are in [`logging`](super::logging), and the
//! feature for shared virtual addressing is in [`processes`](super::processes).

use super::{logging, migration, processes, DeviceFile};
use crate::{
    shared::vfio::{Device, Open},
    uapi::feature::{self, Feature},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_FEATURE`.  Returns 0, or the driver's result if the driver handles the feature.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`Feature::read`].
/// - Those of the feature.  For a feature that the core does not have, `ENOTTY` if the driver has no
///   `device_feature`.
pub(super) fn feature(file: &DeviceFile, device: &Device<Open>, arg: UserPtr) -> Result<c_int> {
    let arg = Feature::read(arg)?;
    match arg.id() {
        feature::MIGRATION => migration::capabilities(device, &arg).map(|()| 0),
        feature::MIG_DEVICE_STATE => migration::state(device, &arg).map(|()| 0),
        feature::MIG_DATA_SIZE => migration::data_size(device, &arg).map(|()| 0),
        feature::MIG_PRECOPY_INFO_V2 => migration::precopy_info_v2(device, &arg).map(|()| 0),
        feature::DMA_LOGGING_START => logging::start(device, &arg).map(|()| 0),
        feature::DMA_LOGGING_STOP => logging::stop(device, &arg).map(|()| 0),
        feature::DMA_LOGGING_REPORT => logging::report(device, &arg).map(|()| 0),
        feature::SVA => processes::feature(file, device, &arg).map(|()| 0),
        feature::DMA_BUF => {
            let state = device.state();
            let _exporting = state.driver_refs().exporting();
            device.device_feature(arg.flags(), arg.data, arg.size)
        }
        _ => device.device_feature(arg.flags(), arg.data, arg.size),
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The features by which a device logs where its DMA goes, for a migration.
//!
//! C counterpart: `vfio_ioctl_device_feature_logging_*()`.
//!
//! The core keeps no state of the logging: a driver must expect any order of the calls.
//!
//! Errors of all: `ENOTTY` when the device cannot log, also for a probe; then those of
//! [`Feature::check`].

use crate::{
    kapi::interval_tree::RangeTree,
    ranges::PageSize,
    shared::vfio::{Device, Open},
    uapi::feature::{Feature, LoggingControl, LoggingReport, FLAG_GET, FLAG_SET},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Whether the feature is to be executed.
fn check(device: &Device<Open>, arg: &Feature, operation: u32, size: usize) -> Result<bool> {
    match device.has_logging() {
        true => arg.check(operation, size),
        false => Err(ENOTTY),
    }
}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_START`.
///
/// # Errors
///
/// In this order: `EFAULT`; those of [`LoggingControl::validate`]; `ENOMEM`; for each range those
/// of [`LoggingControl::read_range`] and `EINVAL` when it overlaps with an earlier one; the
/// driver's; `EFAULT` when the page size cannot be written, and the logging is stopped.
pub(super) fn start(device: &Device<Open>, arg: &Feature) -> Result {
    if !check(device, arg, FLAG_SET, size_of::<LoggingControl>())? {
        return Ok(());
    }
    let mut control: LoggingControl = arg.read_data()?;
    let (count, page) = control.validate()?;
    let mut ranges = RangeTree::with_capacity(count as usize)?;
    for index in 0..count {
        let range = control.read_range(index, page)?;
        let start = usize::try_from(range.start()).map_err(|_| EOVERFLOW)?;
        let last = usize::try_from(range.last()).map_err(|_| EOVERFLOW)?;
        ranges.insert(start, last)?;
    }
    control.page_size = device.log_start(&mut ranges, page.get())?;
    arg.write_data(&control).inspect_err(|_| {
        // The user does not know that it has begun.
        let _ = device.log_stop();
    })
}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP`.
///
/// # Errors
///
/// The driver's.
pub(super) fn stop(device: &Device<Open>, arg: &Feature) -> Result {
    match check(device, arg, FLAG_SET, 0)? {
        true => device.log_stop(),
        false => Ok(()),
    }
}

/// `VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT`.
///
/// # Errors
///
/// In this order: `EFAULT`; `EINVAL` (a page size below 4 KiB or no power of two); `EOVERFLOW`;
/// `ENOMEM`; the driver's.  That a bitmap cannot be written to goes unnoticed, as in the C core.
pub(super) fn report(device: &Device<Open>, arg: &Feature) -> Result {
    if !check(device, arg, FLAG_GET, size_of::<LoggingReport>())? {
        return Ok(());
    }
    let report: LoggingReport = arg.read_data()?;
    let page = PageSize::for_report(report.page_size).ok_or(EINVAL)?;
    report.iova.checked_add(report.length).ok_or(EOVERFLOW)?;
    let to_usize = |value: u64| usize::try_from(value).map_err(|_| EOVERFLOW);
    device.log_report(
        to_usize(report.iova)?,
        to_usize(report.length)?,
        to_usize(page.get())?,
        UserPtr::from_addr(to_usize(report.bitmap)?),
    )
}

// SPDX-License-Identifier: GPL-2.0-only

//! The features for DMA logging, which a migration uses to find the memory that a device has written.
//!
//! C counterpart: `vfio_ioctl_device_feature_logging_*()`.
//!
//! The core does not record whether logging is started: a driver must accept the calls in any order.
//!
//! All functions return these errors first:
//!
//! - `ENOTTY`: the device does not support logging.  A probe also returns this error.
//! - Those of [`Feature::check`].

use crate::{
    kapi::interval_tree::RangeTree,
    ranges::PageSize,
    shared::vfio::{Device, Open},
    uapi::feature::{Feature, LoggingControl, LoggingReport, FLAG_GET, FLAG_SET},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Tells whether the feature is to be executed, not only probed.
fn check(device: &Device<Open>, arg: &Feature, operation: u32, size: usize) -> Result<bool> {
    match device.has_logging() {
        true => arg.check(operation, size),
        false => Err(ENOTTY),
    }
}

/// Handles `VFIO_DEVICE_FEATURE_DMA_LOGGING_START`.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - Those of [`LoggingControl::validate`].
/// - `ENOMEM`: out of memory.
/// - For each range: those of [`LoggingControl::read_range`]; `EOVERFLOW` if an address does not fit into
///   `unsigned long`; `EINVAL` if the range overlaps with an earlier range.
/// - `ENOTTY`: the driver does not have the callback.
/// - The driver's errno.
/// - `EFAULT`: the page size cannot be written.  The logging is then stopped.
#[inline(never)]
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
        // User space does not know that the logging has started.
        let _ = device.log_stop();
    })
}

/// Handles `VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP`.
///
/// # Errors
///
/// - `ENOTTY`: the driver does not have the callback.
/// - The driver's errno.
#[inline(never)]
pub(super) fn stop(device: &Device<Open>, arg: &Feature) -> Result {
    match check(device, arg, FLAG_SET, 0)? {
        true => device.log_stop(),
        false => Ok(()),
    }
}

/// Handles `VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT`.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - `EINVAL`: the page size is below 4 KiB or not a power of two.
/// - `EOVERFLOW`: the range overflows, or a value does not fit into `unsigned long`.
/// - `ENOMEM`: out of memory.
/// - `EOPNOTSUPP`: the kernel is built without the IOVA bitmaps.
/// - `ENOTTY`: the driver does not have the callback.
/// - The driver's errno.
///
/// A failed write to the user's bitmap is not reported, as in the C core.
#[inline(never)]
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

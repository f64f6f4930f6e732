// SPDX-License-Identifier: GPL-2.0-only

//! Runtime power management, with the log line of VFIO for a failed resume.

use crate::{
    bindings,
    kapi::{device::as_raw, pm_runtime::Powered},
};
use kernel::{
    device::{Bound, Device},
    prelude::*,
};

/// Resumes the device and holds a runtime PM reference on it until the result is dropped.  Does nothing if
/// the driver of the device does not support power management.  May sleep.
///
/// C counterpart: `vfio_device_pm_runtime_get()`.
///
/// # Errors
///
/// - `EIO`: the device cannot be resumed.  The errno of the resume is logged, rate-limited.
#[inline]
pub(crate) fn resume(dev: &Device<Bound>) -> Result<Powered<&Device>> {
    Powered::resume_and_get(dev).map_err(|e| failed(dev, e))
}

#[cold]
fn failed(dev: &Device, e: Error) -> Error {
    // SAFETY: `dev` is valid.
    unsafe { bindings::vfio_helper_runtime_resume_failed(as_raw(dev), e.to_errno()) };
    EIO
}

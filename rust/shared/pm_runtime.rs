// SPDX-License-Identifier: GPL-2.0-only

//! Runtime power management, with what VFIO says when it fails.

use crate::{
    bindings,
    kapi::{device::as_raw, pm_runtime::Powered},
};
use core::ops::Deref;
use kernel::{device::Device, prelude::*};

/// Resumes the device, if its driver does power management at all.
///
/// # Errors
///
/// `EIO` when the device could not be resumed; the reason is logged, rate-limited.
#[inline]
pub(crate) fn resume<D: Deref<Target = Device> + Clone>(dev: D) -> Result<Powered<D>> {
    Powered::resume_and_get(dev.clone()).map_err(|e| failed(&dev, e))
}

#[cold]
fn failed(dev: &Device, e: Error) -> Error {
    // SAFETY: `dev` is valid.
    unsafe { bindings::vfio_helper_runtime_resume_failed(as_raw(dev), e.to_errno()) };
    EIO
}

// SPDX-License-Identifier: GPL-2.0-only

//! The replacement for `iommufd.rs` on a kernel without iommufd (`CONFIG_IOMMUFD=n`).
//!
//! It has only the functions that are called on such a kernel.  No device has iommufd objects.

use super::{set::SetLocked, Device, Registered};

impl SetLocked<'_> {
    pub(crate) fn is_attached(&self) -> bool {
        false
    }

    pub(crate) fn has_pasid(&self, _pasid: u32) -> bool {
        false
    }
}

impl Device<Registered> {
    pub(crate) fn next_pasid(&self, _from: u32, _last: u32) -> Option<u32> {
        None
    }
}

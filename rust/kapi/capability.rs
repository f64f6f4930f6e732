// SPDX-License-Identifier: GPL-2.0-only

//! Capabilities of the calling task (`include/linux/capability.h`).

use crate::bindings;

/// Tells whether the caller has `CAP_SYS_RAWIO` in the initial user namespace.
pub(crate) fn sys_rawio() -> bool {
    // SAFETY: `capable()` may be called from any task context.
    unsafe { bindings::capable(bindings::CAP_SYS_RAWIO as kernel::ffi::c_int) }
}

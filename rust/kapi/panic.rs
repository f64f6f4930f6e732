// SPDX-License-Identifier: GPL-2.0-only

//! Tainting the kernel (`include/linux/panic.h`).

use crate::bindings;

/// Sets `TAINT_USER`: user space was allowed something that the kernel cannot vouch for.
/// Lockdep goes on.
pub(crate) fn taint_user() {
    // SAFETY: May be called from any context.
    unsafe { bindings::add_taint(bindings::TAINT_USER, bindings::lockdep_ok_LOCKDEP_STILL_OK) }
}

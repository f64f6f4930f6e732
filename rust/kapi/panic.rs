// SPDX-License-Identifier: GPL-2.0-only

//! Tainting the kernel, and warnings (`include/linux/panic.h`, `include/linux/bug.h`).

use crate::bindings;

/// Sets `TAINT_USER`: user space was allowed something that the kernel cannot vouch for.
/// Lockdep goes on.
pub(crate) fn taint_user() {
    // SAFETY: May be called from any context.
    unsafe { bindings::add_taint(bindings::TAINT_USER, bindings::lockdep_ok_LOCKDEP_STILL_OK) }
}

/// As the kernel crate's `warn_on!`, the first time only.
macro_rules! warn_on_once {
    ($condition:expr) => {{
        static WARNED: ::kernel::sync::atomic::AtomicFlag =
            ::kernel::sync::atomic::AtomicFlag::new(false);
        let condition = $condition;
        if condition && !WARNED.xchg(true, ::kernel::sync::atomic::ordering::Relaxed) {
            ::kernel::warn_on!(true);
        }
        condition
    }};
}
pub(crate) use warn_on_once;

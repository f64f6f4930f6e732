// SPDX-License-Identifier: GPL-2.0-only

//! Kernel taints and warnings (`include/linux/panic.h`, `include/linux/bug.h`).

use crate::bindings;
use kernel::prelude::*;

/// Sets `TAINT_USER`: user space got access that the kernel cannot vouch for.  Lockdep stays enabled.
pub(crate) fn taint_user() {
    // SAFETY: The function may be called from any context.
    unsafe { bindings::add_taint(bindings::TAINT_USER, bindings::lockdep_ok_LOCKDEP_STILL_OK) }
}

/// Warns about a condition that should never hold.  This function is used instead of the kernel crate's
/// `warn_on!`, which includes a file that only a complete kernel build directory has.
#[cold]
pub(crate) fn warn(file: &'static str, line: u32) {
    // If the name is too long, only its beginning is printed.
    let len = file.len().try_into().unwrap_or(c_int::MAX);
    // SAFETY: `file` has `len` bytes; the helper may be called from any context.
    unsafe { bindings::vfio_helper_warn(file.as_ptr().cast(), len, line) }
}

/// Warns if the condition holds, and returns the condition, as `WARN_ON()`.
macro_rules! warn_on {
    ($condition:expr) => {{
        let condition = $condition;
        if condition {
            $crate::kapi::panic::warn(::core::file!(), ::core::line!());
        }
        condition
    }};
}
pub(crate) use warn_on;

/// Warns once if the condition holds, and returns the condition, as `WARN_ON_ONCE()`.
macro_rules! warn_on_once {
    ($condition:expr) => {{
        static WARNED: ::kernel::sync::atomic::AtomicFlag =
            ::kernel::sync::atomic::AtomicFlag::new(false);
        let condition = $condition;
        if condition && !WARNED.xchg(true, ::kernel::sync::atomic::ordering::Relaxed) {
            $crate::kapi::panic::warn(::core::file!(), ::core::line!());
        }
        condition
    }};
}
pub(crate) use warn_on_once;

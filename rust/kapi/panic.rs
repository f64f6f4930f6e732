// SPDX-License-Identifier: GPL-2.0-only

//! Tainting the kernel, and warnings (`include/linux/panic.h`, `include/linux/bug.h`).

use crate::bindings;
use kernel::prelude::*;

/// Sets `TAINT_USER`: user space was allowed something that the kernel cannot vouch for.
/// Lockdep goes on.
pub(crate) fn taint_user() {
    // SAFETY: May be called from any context.
    unsafe { bindings::add_taint(bindings::TAINT_USER, bindings::lockdep_ok_LOCKDEP_STILL_OK) }
}

/// Reports that a condition held which never should.  The kernel crate's `warn_on!` includes a
/// file that only a kernel's whole build folder has.
#[cold]
pub(crate) fn warn(file: &'static str, line: u32) {
    // Of a name that is longer than a file's can be, the beginning serves as well.
    let len = file.len().try_into().unwrap_or(c_int::MAX);
    // SAFETY: `file` has `len` bytes; the helper may be called from any context.
    unsafe { bindings::vfio_helper_warn(file.as_ptr().cast(), len, line) }
}

/// As `WARN_ON()`: warns if the condition holds, and tells whether it does.
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

/// As `WARN_ON_ONCE()`.
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

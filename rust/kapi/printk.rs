// SPDX-License-Identifier: GPL-2.0-only

//! Lines of the log without the module's name in front (`include/linux/printk.h`).
//!
//! The kernel crate's `pr_info!` has it in front of all.

use crate::bindings;
use kernel::prelude::*;

/// Prints an informational line.
pub(crate) fn print_info(prefix: &CStr, rest: &str) {
    // SAFETY: The format matches its arguments; the length limits the second.
    unsafe {
        bindings::_printk(
            c"\x016%s%.*s\n".as_char_ptr(),
            prefix.as_char_ptr(),
            rest.len() as c_int,
            rest.as_ptr(),
        );
    }
}

/// Prints an error line.
pub(crate) fn print_error(text: &CStr) {
    // SAFETY: The format matches its argument.
    unsafe { bindings::_printk(c"\x013%s\n".as_char_ptr(), text.as_char_ptr()) };
}

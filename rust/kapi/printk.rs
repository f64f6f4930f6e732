// SPDX-License-Identifier: GPL-2.0-only

//! Log lines without the name of the module as a prefix (`include/linux/printk.h`).
//!
//! The kernel crate's `pr_info!` always prints the prefix.

use crate::bindings;
use kernel::prelude::*;

/// Prints an informational line: `prefix`, followed by `rest`.
pub(crate) fn print_info(prefix: &CStr, rest: &str) {
    // SAFETY: The format matches its arguments; the length limits the second string.
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

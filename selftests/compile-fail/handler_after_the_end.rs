// SPDX-License-Identifier: GPL-2.0-only

//! The callback functions of a driver are called only by the code that waits for their end.

use crate::shared::virqfd::Callbacks;

fn case(callbacks: &Callbacks) {
    // SAFETY: None.
    unsafe { callbacks.run_thread() }; //~ E0624
}

// SPDX-License-Identifier: GPL-2.0-only

//! Limits on the rate of log lines (`include/linux/ratelimit.h`).

use crate::bindings;
use kernel::{prelude::*, types::Opaque};

/// A limit of ten lines in five seconds, the kernel's default.
#[pin_data]
pub(crate) struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
    /// The name under which the log reports the number of suppressed lines.
    what: &'static CStr,
}

// SAFETY: `___ratelimit()` does its own locking.
unsafe impl Send for RateLimit {}
// SAFETY: As above.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// Returns a limit that has not been reached.
    pub(crate) fn new(what: &'static CStr) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- Opaque::ffi_init(|state| {
                // SAFETY: `state` is valid for writes, and does not move any more.
                unsafe { bindings::vfio_helper_ratelimit_init(state) }
            }),
            what,
        })
    }

    /// Tells whether a line may be logged now, and counts the line.
    pub(crate) fn permits(&self) -> bool {
        // SAFETY: The state is initialised, the name a static string.
        unsafe { bindings::___ratelimit(self.state.get(), self.what.as_char_ptr()) != 0 }
    }
}

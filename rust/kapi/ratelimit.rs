// SPDX-License-Identifier: GPL-2.0-only

//! Limits on how often something is said (`include/linux/ratelimit.h`).

use crate::bindings;
use kernel::{prelude::*, types::Opaque};

/// Ten times in five seconds, the kernel's default.
#[pin_data]
pub(crate) struct RateLimit {
    #[pin]
    state: Opaque<bindings::ratelimit_state>,
    /// What was left unsaid is counted in the log under this name.
    what: &'static CStr,
}

// SAFETY: `___ratelimit()` does its own locking.
unsafe impl Send for RateLimit {}
// SAFETY: As above.
unsafe impl Sync for RateLimit {}

impl RateLimit {
    /// A limit that has not been reached.
    pub(crate) fn new(what: &'static CStr) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- Opaque::ffi_init(|state| {
                // SAFETY: `state` is ours and does not move any more.
                unsafe { bindings::vfio_helper_ratelimit_init(state) }
            }),
            what,
        })
    }

    /// Whether it may be said now, which counts.
    pub(crate) fn permits(&self) -> bool {
        // SAFETY: The state is initialised, the name a static string.
        unsafe { bindings::___ratelimit(self.state.get(), self.what.as_char_ptr()) != 0 }
    }
}

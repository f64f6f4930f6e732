// SPDX-License-Identifier: GPL-2.0-only

//! The trace events of the module (`include/vfio_trace.h`).  Each event has a module with `enabled()` and
//! `record()`.  [`traced`] records an event that reports the result of an operation.
//!
//! This is a counterpart of the kernel crate's `declare_trace!`, which supports only tracepoints in the
//! bindings of the kernel crate.

use kernel::prelude::*;

/// Returns `result`.  If `enabled` is set, first calls `record` with the result.  Pass a `move` closure where
/// possible: then the test of `enabled` is the only cost while the event is disabled.
#[inline(always)]
pub(crate) fn traced<R>(enabled: bool, result: R, record: impl FnOnce(&R)) -> R {
    if enabled {
        call_cold(record, &result);
    }
    result
}

/// Calls `record` with `result`.  Keeps the code of `record` out of the function that traces.
#[cold]
#[inline(never)]
fn call_cold<R>(record: impl FnOnce(&R), result: &R) {
    record(result);
}

/// Declares one module for each event, with `enabled()` and `record()`.  `enabled()` costs almost nothing
/// while the event is disabled.
macro_rules! events {
    ($($event:ident: $tracepoint:ident, $record:ident($($arg:ident: $type:ty),+);)+) => {$(
        pub(crate) mod $event {
            use super::*;

            /// Tells whether the event is enabled.
            #[inline(always)]
            pub(crate) fn enabled() -> bool {
                #[cfg(all(CONFIG_TRACEPOINTS, vfio_static_branch))]
                // SAFETY: The key belongs to the tracepoint, which C defines (trace.c).
                unsafe {
                    kernel::jump_label::static_branch_unlikely!(
                        crate::bindings::$tracepoint,
                        crate::bindings::tracepoint,
                        key
                    )
                }
                // The macro above includes a file that the headers package of a kernel may lack (see Kbuild).
                // Without this file, the key is read directly, as on a kernel without jump labels.
                #[cfg(all(CONFIG_TRACEPOINTS, not(vfio_static_branch)))]
                // SAFETY: C defines the tracepoint (trace.c), which exists as long as the module.  The count
                // of its key is changed atomically, and is read with one load.
                unsafe {
                    (&raw const crate::bindings::$tracepoint.key.key.enabled.counter)
                        .read_volatile()
                        != 0
                }
                #[cfg(not(CONFIG_TRACEPOINTS))]
                false
            }

            /// Records the event.  Without an enabled tracer this has no effect.
            #[cold]
            pub(crate) fn record($($arg: $type),+) {
                #[cfg(CONFIG_TRACEPOINTS)]
                // SAFETY: The event copies its strings.
                unsafe {
                    crate::bindings::$record($(Arg::into_c($arg)),+)
                }
                #[cfg(not(CONFIG_TRACEPOINTS))]
                {
                    $(let _ = $arg;)+
                }
            }
        }
    )+};
}

/// An argument of a trace event, with its C type.
#[cfg(CONFIG_TRACEPOINTS)]
trait Arg {
    type C;
    fn into_c(self) -> Self::C;
}

#[cfg(CONFIG_TRACEPOINTS)]
impl Arg for &CStr {
    type C = *const c_char;
    fn into_c(self) -> *const c_char {
        self.as_char_ptr()
    }
}

#[cfg(CONFIG_TRACEPOINTS)]
macro_rules! same_in_c {
    ($($type:ty),+) => {$(
        impl Arg for $type {
            type C = Self;
            fn into_c(self) -> Self {
                self
            }
        }
    )+};
}
#[cfg(CONFIG_TRACEPOINTS)]
same_in_c!(bool, u32, c_int);

events! {
    open: __tracepoint_vfio_open, rust_do_trace_vfio_open(
        minor: c_int, dev: &CStr, group: bool, err: c_int);
    bind: __tracepoint_vfio_bind, rust_do_trace_vfio_bind(
        minor: c_int, dev: &CStr, iommufd: c_int, devid: u32, err: c_int);
    attach: __tracepoint_vfio_attach, rust_do_trace_vfio_attach(
        minor: c_int, dev: &CStr, pasid: u32, pt_id: u32, used: u32, err: c_int);
    detach: __tracepoint_vfio_detach, rust_do_trace_vfio_detach(
        minor: c_int, dev: &CStr, pasid: u32, err: c_int);
    bind_process: __tracepoint_vfio_bind_process, rust_do_trace_vfio_bind_process(
        minor: c_int, dev: &CStr, pasid: u32, err: c_int);
    unbind_process: __tracepoint_vfio_unbind_process, rust_do_trace_vfio_unbind_process(
        minor: c_int, dev: &CStr, pasid: u32, err: c_int);
    close: __tracepoint_vfio_close, rust_do_trace_vfio_close(
        minor: c_int, dev: &CStr, group: bool, bound: bool, err: c_int);
}

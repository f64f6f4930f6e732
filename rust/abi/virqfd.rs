// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `virqfd.c`: drivers that listen to eventfds.

use super::check_prototypes;
use crate::{
    bindings,
    kapi::to_int,
    shared::virqfd::{self, Callbacks, Slot},
};
use kernel::prelude::*;

check_prototypes!(
    vfio_virqfd_disable,
    vfio_virqfd_enable,
    vfio_virqfd_flush_thread
);

/// # Safety
///
/// Drivers call this.  `pvirqfd` is NULL, or points to a slot: a pointer that is NULL (an empty slot), or that
/// `vfio_virqfd_enable()` has stored.  Until `vfio_virqfd_disable()` of the slot returns, the slot is valid, and the
/// functions may be called with their arguments.
#[no_mangle]
unsafe extern "C" fn vfio_virqfd_enable(
    opaque: *mut c_void,
    handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    data: *mut c_void,
    pvirqfd: *mut *mut bindings::virqfd,
    fd: c_int,
) -> c_int {
    // SAFETY: By the caller's promise: `virqfd::disable()` ends the subscription, and waits for its end and
    // for the work that runs the thread function.
    let (callbacks, slot) = unsafe {
        (
            Callbacks::new(opaque, data, handler, thread),
            Slot::from_raw(pvirqfd),
        )
    };
    to_int(
        slot.ok_or(EINVAL)
            .and_then(|slot| virqfd::enable(callbacks, slot, fd)),
    )
}

/// # Safety
///
/// Drivers call this.  `pvirqfd` is as for [`vfio_virqfd_enable`].
#[no_mangle]
unsafe extern "C" fn vfio_virqfd_disable(pvirqfd: *mut *mut bindings::virqfd) {
    // SAFETY: By the caller's promise.
    if let Some(slot) = unsafe { Slot::from_raw(pvirqfd) } {
        virqfd::disable(slot);
    }
}

/// # Safety
///
/// Drivers call this with a slot that is empty or that `vfio_virqfd_enable()` filled.
#[no_mangle]
unsafe extern "C" fn vfio_virqfd_flush_thread(pvirqfd: *mut *mut bindings::virqfd) {
    // SAFETY: By the caller's promise.
    if let Some(slot) = unsafe { Slot::from_raw(pvirqfd) } {
        virqfd::flush_thread(slot);
    }
}

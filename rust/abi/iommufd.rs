// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `iommufd.c`: the standard driver callbacks, and the queries about bound devices.

use super::check_prototypes;
use crate::{
    bindings,
    kapi::{
        iommufd::{BoundDevice, Ctx},
        to_int,
    },
    shared::vfio::{iommufd::dev_id, Device, SetLocked},
};
use kernel::prelude::*;

check_prototypes!(
    vfio_iommufd_device_ictx,
    vfio_iommufd_emulated_attach_ioas,
    vfio_iommufd_emulated_bind,
    vfio_iommufd_emulated_detach_ioas,
    vfio_iommufd_emulated_unbind,
    vfio_iommufd_get_dev_id,
    vfio_iommufd_physical_attach_ioas,
    vfio_iommufd_physical_bind,
    vfio_iommufd_physical_detach_ioas,
    vfio_iommufd_physical_pasid_attach_ioas,
    vfio_iommufd_physical_pasid_detach_ioas,
    vfio_iommufd_physical_unbind,
);

/// Returns the proof that the set's lock is held.
///
/// # Safety
///
/// The device is registered, and the caller holds the lock of its set for `'a`.  This holds for the exported
/// functions that call `locked`: the core calls driver callbacks with this lock held, and each of these functions
/// is such a callback or is called from one.
///
/// The caller passes the result only to the functions of [`standard_ops`](crate::shared::vfio::standard_ops), which
/// access the iommufd fields of the device only.
unsafe fn locked<'a>(vdev: *mut bindings::vfio_device) -> SetLocked<'a> {
    // SAFETY: By the caller's promise.
    unsafe { SetLocked::assume(Device::from_raw(vdev)) }
}

/// Returns the iommufd object of the device, if the device is bound.
///
/// # Safety
///
/// The caller keeps the device from being unbound for `'a`.
unsafe fn bound<'a>(vdev: *mut bindings::vfio_device) -> Option<&'a BoundDevice> {
    // SAFETY: By the caller's promise.
    unsafe { BoundDevice::from_raw((*vdev).iommufd_device) }
}

/// Returns the iommufd of the device, or NULL if the device is not bound.  Takes no reference.
///
/// # Safety
///
/// Drivers call this, and keep the device from being unbound.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_device_ictx(
    vdev: *mut bindings::vfio_device,
) -> *mut bindings::iommufd_ctx {
    // SAFETY: By the caller's promise.
    unsafe { bound(vdev) }.map_or(core::ptr::null_mut(), |bound| bound.ctx().as_raw())
}

/// # Safety
///
/// Drivers call this, and keep the device from being unbound.  `ictx` is NULL, or the driver holds it.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_get_dev_id(
    vdev: *mut bindings::vfio_device,
    ictx: *mut bindings::iommufd_ctx,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (device, bound, ctx) = unsafe {
        let ctx = (!ictx.is_null()).then(|| Ctx::from_raw(ictx));
        (Device::from_raw(vdev), bound(vdev), ctx)
    };
    match dev_id(device, bound, ctx) {
        // CAST: The ids of iommufd are below `i32::MAX`.
        Ok(id) => id as c_int,
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// As for [`locked`]; the caller holds `ictx`, and `out_device_id` may be written.  During the call no other code uses
/// the device's `struct iommufd_device`.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_bind(
    vdev: *mut bindings::vfio_device,
    ictx: *mut bindings::iommufd_ctx,
    out_device_id: *mut u32,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (mut locked, ctx) = unsafe { (locked(vdev), Ctx::from_raw(ictx)) };
    // SAFETY: The core called the driver's `bind_iommufd`, which is this function or calls it; the rest by the
    // caller's promise.
    let bound = unsafe { locked.physical_bind(ctx) };
    to_int(bound.map(|id| {
        // SAFETY: By the caller's promise.
        unsafe { *out_device_id = id }
    }))
}

/// # Safety
///
/// As for [`locked`].  During the call no other code uses the device's `struct iommufd_device`.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_unbind(vdev: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    let mut locked = unsafe { locked(vdev) };
    // SAFETY: The core called the driver's `unbind_iommufd`, which is this function or calls it; the rest by the
    // caller's promise.
    unsafe { locked.physical_unbind() }
}

/// # Safety
///
/// As for [`locked`]; no other code uses `pt_id` during the call, and it may be read and written.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_attach_ioas(
    vdev: *mut bindings::vfio_device,
    pt_id: *mut u32,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (mut locked, pt_id) = unsafe { (locked(vdev), &mut *pt_id) };
    to_int(locked.physical_attach(pt_id))
}

/// # Safety
///
/// As for [`locked`].
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_detach_ioas(vdev: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    unsafe { locked(vdev) }.physical_detach()
}

/// # Safety
///
/// As for [`locked`]; no other code uses `pt_id` during the call, and it may be read and written.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_pasid_attach_ioas(
    vdev: *mut bindings::vfio_device,
    pasid: u32,
    pt_id: *mut u32,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (mut locked, pt_id) = unsafe { (locked(vdev), &mut *pt_id) };
    to_int(locked.physical_pasid_attach(pasid, pt_id))
}

/// # Safety
///
/// As for [`locked`].
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_physical_pasid_detach_ioas(
    vdev: *mut bindings::vfio_device,
    pasid: u32,
) {
    // SAFETY: By the caller's promise.
    unsafe { locked(vdev) }.physical_pasid_detach(pasid)
}

/// # Safety
///
/// As for [`locked`]; the caller holds `ictx`, and `out_device_id` may be written.  During the call no other code
/// except the driver's `dma_unmap` uses the device's `struct iommufd_access`.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_emulated_bind(
    vdev: *mut bindings::vfio_device,
    ictx: *mut bindings::iommufd_ctx,
    out_device_id: *mut u32,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (mut locked, ctx) = unsafe { (locked(vdev), Ctx::from_raw(ictx)) };
    // SAFETY: The core called the driver's `bind_iommufd`, which is this function or calls it; the rest by the
    // caller's promise.
    let bound = unsafe { locked.emulated_bind(ctx) };
    to_int(bound.map(|id| {
        // SAFETY: By the caller's promise.
        unsafe { *out_device_id = id }
    }))
}

/// # Safety
///
/// As for [`locked`].  During the call no other code except the driver's `dma_unmap` uses the device's
/// `struct iommufd_access`.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_emulated_unbind(vdev: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    let mut locked = unsafe { locked(vdev) };
    // SAFETY: The core called the driver's `unbind_iommufd`, which is this function or calls it; the rest by the
    // caller's promise.
    unsafe { locked.emulated_unbind() }
}

/// # Safety
///
/// As for [`locked`]; `pt_id` may be read.
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_emulated_attach_ioas(
    vdev: *mut bindings::vfio_device,
    pt_id: *mut u32,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (mut locked, wanted) = unsafe { (locked(vdev), *pt_id) };
    to_int(locked.emulated_attach(wanted))
}

/// # Safety
///
/// As for [`locked`].
#[no_mangle]
unsafe extern "C" fn vfio_iommufd_emulated_detach_ioas(vdev: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    unsafe { locked(vdev) }.emulated_detach()
}

// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `container.c`: `/dev/vfio/vfio`, and the registration of container drivers.

use crate::{
    bindings,
    container::{self, noiommu},
    kapi::{miscdevice::Template, series::this_module, to_int, to_isize},
    shared::{vfio::iommu_driver::RegisteredDriver, OwnerModule},
};
use kernel::{prelude::*, str::as_char_ptr_in_const_context};

#[cfg(CONFIG_VFIO_CONTAINER)]
super::check_prototypes!(vfio_register_iommu_driver, vfio_unregister_iommu_driver);

/// The device `/dev/vfio/vfio`, which all users may open.
pub(crate) static NODE: Template = Template {
    minor: bindings::VFIO_MINOR,
    name: c"vfio",
    nodename: c"vfio/vfio",
    mode: 0o666,
};

/// The operations of a container driver.
struct DriverOps(bindings::vfio_iommu_driver_ops);

// SAFETY: The operations are constant, and any task may call them.
unsafe impl Sync for DriverOps {}

/// The operations of the container driver for groups without an IOMMU.  Its `open` makes no driver data, and
/// returns NULL.
static NOIOMMU: DriverOps = DriverOps(bindings::vfio_iommu_driver_ops {
    name: as_char_ptr_in_const_context(c"vfio-noiommu").cast_mut(),
    owner: this_module::<OwnerModule>().as_ptr(),
    open: Some(noiommu_open),
    release: Some(noiommu_release),
    ioctl: Some(noiommu_ioctl),
    // A callback with an enum, which C defines (helpers.c).
    attach_group: Some(bindings::vfio_helper_attach_nothing),
    detach_group: Some(noiommu_detach_group),
    pin_pages: None,
    unpin_pages: None,
    register_device: None,
    unregister_device: None,
    dma_rw: None,
    group_iommu_domain: None,
});

/// Registers the container driver for groups without an IOMMU.
///
/// # Errors
///
/// Those of [`container::add_driver`].
pub(crate) fn add_noiommu() -> Result {
    // SAFETY: The operations are static.
    let driver = unsafe { RegisteredDriver::new(&raw const NOIOMMU.0) }?;
    container::add_driver(driver.for_noiommu())
}

/// # Safety
///
/// No requirements.
unsafe extern "C" fn noiommu_open(arg: c_ulong) -> *mut c_void {
    match noiommu::open(arg) {
        Ok(()) => core::ptr::null_mut(),
        Err(e) => e.to_ptr(),
    }
}

/// # Safety
///
/// No requirements.
unsafe extern "C" fn noiommu_release(_data: *mut c_void) {}

/// # Safety
///
/// No requirements.
unsafe extern "C" fn noiommu_ioctl(_data: *mut c_void, cmd: c_uint, arg: c_ulong) -> c_long {
    // CAST: Both types have the width of a pointer.
    to_isize(noiommu::ioctl(cmd, arg)) as c_long
}

/// # Safety
///
/// No requirements.
unsafe extern "C" fn noiommu_detach_group(_data: *mut c_void, _group: *mut bindings::iommu_group) {}

/// # Safety
///
/// Container drivers call this.  `ops` is valid until the driver is unregistered, and after that while a
/// reference on the driver's module is held.
#[no_mangle]
unsafe extern "C" fn vfio_register_iommu_driver(
    ops: *const bindings::vfio_iommu_driver_ops,
) -> c_int {
    // SAFETY: By the caller's promise.
    to_int(unsafe { RegisteredDriver::new(ops) }.and_then(container::add_driver))
}

/// # Safety
///
/// No requirements.
#[no_mangle]
unsafe extern "C" fn vfio_unregister_iommu_driver(ops: *const bindings::vfio_iommu_driver_ops) {
    container::remove_driver(ops.addr());
}

// SPDX-License-Identifier: GPL-2.0-only

//! `vfio_main.c`: devices, device sets, helpers for drivers.

use super::check_prototypes;
use crate::{
    bindings,
    device::{self, registration, sets},
    info_cap, irqs,
    kapi::{
        class::Class,
        to_int,
        vfio::{
            from_class_device, ops::InfoCaps, set, Device, DeviceMemory, NewDevice, Owner,
            RegistrationRef,
        },
    },
};
use kernel::{prelude::*, warn_on};

/// `/sys/class/vfio-dev`.
// SAFETY: `devnode` follows the contract.
pub(crate) static DEVICE_CLASS: Class = unsafe { Class::new(c"vfio-dev", devnode) };

check_prototypes!(
    _vfio_alloc_device,
    vfio_assign_device_set,
    vfio_device_put_registration,
    vfio_device_set_open_count,
    vfio_device_try_get_registration,
    vfio_find_device_in_devset,
    vfio_info_add_capability,
    vfio_info_cap_add,
    vfio_info_cap_shift,
    vfio_register_group_dev,
    vfio_set_irqs_validate_and_prepare,
    vfio_unregister_group_dev,
);

/// # Safety
///
/// Called by the driver core with a device of the class.
unsafe extern "C" fn devnode(
    dev: *const bindings::device,
    _mode: *mut bindings::umode_t,
) -> *mut c_char {
    // SAFETY: `dev` is valid; the format matches.
    unsafe {
        bindings::kasprintf(
            bindings::GFP_KERNEL,
            c"vfio/devices/%s".as_char_ptr(),
            bindings::dev_name(dev),
        )
    }
}

/// # Safety
///
/// Called by drivers: `dev` and `ops` are valid as long as the device exists.
#[no_mangle]
unsafe extern "C" fn _vfio_alloc_device(
    size: usize,
    dev: *mut bindings::device,
    ops: *const bindings::vfio_device_ops,
) -> *mut bindings::vfio_device {
    // SAFETY: By the caller's promise.
    let memory = unsafe { DeviceMemory::alloc(size, dev, ops) };
    match memory.and_then(device::make) {
        Ok(new) => new.initialise(&DEVICE_CLASS, device_release),
        Err(e) => e.to_ptr(),
    }
}

/// # Safety
///
/// Called by the driver core with the class device of a device, whose last reference is gone.
unsafe extern "C" fn device_release(dev: *mut bindings::device) {
    // SAFETY: By the caller's promise; this is the `release` of such devices and no others.
    device::release(unsafe { NewDevice::from_released(from_class_device(dev)) });
}

/// # Safety
///
/// Called by drivers with a device they own and do not register or unregister elsewhere.
#[no_mangle]
unsafe extern "C" fn vfio_register_group_dev(device: *mut bindings::vfio_device) -> c_int {
    // SAFETY: By the caller's promise.
    to_int(registration::register(&unsafe { Owner::from_raw(device) }))
}

/// # Safety
///
/// Called by drivers with a device they have registered.
#[no_mangle]
unsafe extern "C" fn vfio_unregister_group_dev(device: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    registration::unregister(&unsafe { Owner::from_raw(device) })
}

/// # Safety
///
/// Called by drivers with a device they have not registered yet; `set_id` is only compared.
#[no_mangle]
unsafe extern "C" fn vfio_assign_device_set(
    device: *mut bindings::vfio_device,
    set_id: *mut c_void,
) -> c_int {
    // SAFETY: By the caller's promise.
    let device = unsafe { Device::from_raw(device) };
    to_int(sets::assign(device, set_id.addr()))
}

/// # Safety
///
/// Called by drivers with the lock of the set held.
#[no_mangle]
unsafe extern "C" fn vfio_device_set_open_count(dev_set: *mut bindings::vfio_device_set) -> c_uint {
    // SAFETY: By the caller's promise.
    unsafe { set::open_count(dev_set) }
}

/// # Safety
///
/// Called by drivers with the lock of the set held.
#[no_mangle]
unsafe extern "C" fn vfio_find_device_in_devset(
    dev_set: *mut bindings::vfio_device_set,
    dev: *mut bindings::device,
) -> *mut bindings::vfio_device {
    // SAFETY: By the caller's promise.
    unsafe { set::find(dev_set, dev) }
}

/// # Safety
///
/// Called by drivers with a device that is valid.
#[no_mangle]
unsafe extern "C" fn vfio_device_try_get_registration(device: *mut bindings::vfio_device) -> bool {
    // SAFETY: By the caller's promise.
    RegistrationRef::try_get(unsafe { Device::from_raw(device) })
        .map(RegistrationRef::into_foreign)
        .is_some()
}

/// # Safety
///
/// Called by drivers that got a reference from `vfio_device_try_get_registration()`.
#[no_mangle]
unsafe extern "C" fn vfio_device_put_registration(device: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    drop(unsafe { RegistrationRef::from_foreign(Device::from_raw(device)) })
}

/// # Safety
///
/// Called by drivers with a chain of capabilities that is theirs.
#[no_mangle]
unsafe extern "C" fn vfio_info_cap_add(
    caps: *mut bindings::vfio_info_cap,
    size: usize,
    id: u16,
    version: u16,
) -> *mut bindings::vfio_info_cap_header {
    // SAFETY: By the caller's promise.
    let caps = unsafe { InfoCaps::from_raw(caps) };
    match cap_add(caps, size, id, version) {
        Ok(room) => room.as_mut_ptr().cast(),
        Err(e) => e.to_ptr(),
    }
}

/// Adds a capability of `size` bytes, head included; the result is its room.
///
/// # Errors
///
/// `ENOMEM`, and the chain is empty then.
fn cap_add(caps: &mut InfoCaps, size: usize, id: u16, version: u16) -> Result<&mut [u8]> {
    let at = caps.bytes().len();
    caps.grow(info_cap::padded(size).ok_or(ENOMEM)?)?;
    info_cap::link(caps.bytes(), at, id, version).ok_or(EINVAL)?;
    caps.bytes().get_mut(at..).ok_or(EINVAL)
}

/// # Safety
///
/// Called by drivers with a chain of capabilities that is theirs and a capability of `size` bytes.
#[no_mangle]
unsafe extern "C" fn vfio_info_add_capability(
    caps: *mut bindings::vfio_info_cap,
    cap: *mut bindings::vfio_info_cap_header,
    size: usize,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (caps, id, version) = unsafe { (InfoCaps::from_raw(caps), (*cap).id, (*cap).version) };
    // SAFETY: By the caller's promise.
    let cap = unsafe { core::slice::from_raw_parts(cap.cast::<u8>(), size) };
    to_int(cap_add(caps, size, id, version).map(|room| {
        let body = room.iter_mut().zip(cap).skip(info_cap::HEADER_SIZE);
        body.for_each(|(to, from)| *to = *from);
    }))
}

/// # Safety
///
/// Called by drivers with a chain of capabilities that is theirs.
#[no_mangle]
unsafe extern "C" fn vfio_info_cap_shift(caps: *mut bindings::vfio_info_cap, offset: usize) {
    warn_on!(offset % size_of::<u64>() != 0);
    // SAFETY: By the caller's promise.
    let caps = unsafe { InfoCaps::from_raw(caps) };
    if let Ok(offset) = u32::try_from(offset) {
        info_cap::shift(caps.bytes(), offset);
    }
}

/// # Safety
///
/// Called by drivers with their copy of the user's structure; `data_size` is NULL or written.
#[no_mangle]
unsafe extern "C" fn vfio_set_irqs_validate_and_prepare(
    hdr: *mut bindings::vfio_irq_set,
    num_irqs: c_int,
    max_irq_type: c_int,
    data_size: *mut usize,
) -> c_int {
    // SAFETY: By the caller's promise.
    let hdr = unsafe { &*hdr };
    let set = irqs::IrqSet {
        argsz: hdr.argsz,
        flags: hdr.flags,
        index: hdr.index,
        start: hdr.start,
        count: hdr.count,
    };
    let result = irqs::data_size(set, num_irqs, max_irq_type);
    if let Err(irqs::Refused::Head) = result {
        return EINVAL.to_errno();
    }
    if !data_size.is_null() {
        // SAFETY: By the caller's promise.
        unsafe { *data_size = result.ok().flatten().unwrap_or(0) };
    }
    match result {
        Ok(None) => 0,
        Ok(Some(_)) if !data_size.is_null() => 0,
        _ => EINVAL.to_errno(),
    }
}

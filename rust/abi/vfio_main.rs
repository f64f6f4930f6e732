// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `vfio_main.c`: devices, device sets, and helpers for drivers.

use super::{check_prototypes, data_of};
use crate::{
    bindings,
    device::{self, registration, sets},
    file::DeviceFile,
    group::{Backing, Group},
    info_cap, irqs,
    kapi::{
        buffer::{DriverBuffer, PageArray},
        class::{node_name, Class},
        iommufd::Access,
        panic::warn_on,
        to_int,
    },
    migration, pages,
    shared::vfio::{
        from_class_device, info_caps::Chain, iova_ranges, set, Device, DeviceMemory,
        InitialisedDevice, Registering, RegistrationRef,
    },
};
use kernel::prelude::*;

/// The class `/sys/class/vfio-dev`.
// SAFETY: `devnode` follows the contract of the driver core.
pub(crate) static DEVICE_CLASS: Class = unsafe { Class::new(c"vfio-dev", devnode) };

check_prototypes!(
    _vfio_alloc_device,
    vfio_assign_device_set,
    vfio_combine_iova_ranges,
    vfio_device_put_registration,
    vfio_device_set_open_count,
    vfio_device_try_get_registration,
    vfio_dma_rw,
    vfio_file_enforced_coherent,
    vfio_file_is_valid,
    vfio_file_set_kvm,
    vfio_find_device_in_devset,
    vfio_info_add_capability,
    vfio_info_cap_add,
    vfio_info_cap_shift,
    vfio_mig_get_next_state,
    vfio_pin_pages,
    vfio_register_emulated_iommu_dev,
    vfio_register_group_dev,
    vfio_set_irqs_validate_and_prepare,
    vfio_unpin_pages,
    vfio_unregister_group_dev,
);

/// # Safety
///
/// The driver core calls this with a device of the class.
unsafe extern "C" fn devnode(
    dev: *const bindings::device,
    _mode: *mut bindings::umode_t,
) -> *mut c_char {
    // SAFETY: `dev` is valid; the format matches its argument.
    unsafe { node_name(c"vfio/devices/%s", dev) }
}

/// # Safety
///
/// Drivers call this.  `dev` and `ops` are valid for as long as the device exists.
#[no_mangle]
unsafe extern "C" fn _vfio_alloc_device(
    size: usize,
    dev: *mut bindings::device,
    ops: *const bindings::vfio_device_ops,
) -> *mut bindings::vfio_device {
    // SAFETY: By the caller's promise.
    let memory = unsafe { DeviceMemory::alloc(size, dev, ops) };
    match memory.and_then(device::make) {
        // SAFETY: `device_release()` calls `from_released()`.
        Ok(new) => unsafe { new.into_counted(&DEVICE_CLASS, device_release) },
        Err(e) => e.to_ptr(),
    }
}

/// # Safety
///
/// The driver core calls this with the class device of a VFIO device, whose last reference is dropped.
unsafe extern "C" fn device_release(dev: *mut bindings::device) {
    // SAFETY: By the caller's promise; this is the `release` of these class devices only.
    device::release(unsafe { InitialisedDevice::from_released(from_class_device(dev)) });
}

/// # Safety
///
/// Drivers call this.  The driver owns the device, is bound to its parent, and makes no concurrent call that
/// registers or unregisters the device, or assigns a set to it.
#[no_mangle]
unsafe extern "C" fn vfio_register_group_dev(device: *mut bindings::vfio_device) -> c_int {
    // SAFETY: By the caller's promise.
    let registering = unsafe { Registering::from_raw(device) };
    to_int(registration::register(registering, Backing::of_physical))
}

/// # Safety
///
/// Drivers call this.  The driver owns the device, is bound to its parent, and makes no concurrent call that
/// registers or unregisters the device, or assigns a set to it.
#[no_mangle]
unsafe extern "C" fn vfio_register_emulated_iommu_dev(device: *mut bindings::vfio_device) -> c_int {
    // SAFETY: By the caller's promise.
    let registering = unsafe { Registering::from_raw(device) };
    to_int(registration::register(registering, Backing::emulated))
}

/// # Safety
///
/// Drivers call this.  The driver owns the device, is bound to its parent, and makes no concurrent call that
/// registers or unregisters the device, or assigns a set to it.
#[no_mangle]
unsafe extern "C" fn vfio_unregister_group_dev(device: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    registration::unregister(unsafe { Registering::from_raw(device) })
}

/// # Safety
///
/// Drivers call this.  The driver owns the device, is bound to its parent, has not registered the device yet, and
/// makes no concurrent call that assigns a set.  `set_id` serves only as a key.
#[no_mangle]
unsafe extern "C" fn vfio_assign_device_set(
    device: *mut bindings::vfio_device,
    set_id: *mut c_void,
) -> c_int {
    // SAFETY: By the caller's promise.
    let mut registering = unsafe { Registering::from_raw(device) };
    to_int(sets::assign(&mut registering, set_id.addr()))
}

/// # Safety
///
/// Drivers call this, and hold the lock of the set.
#[no_mangle]
unsafe extern "C" fn vfio_device_set_open_count(dev_set: *mut bindings::vfio_device_set) -> c_uint {
    // SAFETY: By the caller's promise.
    unsafe { set::open_count(dev_set) }
}

/// # Safety
///
/// Drivers call this, and hold the lock of the set.
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
/// Drivers call this with a valid device.
#[no_mangle]
unsafe extern "C" fn vfio_device_try_get_registration(device: *mut bindings::vfio_device) -> bool {
    // SAFETY: By the caller's promise.
    let Some(registration) = RegistrationRef::try_get(unsafe { Device::from_raw(device) }) else {
        return false;
    };
    registration.state().driver_refs().taken();
    registration.into_foreign();
    true
}

/// # Safety
///
/// Drivers call this.  The driver owns a reference from `vfio_device_try_get_registration()`.
#[no_mangle]
unsafe extern "C" fn vfio_device_put_registration(device: *mut bindings::vfio_device) {
    // SAFETY: By the caller's promise.
    let registration = unsafe { RegistrationRef::from_foreign(Device::from_raw(device)) };
    // This comes before the drop, after which the device can be freed.
    registration.state().driver_refs().put();
    drop(registration);
}

/// # Safety
///
/// Drivers call this with a capability chain that they own.
#[no_mangle]
unsafe extern "C" fn vfio_info_cap_add(
    caps: *mut bindings::vfio_info_cap,
    size: usize,
    id: u16,
    version: u16,
) -> *mut bindings::vfio_info_cap_header {
    // SAFETY: By the caller's promise.
    let caps = unsafe { Chain::from_raw(caps) };
    match cap_add(caps, size, id, version) {
        Ok(header) => header.cast(),
        Err(e) => e.to_ptr(),
    }
}

/// Adds a capability of `size` bytes, which include the header.  Returns a pointer to the capability.  May
/// sleep.
///
/// # Errors
///
/// - `ENOMEM`: out of memory, or the size overflows when it is padded.  After a failed allocation the chain
///   is empty.
/// - `EINVAL`: `size` is 0, or the chain is broken.  A broken chain has grown by a capability that is not linked.
fn cap_add(mut caps: Chain<'_>, size: usize, id: u16, version: u16) -> Result<*mut u8> {
    let at = caps.len();
    caps.grow(info_cap::padded(size).ok_or(ENOMEM)?)?;
    let mut words = caps.words().ok_or(EINVAL)?;
    info_cap::link(&mut words, at, id, version).ok_or(EINVAL)?;
    caps.bytes_from(at).ok_or(EINVAL)
}

/// Adds a copy of the capability `cap`.  The errors are those of [`cap_add`].
///
/// # Safety
///
/// Drivers call this with a capability chain that they own, and a capability of `size` bytes.
#[no_mangle]
unsafe extern "C" fn vfio_info_add_capability(
    caps: *mut bindings::vfio_info_cap,
    cap: *mut bindings::vfio_info_cap_header,
    size: usize,
) -> c_int {
    // SAFETY: By the caller's promise.
    let (caps, id, version) = unsafe { (Chain::from_raw(caps), (*cap).id, (*cap).version) };
    to_int(cap_add(caps, size, id, version).map(|to| {
        let body = size.saturating_sub(info_cap::HEADER_SIZE);
        // SAFETY: By the caller's promise; the chain has space for these bytes.  Padding in the driver's
        // structure need not be initialised.
        unsafe {
            let from = cap.cast::<u8>().add(info_cap::HEADER_SIZE);
            core::ptr::copy_nonoverlapping(from, to.add(info_cap::HEADER_SIZE), body);
        }
    }))
}

/// # Safety
///
/// Drivers call this with a capability chain that they own.
#[no_mangle]
unsafe extern "C" fn vfio_info_cap_shift(caps: *mut bindings::vfio_info_cap, offset: usize) {
    warn_on!(offset % size_of::<u64>() != 0);
    // SAFETY: By the caller's promise.
    let mut caps = unsafe { Chain::from_raw(caps) };
    if let (Ok(offset), Some(mut words)) = (u32::try_from(offset), caps.words()) {
        info_cap::shift(&mut words, offset);
    }
}

/// Validates the user's structure, and writes the size in bytes of the data that follows it.
///
/// # Errors
///
/// - `EINVAL`: [`irqs::data_size`] refuses the structure, or there is data and `data_size` is NULL.  For
///   [`irqs::IrqSetError::AfterSize`], the written size is 0; for [`irqs::IrqSetError::BeforeSize`], no size is
///   written.
///
/// # Safety
///
/// Drivers call this with their copy of the user's structure.  `data_size` is NULL or may be written.
#[no_mangle]
unsafe extern "C" fn vfio_set_irqs_validate_and_prepare(
    hdr: *mut bindings::vfio_irq_set,
    num_irqs: c_int,
    max_irq_type: c_int,
    data_size: *mut usize,
) -> c_int {
    // SAFETY: By the caller's promise.  Each field is read once, and no reference is made.
    let set = unsafe {
        irqs::IrqSet {
            argsz: (*hdr).argsz,
            flags: (*hdr).flags,
            index: (*hdr).index,
            start: (*hdr).start,
            count: (*hdr).count,
        }
    };
    let result = irqs::data_size(set, num_irqs, max_irq_type);
    if let Err(irqs::IrqSetError::BeforeSize) = result {
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

/// Returns the `struct iommufd_access` of an emulated device, or None if the device is not bound to an iommufd.
///
/// # Safety
///
/// Drivers call the function, and keep the device from being unbound for `'a`.  An unbind waits for the driver's
/// `dma_unmap` before it frees the access.
unsafe fn access<'a>(device: *mut bindings::vfio_device) -> Option<&'a Access> {
    // SAFETY: By the caller's promise.
    unsafe { Access::from_raw((*device).iommufd_access) }
}

/// # Safety
///
/// Drivers call this, and keep the device from being unbound.  `pages` is NULL or has space for `npage` pages.
#[no_mangle]
unsafe extern "C" fn vfio_pin_pages(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    npage: c_int,
    prot: c_int,
    pages: *mut *mut bindings::page,
) -> c_int {
    // SAFETY: By the caller's promise.
    let Some(pages) = (unsafe { PageArray::from_raw(pages, npage) }) else {
        return EINVAL.to_errno();
    };
    // SAFETY: By the caller's promise.
    let (vdev, access) = unsafe { (Device::from_raw(device), access(device)) };
    pages::pin(vdev, access, iova, prot, pages).unwrap_or_else(|e| e.to_errno())
}

/// # Safety
///
/// Drivers call this, and keep the device from being unbound.
#[no_mangle]
unsafe extern "C" fn vfio_unpin_pages(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    npage: c_int,
) {
    // SAFETY: By the caller's promise.
    let (vdev, access) = unsafe { (Device::from_raw(device), access(device)) };
    pages::unpin(vdev, access, iova, npage);
}

/// # Safety
///
/// Drivers call this, and keep the device from being unbound.  `data` is NULL or a buffer of `len` bytes.
#[no_mangle]
unsafe extern "C" fn vfio_dma_rw(
    device: *mut bindings::vfio_device,
    iova: bindings::dma_addr_t,
    data: *mut c_void,
    len: usize,
    write: bool,
) -> c_int {
    // SAFETY: By the caller's promise.
    let Some(data) = (unsafe { DriverBuffer::from_raw(data, len) }) else {
        return EINVAL.to_errno();
    };
    // SAFETY: By the caller's promise.
    let (vdev, access) = unsafe { (Device::from_raw(device), access(device)) };
    to_int(pages::rw(vdev, access, iova, data, write))
}

/// Tells whether the file is a group file, or a device file that has access or whose link is not revoked.
///
/// # Safety
///
/// The caller holds the file.
#[no_mangle]
unsafe extern "C" fn vfio_file_is_valid(file: *mut bindings::file) -> bool {
    // SAFETY: By the caller's promise.
    let (group, device) = unsafe { (data_of::<Group>(file), data_of::<DeviceFile>(file)) };
    group.is_some() || device.is_some_and(|file| file.is_valid())
}

/// Tells whether the IOMMU makes all DMA of the file's devices coherent.  Also returns true for a device file
/// whose device is no longer registered, and for a file that is not a VFIO file.
///
/// # Safety
///
/// The caller holds the file.
#[no_mangle]
unsafe extern "C" fn vfio_file_enforced_coherent(file: *mut bindings::file) -> bool {
    // SAFETY: By the caller's promise.
    let (group, device) = unsafe { (data_of::<Group>(file), data_of::<DeviceFile>(file)) };
    match group {
        Some(group) => group.enforces_coherency(),
        None => device
            .and_then(|file| file.enforces_coherency())
            .unwrap_or(true),
    }
}

/// Records the VM of a file.  NULL removes the VM.  Ignores files that are not VFIO files.  Takes the lock of the
/// file's [`KvmSlot`](crate::kapi::kvm::KvmSlot), and after it, for a device file, the lock of the device's list of
/// files.  May sleep.
///
/// # Safety
///
/// KVM calls this, and holds the file.  The VM is valid until KVM calls this with NULL.
#[no_mangle]
unsafe extern "C" fn vfio_file_set_kvm(file: *mut bindings::file, kvm: *mut bindings::kvm) {
    // SAFETY: By the caller's promise.
    unsafe {
        if let Some(group) = data_of::<Group>(file) {
            group.kvm().set(kvm);
        }
        if let Some(file) = data_of::<DeviceFile>(file) {
            file.kvm().set(kvm);
            file.count_kvm(!kvm.is_null());
        }
    }
}

/// # Safety
///
/// Drivers call this with a valid device.  `next_fsm` may be written.
#[no_mangle]
unsafe extern "C" fn vfio_mig_get_next_state(
    device: *mut bindings::vfio_device,
    cur_fsm: bindings::vfio_device_mig_state,
    new_fsm: bindings::vfio_device_mig_state,
    next_fsm: *mut bindings::vfio_device_mig_state,
) -> c_int {
    // SAFETY: By the caller's promise.
    let device: &Device = unsafe { Device::from_raw(device) };
    match migration::next_state(cur_fsm, new_fsm, device.migration_flags()) {
        Ok(next) => {
            // SAFETY: By the caller's promise.
            unsafe { *next_fsm = next as u32 };
            0
        }
        Err(refused) => {
            warn_on!(refused == migration::TransitionError::Current);
            if refused == migration::TransitionError::NoWay {
                // The C core, too, stores the error state here.  SAFETY: By the caller's promise.
                unsafe { *next_fsm = migration::State::Error as u32 };
            }
            EINVAL.to_errno()
        }
    }
}

/// # Safety
///
/// Drivers call this with a tree of `cur_nodes` nodes that they own.
#[no_mangle]
unsafe extern "C" fn vfio_combine_iova_ranges(
    root: *mut bindings::rb_root_cached,
    cur_nodes: u32,
    req_nodes: u32,
) {
    // SAFETY: By the caller's promise.
    unsafe { iova_ranges::combine(root, cur_nodes, req_nodes) }
}

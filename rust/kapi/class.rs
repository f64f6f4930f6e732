// SPDX-License-Identifier: GPL-2.0-only

//! Device classes and class devices (`include/linux/device/class.h`).

use super::to_result;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{prelude::*, str::as_char_ptr_in_const_context, sync::Arc};

/// The function that names the node of a device below `/dev`.
pub(crate) type Devnode =
    unsafe extern "C" fn(*const bindings::device, *mut bindings::umode_t) -> *mut c_char;

/// Returns an allocated string with the name of the node of `dev`, for a [`Devnode`], or NULL if memory is
/// short.  The `%s` in `format` becomes the device's name.  May sleep.
///
/// # Safety
///
/// `dev` is valid; `format` has one `%s` and no other conversion.
pub(crate) unsafe fn node_name(format: &CStr, dev: *const bindings::device) -> *mut c_char {
    // SAFETY: By the caller's promise.
    unsafe {
        bindings::kasprintf(
            bindings::GFP_KERNEL,
            format.as_char_ptr(),
            bindings::dev_name(dev),
        )
    }
}

/// A static class.
#[repr(transparent)]
pub(crate) struct Class(bindings::class);

// SAFETY: The driver core only reads a class.
unsafe impl Sync for Class {}

impl Class {
    /// # Safety
    ///
    /// `devnode` must follow the contract of `class::devnode`.
    pub(crate) const unsafe fn new(name: &'static CStr, devnode: Devnode) -> Self {
        Self(bindings::class {
            name: as_char_ptr_in_const_context(name),
            devnode: Some(devnode),
            ..pin_init::zeroed()
        })
    }

    pub(crate) fn as_raw(&self) -> *const bindings::class {
        &raw const self.0
    }

    /// Registers the class until the result is dropped.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `EEXIST`: a class of this name exists.
    pub(crate) fn register(&'static self) -> Result<ClassRegistration> {
        // SAFETY: The class is static.
        to_result(unsafe { bindings::class_register(self.as_raw()) })?;
        Ok(ClassRegistration(self))
    }
}

/// A registered class.
pub(crate) struct ClassRegistration(&'static Class);

impl Drop for ClassRegistration {
    fn drop(&mut self) {
        // SAFETY: `Class::register()` registered the class.
        unsafe { bindings::class_unregister(self.0.as_raw()) }
    }
}

/// A class device without parent and driver, and its node in `/dev`.  The device is unregistered on drop.
pub(crate) struct ClassDevice {
    dev: NonNull<bindings::device>,
    /// Dropped after the device is unregistered.
    _class: Arc<ClassRegistration>,
}

// SAFETY: The driver core does its own locking.
unsafe impl Send for ClassDevice {}
// SAFETY: As above.
unsafe impl Sync for ClassDevice {}

impl ClassDevice {
    /// Makes the device `{prefix}{id}` of a class, with the device number `devt`.  May sleep.  The class stays
    /// registered while the device exists.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `EEXIST`: a device of this name exists.
    pub(crate) fn create(
        class: &Arc<ClassRegistration>,
        devt: bindings::dev_t,
        prefix: &CStr,
        id: i32,
    ) -> Result<Self> {
        // SAFETY: The class is registered until the result is dropped.  The format matches its arguments,
        // which are copied.
        let dev = unsafe {
            bindings::device_create(
                class.0.as_raw(),
                core::ptr::null_mut(),
                devt,
                core::ptr::null_mut(),
                c"%s%d".as_char_ptr(),
                prefix.as_char_ptr(),
                id,
            )
        };
        Ok(Self {
            dev: NonNull::new(kernel::error::from_err_ptr(dev)?).ok_or(ENOMEM)?,
            _class: class.clone(),
        })
    }
}

impl Drop for ClassDevice {
    fn drop(&mut self) {
        // SAFETY: Balances `device_create()`.
        unsafe { bindings::device_unregister(self.dev.as_ptr()) }
    }
}

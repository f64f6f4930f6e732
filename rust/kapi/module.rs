// SPDX-License-Identifier: GPL-2.0-only

//! References on modules (`include/linux/module.h`) and the parameters of this one.

use super::series::this_module;
use crate::bindings;
use kernel::{prelude::*, ModuleMetadata};

/// A reference on a module, which keeps its code loaded.
pub(crate) struct ModuleRef(*mut bindings::module);

// SAFETY: A module reference may be put by any task.
unsafe impl Send for ModuleRef {}
// SAFETY: There are no methods that take `&self`.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Takes a reference on the module of the driver that `dev` is bound to.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the module is going away.
    pub(crate) fn of_driver(
        dev: &crate::shared::vfio::Device<crate::shared::vfio::Registered>,
    ) -> Result<Self> {
        let parent = super::device::as_raw(dev.parent());
        // SAFETY: The device is registered with VFIO, so its parent is bound to the driver that
        // registered it: `parent->driver` is set and stays.
        let owner = unsafe { (*(*parent).driver).owner };
        // SAFETY: `owner` is NULL (a built-in driver) or a module that is at least `GOING`, since
        // its driver has not returned from `remove` while the device is registered.
        unsafe { Self::try_get(owner) }.ok_or(ENODEV)
    }

    /// Takes a reference on a module.  None when it is going away.
    ///
    /// # Safety
    ///
    /// `owner` is NULL or a module that has not been freed.
    pub(crate) unsafe fn try_get(owner: *mut bindings::module) -> Option<Self> {
        // SAFETY: By the caller's promise.
        // Made only then: its drop puts the module.
        unsafe { bindings::try_module_get(owner) }.then(|| Self(owner))
    }
}

impl ModuleRef {
    /// Takes a reference on the module that `M` is, whose code this is.  None when it is going away.
    pub(crate) fn of<M: ModuleMetadata>() -> Option<Self> {
        // SAFETY: The module is there while its code runs.
        unsafe { Self::try_get(this_module::<M>().as_ptr()) }
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: `self` owns one reference; NULL is allowed.
        unsafe { bindings::module_put(self.0) }
    }
}

/// The parameter `enable_unsafe_noiommu_mode`, as it is now.
///
/// It can change at any time: read it once for each decision.
pub(crate) fn enable_unsafe_noiommu_mode() -> bool {
    // SAFETY: A plain `bool` of the module's own (params.c), written by the parameter code.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_noiommu) }
}

/// The parameter `max_bound_processes`, as it is now.
///
/// It can change at any time: read it once for each decision.
pub(crate) fn max_bound_processes() -> u32 {
    // SAFETY: A plain `unsigned int` of the module's own (params.c), written by the parameter code.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_max_bound_processes) }
}

/// Prints an informational line without the module's name in front of it.
pub(crate) fn print_info(prefix: &CStr, rest: &str) {
    // SAFETY: The format matches its arguments; the length limits the second.
    unsafe {
        bindings::_printk(
            c"\x016%s%.*s\n".as_char_ptr(),
            prefix.as_char_ptr(),
            rest.len() as c_int,
            rest.as_ptr(),
        );
    }
}

/// Prints an error line without the module's name in front of it.
pub(crate) fn print_error(text: &CStr) {
    // SAFETY: The format matches its argument.
    unsafe { bindings::_printk(c"\x013%s\n".as_char_ptr(), text.as_char_ptr()) };
}

// SPDX-License-Identifier: GPL-2.0-only

//! References on modules (`include/linux/module.h`).

use crate::bindings;

/// A reference on a module, which keeps its code loaded.
pub(crate) struct ModuleRef(*mut bindings::module);

// SAFETY: Any task may put a module reference.
unsafe impl Send for ModuleRef {}
// SAFETY: There are no methods that take `&self`.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Takes a reference on a module.  None if the module is unloading.
    ///
    /// # Safety
    ///
    /// `owner` is NULL or a module that has not been freed.
    pub(crate) unsafe fn try_get(owner: *mut bindings::module) -> Option<Self> {
        // SAFETY: By the caller's promise.  The value is made only after success, because its drop puts the
        // module.
        unsafe { bindings::try_module_get(owner) }.then(|| Self(owner))
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: `self` owns one reference; NULL is allowed.
        unsafe { bindings::module_put(self.0) }
    }
}

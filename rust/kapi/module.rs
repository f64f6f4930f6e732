// SPDX-License-Identifier: GPL-2.0-only

//! References on modules (`include/linux/module.h`).

use super::series::this_module;
use crate::bindings;
use kernel::ModuleMetadata;

/// A reference on a module, which keeps its code loaded.
pub(crate) struct ModuleRef(*mut bindings::module);

// SAFETY: A module reference may be put by any task.
unsafe impl Send for ModuleRef {}
// SAFETY: There are no methods that take `&self`.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
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

// SPDX-License-Identifier: GPL-2.0-only

//! References on virtual machines (`include/linux/kvm_host.h`), without a dependency on the KVM module.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

/// A VM that KVM has assigned to a file.  KVM removes the assignment before the VM is destroyed.
#[derive(Clone, Copy)]
struct KvmPtr(NonNull<bindings::kvm>);

// SAFETY: Any task may use the pointer, under the lock of its slot.
unsafe impl Send for KvmPtr {}

/// The slot in which KVM records the VM of a file.  The slot holds no reference: the lock keeps the VM valid
/// while a reference is taken.
#[pin_data]
pub(crate) struct KvmSlot {
    #[pin]
    kvm: SpinLock<Option<KvmPtr>>,
}

impl KvmSlot {
    /// Returns an empty slot.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self { kvm <- new_spinlock!(None, "KvmSlot::kvm") })
    }

    /// Records the VM `kvm`.  NULL empties the slot.  Takes the lock of the slot.
    ///
    /// # Safety
    ///
    /// The VM is valid until the slot is set to NULL.
    pub(crate) unsafe fn set(&self, kvm: *mut bindings::kvm) {
        *self.kvm.lock() = NonNull::new(kvm).map(KvmPtr);
    }

    /// Takes a reference on the VM.  Returns None if there is no VM, or if the VM is being destroyed.  Takes
    /// the lock of the slot.
    #[inline]
    pub(crate) fn get(&self) -> Option<KvmRef> {
        let kvm = self.kvm.lock();
        // SAFETY: By the promise of `set()`, under the lock that `set()` takes.
        unsafe { KvmRef::get_safe(kvm.as_ref()?.0) }
    }
}

/// A reference on a VM, and on the KVM module, whose code drops the reference on the VM.
pub(crate) struct KvmRef {
    kvm: NonNull<bindings::kvm>,
    put: Symbol<Put>,
}

// SAFETY: Any task that may sleep may put the reference.
unsafe impl Send for KvmRef {}
// SAFETY: No method changes anything through `&self`.
unsafe impl Sync for KvmRef {}

impl KvmRef {
    /// # Safety
    ///
    /// `kvm` is valid; it can be about to be destroyed.
    #[inline(never)]
    unsafe fn get_safe(kvm: NonNull<bindings::kvm>) -> Option<Self> {
        let (put, get) = (Symbol::<Put>::get(), Symbol::<GetSafe>::get());
        // A VM exists, so KVM is loaded.
        crate::kapi::panic::warn_on!(put.is_none() || get.is_none());
        let (put, get) = (put?, get?);
        // SAFETY: By the caller's promise.  The value is made only after success, because its drop puts the
        // VM.
        unsafe { (get.0)(kvm.as_ptr()) }.then(|| Self { kvm, put })
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::kvm {
        self.kvm.as_ptr()
    }
}

impl Drop for KvmRef {
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: `self` owns the reference; the reference on the symbol's module is held.
        unsafe { (self.put.0)(self.kvm.as_ptr()) }
    }
}

/// A function of another module.  This module does not depend on the other module.
///
/// # Safety
///
/// `Pointer` is the type of a pointer to the function `NAME`.
unsafe trait Function {
    const NAME: &'static CStr;
    type Pointer: Copy;
}

/// Drops a reference on a VM.
struct Put;

// SAFETY: This is the type of the function.
unsafe impl Function for Put {
    const NAME: &'static CStr = c"kvm_put_kvm";
    type Pointer = unsafe extern "C" fn(*mut bindings::kvm);
}

/// Takes a reference on a VM, unless the VM is being destroyed.
struct GetSafe;

// SAFETY: This is the type of the function.
unsafe impl Function for GetSafe {
    const NAME: &'static CStr = c"kvm_get_kvm_safe";
    type Pointer = unsafe extern "C" fn(*mut bindings::kvm) -> bool;
}

/// A pointer to a function of another module, with a reference on that module.
struct Symbol<F: Function>(F::Pointer);

impl<F: Function> Symbol<F> {
    /// Looks up the function.  Returns None if no module exports it.
    fn get() -> Option<Self> {
        const { assert!(size_of::<F::Pointer>() == size_of::<*mut c_void>()) };
        // SAFETY: The name is a string.
        let address = NonNull::new(unsafe { bindings::__symbol_get(F::NAME.as_char_ptr()) })?;
        // SAFETY: By the promise of `Function`; a function pointer has the size of an address.
        Some(Self(unsafe {
            core::mem::transmute_copy(&address.as_ptr())
        }))
    }
}

impl<F: Function> Drop for Symbol<F> {
    fn drop(&mut self) {
        // SAFETY: `get()` took the reference.
        unsafe { bindings::__symbol_put(F::NAME.as_char_ptr()) }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! References on virtual machines (`include/linux/kvm_host.h`), without needing KVM to be loaded.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

/// A virtual machine that KVM says belongs to a file.  KVM takes it back before the machine ends.
#[derive(Clone, Copy)]
struct KvmPtr(NonNull<bindings::kvm>);

// SAFETY: The pointer may be used by any task, under the lock of its slot.
unsafe impl Send for KvmPtr {}

/// Where KVM notes the machine that a file belongs to.  No reference is held: the lock keeps the
/// machine while one is taken.
#[pin_data]
pub(crate) struct KvmSlot {
    #[pin]
    kvm: SpinLock<Option<KvmPtr>>,
}

impl KvmSlot {
    /// An empty slot.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self { kvm <- new_spinlock!(None, "KvmSlot::kvm") })
    }

    /// Notes a machine, or with NULL that there is none any more.
    ///
    /// # Safety
    ///
    /// The machine is valid until the slot is set to NULL.
    pub(crate) unsafe fn set(&self, kvm: *mut bindings::kvm) {
        *self.kvm.lock() = NonNull::new(kvm).map(KvmPtr);
    }

    /// A reference on the machine, if there is one and it is not about to end.
    pub(crate) fn get(&self) -> Option<KvmRef> {
        let kvm = self.kvm.lock();
        // SAFETY: By the promise of `set()`, under the lock that it takes.
        unsafe { KvmRef::get_safe(kvm.as_ref()?.0) }
    }
}

/// A reference on a machine, and on the module that ends it.
pub(crate) struct KvmRef {
    kvm: NonNull<bindings::kvm>,
    put: Symbol<unsafe extern "C" fn(*mut bindings::kvm)>,
}

// SAFETY: The reference may be put by any task that may sleep.
unsafe impl Send for KvmRef {}
// SAFETY: There are no methods that change anything by `&self`.
unsafe impl Sync for KvmRef {}

impl KvmRef {
    /// # Safety
    ///
    /// `kvm` is valid, if perhaps about to end.
    unsafe fn get_safe(kvm: NonNull<bindings::kvm>) -> Option<Self> {
        type Put = unsafe extern "C" fn(*mut bindings::kvm);
        type Get = unsafe extern "C" fn(*mut bindings::kvm) -> bool;
        // SAFETY: These are the types of the functions.
        let (put, get) = unsafe {
            (
                Symbol::<Put>::get(c"kvm_put_kvm"),
                Symbol::<Get>::get(c"kvm_get_kvm_safe"),
            )
        };
        // There is a machine, so KVM is loaded.
        crate::kapi::panic::warn_on!(put.is_none() || get.is_none());
        let (put, get) = (put?, get?);
        // SAFETY: By the caller's promise.
        // Made only then: its drop puts the machine.
        unsafe { (get.function)(kvm.as_ptr()) }.then(|| Self { kvm, put })
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::kvm {
        self.kvm.as_ptr()
    }
}

impl Drop for KvmRef {
    fn drop(&mut self) {
        // SAFETY: `self` owns the reference; the symbol's module is held.
        unsafe { (self.put.function)(self.kvm.as_ptr()) }
    }
}

/// A function of a module that is held, though ours does not depend on it.
struct Symbol<F> {
    name: &'static CStr,
    function: F,
}

impl<F: Copy> Symbol<F> {
    /// None when no module has it.
    ///
    /// # Safety
    ///
    /// `F` is the type of the function of that name.
    unsafe fn get(name: &'static CStr) -> Option<Self> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: `name` is a string.
        let address = unsafe { bindings::__symbol_get(name.as_char_ptr()) };
        NonNull::new(address).map(|address| Self {
            name,
            // SAFETY: By the caller's promise; a function pointer is as large as an address.
            function: unsafe { core::mem::transmute_copy(&address.as_ptr()) },
        })
    }
}

impl<F> Drop for Symbol<F> {
    fn drop(&mut self) {
        // SAFETY: `get()` got it.
        unsafe { bindings::__symbol_put(self.name.as_char_ptr()) }
    }
}

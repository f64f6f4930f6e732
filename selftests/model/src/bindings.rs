// SPDX-License-Identifier: GPL-2.0-only

//! The C functions and structures of the kernel.

#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use crate::kapi::cdev::DevT;
use core::{
    cell::Cell,
    ffi::{c_char, c_int, c_void, CStr},
};
use loom::{
    cell::UnsafeCell,
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Relaxed},
    },
};
use std::sync::{atomic::AtomicBool, Mutex};

pub(crate) type vfio_device = crate::shared::vfio::Raw;
pub(crate) type dev_t = DevT;

/// A class device.
pub(crate) struct device {
    pub(crate) devt: dev_t,
    is_added: AtomicBool,
}

impl device {
    pub(crate) fn new() -> Self {
        Self {
            devt: 0,
            is_added: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_added(&self) -> bool {
        self.is_added.load(Relaxed)
    }
}

pub(crate) unsafe fn refcount_set(count: &AtomicU32, value: u32) {
    let before = count.swap(value, Relaxed);
    assert_eq!(before, 0, "a device is registered twice");
}

pub(crate) unsafe fn dev_set_name(
    dev: *mut device,
    _: *const c_char,
    _: *const c_char,
    _: u32,
) -> c_int {
    // SAFETY: The core passes the class device of a device.
    let dev = unsafe { &*dev };
    assert!(!dev.is_added(), "a class device is renamed");
    0
}

pub(crate) unsafe fn device_add(dev: *mut device) -> c_int {
    // SAFETY: As above.
    let dev = unsafe { &*dev };
    let added = dev.is_added.swap(true, Relaxed);
    assert!(!added, "a class device is added twice");
    0
}

pub(crate) unsafe fn device_del(dev: *mut device) {
    // SAFETY: As above.
    let dev = unsafe { &*dev };
    let added = dev.is_added.swap(false, Relaxed);
    assert!(added, "a class device is removed twice");
}

/// A virtual machine.  The memory of the structure stays, so that a use after the machine has ended is found.
pub(crate) struct kvm {
    users: AtomicU32,
    /// Loom reports an access that is not before the end of the machine.
    exists: UnsafeCell<bool>,
    /// Empties the slots of the files, when the last user is gone and the machine exists still.
    empty_slots: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

// SAFETY: Loom checks the accesses.
unsafe impl Send for kvm {}
// SAFETY: As above.
unsafe impl Sync for kvm {}

impl kvm {
    /// Makes a machine with one user.
    pub(crate) fn new() -> Self {
        Self {
            users: AtomicU32::new(1),
            exists: UnsafeCell::new(true),
            empty_slots: Mutex::new(Vec::new()),
        }
    }

    /// `empty` runs when the machine ends.
    pub(crate) fn at_end(&self, empty: impl FnOnce() + Send + 'static) {
        self.empty_slots.lock().unwrap().push(Box::new(empty));
    }

    /// The machine is used, for example by the driver of a device.
    pub(crate) fn assert_exists(&self) {
        assert!(!self.has_ended(), "a machine is used after its end");
    }

    /// Tells whether the machine has ended.
    pub(crate) fn has_ended(&self) -> bool {
        // SAFETY: Loom checks the access.
        self.exists.with(|exists| unsafe { !*exists })
    }
}

pub(crate) unsafe extern "C" fn kvm_get_kvm_safe(kvm: *mut kvm) -> bool {
    // SAFETY: The memory stays.
    let kvm = unsafe { &*kvm };
    kvm.assert_exists();
    let mut users = kvm.users.load(Relaxed);
    while users != 0 {
        match kvm
            .users
            .compare_exchange(users, users + 1, Relaxed, Relaxed)
        {
            Ok(_) => return true,
            Err(now) => users = now,
        }
    }
    false
}

pub(crate) unsafe extern "C" fn kvm_put_kvm(kvm: *mut kvm) {
    // SAFETY: As above.
    let kvm = unsafe { &*kvm };
    kvm.assert_exists();
    if kvm.users.fetch_sub(1, AcqRel) != 1 {
        return;
    }
    let slots = core::mem::take(&mut *kvm.empty_slots.lock().unwrap());
    slots.into_iter().for_each(|empty| empty());
    // SAFETY: Loom checks the access.
    kvm.exists.with_mut(|exists| unsafe { *exists = false });
}

std::thread_local! {
    /// The references on KVM's module, whose functions have been looked up.  All threads of a model are one thread
    /// of the host.
    static SYMBOLS: Cell<i32> = const { Cell::new(0) };
}

/// Returns the number of references on KVM's module.
pub(crate) fn symbol_references() -> i32 {
    SYMBOLS.get()
}

pub(crate) unsafe fn __symbol_get(name: *const c_char) -> *mut c_void {
    SYMBOLS.set(SYMBOLS.get() + 1);
    // SAFETY: The core passes a string.
    match unsafe { CStr::from_ptr(name) }.to_bytes() {
        b"kvm_put_kvm" => kvm_put_kvm as *mut c_void,
        b"kvm_get_kvm_safe" => kvm_get_kvm_safe as *mut c_void,
        _ => unreachable!("KVM has no such function"),
    }
}

pub(crate) unsafe fn __symbol_put(_: *const c_char) {
    SYMBOLS.set(SYMBOLS.get() - 1);
}

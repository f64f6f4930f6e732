// SPDX-License-Identifier: GPL-2.0-only

//! The C functions and structures of the kernel.

#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use crate::kapi::cdev::DevT;
use core::ffi::{c_char, c_int};
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::atomic::AtomicBool;

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

// SPDX-License-Identifier: GPL-2.0-only

//! User memory (`include/linux/uaccess.h`): whole values, once.
//!
//! The kernel crate's cursors (`UserSlice`) serve the same end, at some 35 instructions more for
//! each copy, which is much for ioctls that take 500 in all (see `make bench`).

use super::device::as_raw;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{device::Device, prelude::*, uaccess::UserPtr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Fills `bytes`.
///
/// # Errors
///
/// `EFAULT`.
#[inline]
pub(crate) fn read_bytes(ptr: UserPtr, bytes: &mut [u8]) -> Result {
    // SAFETY: `bytes` may be written; the user's side is checked.
    let left = unsafe {
        bindings::copy_from_user(bytes.as_mut_ptr().cast(), ptr.as_const_ptr(), bytes.len())
    };
    match left {
        0 => Ok(()),
        _ => Err(EFAULT),
    }
}

/// Reads one value.
///
/// # Errors
///
/// `EFAULT`.
#[inline]
pub(crate) fn read<T: FromBytes + IntoBytes>(ptr: UserPtr) -> Result<T> {
    let mut value = T::new_zeroed();
    read_bytes(ptr, value.as_mut_bytes())?;
    Ok(value)
}

/// Writes bytes.
///
/// # Errors
///
/// `EFAULT`; some of it may have been written.
#[inline]
pub(crate) fn write_bytes(ptr: UserPtr, bytes: &[u8]) -> Result {
    // SAFETY: `bytes` may be read; the user's side is checked.
    let left =
        unsafe { bindings::copy_to_user(ptr.as_mut_ptr(), bytes.as_ptr().cast(), bytes.len()) };
    match left {
        0 => Ok(()),
        _ => Err(EFAULT),
    }
}

/// Writes one value.
///
/// # Errors
///
/// `EFAULT`; some of it may have been written.
#[inline]
pub(crate) fn write<T: IntoBytes + Immutable>(ptr: UserPtr, value: &T) -> Result {
    write_bytes(ptr, value.as_bytes())
}

/// Whether the `len` bytes at `ptr` are all zero.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn check_zeroed(ptr: UserPtr, len: usize) -> Result<bool> {
    // SAFETY: `check_zeroed_user()` checks the range itself.
    match unsafe { bindings::check_zeroed_user(ptr.as_const_ptr(), len) } {
        0 => Ok(false),
        ret if ret < 0 => Err(Error::from_errno(ret)),
        _ => Ok(true),
    }
}

/// A string that was copied from user space; freed when dropped.
///
/// # Invariants
///
/// Points to a string that `strndup_user()` made.
pub(crate) struct UserString(NonNull<c_char>);

impl UserString {
    /// Copies a string of at most `limit` bytes, its end among them.
    ///
    /// # Errors
    ///
    /// `EFAULT`; `EINVAL` when it is longer; `ENOMEM`.
    pub(crate) fn read(ptr: UserPtr, limit: usize) -> Result<Self> {
        let limit = limit.try_into().map_err(|_| EINVAL)?;
        // SAFETY: `strndup_user()` checks the user's side itself.
        let copy = unsafe { bindings::strndup_user(ptr.as_const_ptr().cast(), limit) };
        let copy = kernel::error::from_err_ptr(copy)?;
        Ok(Self(NonNull::new(copy).ok_or(ENOMEM)?))
    }

    /// Whether it is the device's name.  Does not take the length of either, for many are asked.
    pub(crate) fn is_name_of(&self, dev: &Device) -> bool {
        // SAFETY: By the type's invariants; the name of a registered device is a string.
        unsafe { bindings::strcmp(bindings::dev_name(as_raw(dev)), self.0.as_ptr()) == 0 }
    }

    /// For drivers that take options apart in place.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_ptr()
    }
}

impl Drop for UserString {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants; `strndup_user()` allocates with `kmalloc()`.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Copies between kernel and user memory (`include/linux/uaccess.h`).  Each function that reads or writes a value does
//! so with one access to user memory.  Only [`UserString::read`] accesses the user's string twice: it measures the
//! string, and then copies and terminates it.
//!
//! The kernel crate's cursors (`UserSlice`) serve the same purpose, but need some 35 instructions more for each
//! copy.  That is a lot for an ioctl that takes 500 instructions in all (see `make bench`).

use super::{buffer::DriverBuffer, device::as_raw};
use crate::bindings;
use core::{mem::MaybeUninit, ptr::NonNull};
use kernel::{device::Device, prelude::*, uaccess::UserPtr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Reads user memory into `bytes`.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be read.
#[inline]
pub(crate) fn read_bytes(ptr: UserPtr, bytes: &mut [u8]) -> Result {
    // SAFETY: `bytes` may be written.
    unsafe { copy_in(bytes.as_mut_ptr().cast(), ptr, bytes.len()) }
}

/// # Safety
///
/// `size` bytes at `to` may be written.
#[inline]
unsafe fn copy_in(to: *mut c_void, from: UserPtr, size: usize) -> Result {
    // SAFETY: By the caller's promise; the function checks the user address.
    match unsafe { bindings::copy_from_user(to, from.as_const_ptr(), size) } {
        0 => Ok(()),
        _ => Err(EFAULT),
    }
}

/// # Safety
///
/// `size` bytes at `from` may be read.  They need not be initialised.
#[inline]
unsafe fn copy_out(to: UserPtr, from: *const c_void, size: usize) -> Result {
    // SAFETY: By the caller's promise; the function checks the user address.
    match unsafe { bindings::copy_to_user(to.as_mut_ptr(), from, size) } {
        0 => Ok(()),
        _ => Err(EFAULT),
    }
}

/// Reads one value.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be read.
#[inline]
pub(crate) fn read<T: FromBytes + Copy>(ptr: UserPtr) -> Result<T> {
    let mut value = MaybeUninit::uninit();
    Ok(*read_into(ptr, &mut value)?)
}

/// Reads one value into `value`, without a copy of it.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be read.
#[inline]
pub(crate) fn read_into<T: FromBytes>(ptr: UserPtr, value: &mut MaybeUninit<T>) -> Result<&mut T> {
    // SAFETY: `value` may be written.
    unsafe { copy_in(value.as_mut_ptr().cast(), ptr, size_of::<T>()) }?;
    // SAFETY: All bytes were written, and any bytes are a `T`.
    Ok(unsafe { value.assume_init_mut() })
}

/// Writes bytes to user memory.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be written; a part may have been written.
#[inline]
pub(crate) fn write_bytes(ptr: UserPtr, bytes: &[u8]) -> Result {
    // SAFETY: `bytes` may be read.
    unsafe { copy_out(ptr, bytes.as_ptr().cast(), bytes.len()) }
}

/// Writes a buffer of C code to user memory.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be written; a part may have been written.
pub(crate) fn write_buffer(ptr: UserPtr, buffer: DriverBuffer<'_>) -> Result {
    // SAFETY: By the type's invariants.
    unsafe { copy_out(ptr, buffer.as_ptr(), buffer.len()) }
}

/// Writes one value.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be written; a part may have been written.
#[inline]
pub(crate) fn write<T: IntoBytes + Immutable>(ptr: UserPtr, value: &T) -> Result {
    write_bytes(ptr, value.as_bytes())
}

/// Tells whether the `len` bytes at `ptr` are all zero.  May sleep.
///
/// # Errors
///
/// - `EFAULT`: the memory cannot be read.
pub(crate) fn check_zeroed(ptr: UserPtr, len: usize) -> Result<bool> {
    // SAFETY: `check_zeroed_user()` checks the user address.
    match unsafe { bindings::check_zeroed_user(ptr.as_const_ptr(), len) } {
        0 => Ok(false),
        ret if ret < 0 => Err(Error::from_errno(ret)),
        _ => Ok(true),
    }
}

/// A string that was copied from user space.  It is freed on drop.
///
/// # Invariants
///
/// Points to a string that `strndup_user()` allocated.
pub(crate) struct UserString(NonNull<c_char>);

impl UserString {
    /// Copies a string of at most `limit` bytes, which include the terminating NUL.  May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the memory cannot be read.
    /// - `EINVAL`: the string is longer.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn read(ptr: UserPtr, limit: usize) -> Result<Self> {
        let limit = limit.try_into().map_err(|_| EINVAL)?;
        // SAFETY: `strndup_user()` checks the user address.
        let copy = unsafe { bindings::strndup_user(ptr.as_const_ptr().cast(), limit) };
        let copy = kernel::error::from_err_ptr(copy)?;
        Ok(Self(NonNull::new(copy).ok_or(ENOMEM)?))
    }

    /// Tells whether the string is the name of the device.  The comparison does not compute the length of the
    /// strings, because a search compares the names of many devices.
    pub(crate) fn is_name_of(&self, dev: &Device) -> bool {
        // SAFETY: By the type's invariants; the name of a device is a string, as for the kernel crate's
        // `Device::name()`.
        unsafe { bindings::strcmp(bindings::dev_name(as_raw(dev)), self.0.as_ptr()) == 0 }
    }

    /// Returns the string, for drivers that parse its options in place.
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

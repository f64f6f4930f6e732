// SPDX-License-Identifier: GPL-2.0-only

//! User memory (`include/linux/uaccess.h`), on top of the kernel crate's cursors.

use crate::bindings;
use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Reads one value.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn read<T: FromBytes + IntoBytes>(ptr: UserPtr) -> Result<T> {
    let mut value = T::new_zeroed();
    UserSlice::new(ptr, size_of::<T>())
        .reader()
        .read_slice(value.as_mut_bytes())?;
    Ok(value)
}

/// Fills `bytes`.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn read_bytes(ptr: UserPtr, bytes: &mut [u8]) -> Result {
    UserSlice::new(ptr, bytes.len()).reader().read_slice(bytes)
}

/// Writes one value.
///
/// # Errors
///
/// `EFAULT`; some of it may have been written.
pub(crate) fn write<T: IntoBytes + Immutable>(ptr: UserPtr, value: &T) -> Result {
    UserSlice::new(ptr, size_of::<T>())
        .writer()
        .write_slice(value.as_bytes())
}

/// Writes bytes.
///
/// # Errors
///
/// `EFAULT`; some of it may have been written.
pub(crate) fn write_bytes(ptr: UserPtr, bytes: &[u8]) -> Result {
    UserSlice::new(ptr, bytes.len()).writer().write_slice(bytes)
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

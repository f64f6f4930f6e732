// SPDX-License-Identifier: GPL-2.0-only

//! Errnos.

use crate::alloc::AllocError;
use core::convert::Infallible;

/// An errno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(i32);

impl Error {
    /// Returns the negative number.
    pub fn to_errno(self) -> i32 {
        self.0
    }

    /// Returns the error of a negative number.
    pub const fn from_errno(errno: i32) -> Self {
        Self(errno)
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

impl From<Infallible> for Error {
    fn from(e: Infallible) -> Self {
        match e {}
    }
}

/// A result with an errno.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// The errnos that the modelled files use.
pub mod code {
    use super::Error;

    macro_rules! errnos {
        ($($name:ident = $number:literal),* $(,)?) => {
            $(#[allow(missing_docs)] pub const $name: Error = Error(-$number);)*
        };
    }

    errnos!(
        EPERM = 1,
        ENOENT = 2,
        ENXIO = 6,
        EBADF = 9,
        ENOMEM = 12,
        EFAULT = 14,
        EBUSY = 16,
        EEXIST = 17,
        ENODEV = 19,
        EINVAL = 22,
        EMFILE = 24,
        ENOTTY = 25,
        ENOSPC = 28,
    );
}

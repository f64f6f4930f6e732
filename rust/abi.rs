// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of the module: file operations, classes, and the functions that `exports.c` exports.
//!
//! There is one file per C source file of the in-tree core.  The exception is `fops`, which has the file
//! operations of both devices and groups.
//!
//! A function here converts its arguments, calls the safe code, and converts the result.  Some functions also
//! check pointers for NULL, or write results through pointers of the driver.  The compiler compares each
//! exported function with its prototype in the kernel's headers.

pub(crate) mod container;
pub(crate) mod fops;
pub(crate) mod group;
#[cfg(CONFIG_IOMMUFD)]
pub(crate) mod iommufd;
pub(crate) mod layout;
pub(crate) mod vfio_main;
#[cfg(CONFIG_VFIO_VIRQFD)]
pub(crate) mod virqfd;

/// Fails to compile unless the functions have the types that the kernel's headers declare.
macro_rules! check_prototypes {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = {
            // Both arms must have the same type, that is, the same signature.
            let _ = if true { crate::bindings::$name } else { $name };
        };)+
    };
}
pub(crate) use check_prototypes;

/// Fails to compile unless threads may share a type.
#[allow(dead_code)] // The lint does not check uses in `const _`.
const fn assert_shared<T: Send + Sync>() {}

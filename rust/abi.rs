// SPDX-License-Identifier: GPL-2.0-only

//! The C face of the module: file operations, classes, and the functions that `exports.c` exports.  One file
//! per C source that it stands in for, but that the operations of files of devices and groups are one
//! file.
//!
//! A function here converts its arguments, calls once into the safe code, and converts the result
//! back.  Each exported one is compared with its prototype in the kernel's headers.

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
            // Both arms must have one type: the same signature.
            let _ = if true { crate::bindings::$name } else { $name };
        };)+
    };
}
pub(crate) use check_prototypes;

/// Fails to compile unless a type may be shared between threads.
#[allow(dead_code)] // The lint does not look into `const _`.
const fn assert_shared<T: Send + Sync>() {}

// SPDX-License-Identifier: GPL-2.0-only

//! Safe wrappers that the `kernel` crate lacks, with one file per C header or per gap in the crate.
//!
//! Each wrapper is a candidate for upstream, with these exceptions: [`series`] has the differences between the
//! versions of Linux that the module supports; [`buffer`] describes the memory of a C caller; the files
//! `no_*.rs` replace wrappers whose kernel option is off.  `unsafe` code is allowed here.  No wrapper knows
//! VFIO.  The wrappers offer references, guards and typed results.  The comment of a type that borrows or
//! shares C data names the lock or reference that keeps it valid.

pub(crate) mod buffer;
pub(crate) mod capability;
pub(crate) mod cdev;
pub(crate) mod class;
pub(crate) mod completion;
pub(crate) mod debugfs;
pub(crate) mod device;
pub(crate) mod eventfd;
pub(crate) mod file;
pub(crate) mod ida;
pub(crate) mod interval_tree;
pub(crate) mod iommu;
pub(crate) mod iommu_sva;
#[cfg_attr(not(CONFIG_IOMMUFD), path = "kapi/no_iommufd.rs")]
pub(crate) mod iommufd;
pub(crate) mod kvm;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod miscdevice;
#[cfg_attr(not(CONFIG_MMU_NOTIFIER), path = "kapi/no_mmu_notifier.rs")]
pub(crate) mod mmu_notifier;
pub(crate) mod module;
pub(crate) mod panic;
pub(crate) mod pm_runtime;
pub(crate) mod printk;
pub(crate) mod ratelimit;
pub(crate) mod sched;
pub(crate) mod series;
pub(crate) mod uaccess;
pub(crate) mod workqueue;

use kernel::{
    error::Result,
    prelude::{Error, EINTR, ERESTARTSYS},
};

/// Converts the return value of a C function: a negative errno is a failure.
///
/// This function is inlined, unlike `kernel::error::to_result()`, so the success path makes no call.
///
/// # Errors
///
/// - The errno that `ret` encodes, if `ret` is negative.
#[inline]
pub(crate) fn to_result(ret: kernel::ffi::c_int) -> Result {
    match ret {
        ret if ret < 0 => Err(Error::from_errno(ret)),
        _ => Ok(()),
    }
}

/// Converts a result to a C return value: 0 or a negative errno.
pub(crate) fn to_int(result: Result) -> kernel::ffi::c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// Converts a result to a C return value: the value or a negative errno.
#[inline]
pub(crate) fn to_isize(result: Result<isize>) -> isize {
    // CAST: The conversion widens.
    result.unwrap_or_else(|e| e.to_errno() as isize)
}

/// Converts the errno of a kernel function that any signal can interrupt, and that has no effect when it is
/// interrupted: `EINTR` becomes `ERESTARTSYS`, so the kernel can restart the system call (`SA_RESTART`).
pub(crate) fn restartable(e: Error) -> Error {
    match e {
        EINTR => ERESTARTSYS,
        e => e,
    }
}

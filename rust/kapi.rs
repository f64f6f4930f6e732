// SPDX-License-Identifier: GPL-2.0-only

//! Safe wrappers that the `kernel` crate lacks, one file per C header or gap in it; each a candidate for
//! upstream.
//!
//! `unsafe` is allowed here.  Nothing here knows VFIO: it offers references, guards and typed results,
//! and says which lock or reference makes each of them true.

pub(crate) mod buffer;
pub(crate) mod capability;
pub(crate) mod cdev;
pub(crate) mod class;
pub(crate) mod completion;
pub(crate) mod debugfs;
pub(crate) mod device;
pub(crate) mod eventfd;
#[cfg(CONFIG_IOMMUFD)]
pub(crate) mod ida;
pub(crate) mod interval_tree;
pub(crate) mod iommu;
pub(crate) mod iommu_sva;
#[cfg_attr(not(CONFIG_IOMMUFD), path = "kapi/no_iommufd.rs")]
pub(crate) mod iommufd;
pub(crate) mod kvm;
pub(crate) mod lock;
pub(crate) mod miscdevice;
#[cfg_attr(not(CONFIG_MMU_NOTIFIER), path = "kapi/no_mmu_notifier.rs")]
pub(crate) mod mmu_notifier;
pub(crate) mod module;
pub(crate) mod panic;
pub(crate) mod pm_runtime;
pub(crate) mod printk;
pub(crate) mod ratelimit;
pub(crate) mod roll;
pub(crate) mod sched;
pub(crate) mod series;
pub(crate) mod uaccess;
pub(crate) mod workqueue;

use kernel::{
    error::{to_result, Result},
    prelude::{Error, EINTR, EINVAL, ERESTARTSYS},
};

/// A C return value of 0 or a negative errno, as the C function gave it.
pub(crate) fn to_int(result: Result) -> kernel::ffi::c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// The errno of a function of the kernel's that stops when any signal comes, and has done nothing
/// then: user space may have the call begun anew (`SA_RESTART`).
pub(crate) fn restartable(e: Error) -> Error {
    match e {
        EINTR => ERESTARTSYS,
        e => e,
    }
}

/// The result of a driver's callback: 0 is success, all else is not.
///
/// # Errors
///
/// The driver's errno; `EINVAL` for a positive number, which is none.
pub(crate) fn callback_result(ret: kernel::ffi::c_int) -> Result {
    match ret {
        ret if ret > 0 => Err(EINVAL),
        ret => to_result(ret),
    }
}

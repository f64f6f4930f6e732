// SPDX-License-Identifier: GPL-2.0-only

//! The part of the kernel crate that the modelled files use.
//!
//! Locks, atomics and reference counts are loom's, so loom runs every interleaving of the threads of a model,
//! and reports a deadlock, a data race and an object that is never dropped.

#![feature(
    arbitrary_self_types,
    allocator_api,
    core_intrinsics,
    const_eval_select
)]
#![allow(internal_features)]
// The interface is that of the kernel crate.
#![allow(clippy::new_without_default)]

pub mod alloc;
pub mod device;
mod error;
pub mod fs;
pub mod mm;
pub mod rbtree;
pub mod sync;
pub mod workqueue;

/// Text.
pub mod fmt {
    pub use core::fmt::*;
}

/// Makes the arguments of a line.
#[macro_export]
macro_rules! fmt {
    ($($arg:tt)*) => { format_args!($($arg)*) };
}

/// A task.
pub struct Task;

impl Task {
    /// Returns the task's address space: no model calls the ioctls that ask for it.
    pub fn mm(&self) -> Option<&mm::MmWithUser> {
        None
    }
}

/// Returns the calling task.
#[macro_export]
macro_rules! current {
    () => {
        &$crate::Task
    };
}

/// The names that every file of the module uses.
pub mod prelude {
    pub use crate::{
        alloc::{Flags, KVec, GFP_KERNEL, GFP_KERNEL_ACCOUNT},
        error::{code::*, Error, Result},
        pr_info, CStrExt,
    };
    pub use core::{
        ffi::{c_int, c_void, CStr},
        pin::Pin,
    };
    pub use pinned_init::{pin_data, pin_init, PinInit};
}

/// The conversion of a string to what C functions take.
pub trait CStrExt {
    /// Returns the address of the first character.
    fn as_char_ptr(&self) -> *const core::ffi::c_char;
}

impl CStrExt for core::ffi::CStr {
    fn as_char_ptr(&self) -> *const core::ffi::c_char {
        self.as_ptr()
    }
}

/// Times, which no model measures.
pub mod time {
    /// A time in ticks.
    pub type Jiffies = u64;

    /// Converts a time in milliseconds.
    pub fn msecs_to_jiffies(msecs: u32) -> Jiffies {
        msecs.into()
    }
}

/// Addresses in user space.
pub mod uaccess {
    /// An address in user space, which the model does not read.
    #[derive(Clone, Copy)]
    pub struct UserPtr;
}

/// Formats the line, and prints nothing.
#[macro_export]
macro_rules! pr_info {
    ($($arg:tt)*) => { { let _ = format_args!($($arg)*); } };
}

/// Formats the line, and prints nothing.
#[macro_export]
macro_rules! dev_warn {
    ($($arg:tt)*) => { $crate::dev_info!($($arg)*) };
}

/// Formats the line, and prints nothing.
#[macro_export]
macro_rules! dev_info {
    ($dev:expr, $($arg:tt)*) => { { let _: &$crate::device::Device = $dev; let _ = format_args!($($arg)*); } };
}

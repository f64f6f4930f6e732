// SPDX-License-Identifier: GPL-2.0-only

//! The generated bindings, which only `kapi/`, `shared/` and `abi/` use.
//!
//! The types of VFIO and of iommufd come from the headers of the kernel tree of the build.  All other types
//! are those of the kernel crate's bindings, so the module and the kernel crate share them.

#![allow(
    clippy::all,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use kernel::ffi;

pub(crate) use kernel::bindings::*;

include!(env!("VFIO_BINDINGS"));

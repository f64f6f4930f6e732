// SPDX-License-Identifier: GPL-2.0-only

//! Generated bindings, quarantined: used by `kapi/` and `abi/` alone.
//!
//! VFIO's and iommufd's types come from the headers of the tree being built against; all others
//! are the kernel crate's own, so that they are the same types.

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

// SPDX-License-Identifier: GPL-2.0-only

//! The module parameters, which C code defines (`params.c`).

use crate::bindings;

/// Returns the current value of the parameter `enable_unsafe_noiommu_mode`.
///
/// The value can change at any time: read it once for each decision.  Takes no lock.
pub(crate) fn enable_unsafe_noiommu_mode() -> bool {
    // SAFETY: The variable exists as long as the module (params.c).  A concurrent write by `param_set_bool()`
    // stores one byte, 0 or 1, and this reads it with one load.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_noiommu) }
}

/// Returns the current value of the parameter `max_bound_processes`.
///
/// The value can change at any time: read it once for each decision.  Takes no lock.
pub(crate) fn max_bound_processes() -> u32 {
    // SAFETY: The variable exists as long as the module (params.c).  A concurrent write by `param_set_uint()` is one
    // store, and this reads it with one load.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_max_bound_processes) }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The module's parameters, which C has (`params.c`).

use crate::bindings;

/// The parameter `enable_unsafe_noiommu_mode`, as it is now.
///
/// It can change at any time: read it once for each decision.
pub(crate) fn enable_unsafe_noiommu_mode() -> bool {
    // SAFETY: A plain `bool` of the module's own (params.c), written by the parameter code.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_noiommu) }
}

/// The parameter `max_bound_processes`, as it is now.
///
/// It can change at any time: read it once for each decision.
pub(crate) fn max_bound_processes() -> u32 {
    // SAFETY: A plain `unsigned int` of the module's own (params.c), written by the parameter code.
    unsafe { core::ptr::read_volatile(&raw const bindings::vfio_max_bound_processes) }
}

// SPDX-License-Identifier: GPL-2.0-only
//! Tests of what a device does however it was opened: by its own file in an iommufd, or by its group in a
//! container.

pub mod device;
pub mod interrupts;
pub mod mediated;
pub mod memory;

use vfio_bindings::bindings::vfio::*;

const INTX: u32 = VFIO_PCI_INTX_IRQ_INDEX;
const MSI: u32 = VFIO_PCI_MSI_IRQ_INDEX;
const MSIX: u32 = VFIO_PCI_MSIX_IRQ_INDEX;

pub const IOVA: u64 = 0x1000_0000;

// SPDX-License-Identifier: GPL-2.0-only

//! The IOMMU of a device can be asked only while a driver is bound to the device.

use crate::kapi::iommu::enforces_coherency;
use kernel::device::{Bound, Device};

fn case(device: &Device, bound: &Device<Bound>) {
    enforces_coherency(bound);
    enforces_coherency(device); //~ E0308
}

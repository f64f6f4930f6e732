// SPDX-License-Identifier: GPL-2.0-only

//! The driver of a container is told of a device under the lock of its set, by its open.

use crate::shared::vfio::{iommu_driver::Instance, Device};

fn case(instance: &Instance, device: &Device) {
    let _ = device.parent();
    instance.register_device(device); //~ E0624
}

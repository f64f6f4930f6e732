// SPDX-License-Identifier: GPL-2.0-only

//! The driver of a container is told of a device under the lock of its set, by its open.

use crate::shared::vfio::{iommu_driver::IommuData, Device};

fn case(data: &IommuData, device: &Device) {
    let _ = device.parent();
    data.register_device(device); //~ E0624
}

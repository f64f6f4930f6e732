// SPDX-License-Identifier: GPL-2.0-only

//! A driver is told of an unmap by iommufd, whose access the device has.

use crate::shared::vfio::Device;

fn case(device: &Device) {
    let _ = device.parent();
    device.dma_unmap(0, 4096); //~ E0624
}

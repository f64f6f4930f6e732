// SPDX-License-Identifier: GPL-2.0-only

//! A driver's `release` is called once, by the drop.

use crate::shared::vfio::InitialisedDevice;

fn case(device: InitialisedDevice) {
    crate::device::release(device);
    drop(device); //~ E0382
}

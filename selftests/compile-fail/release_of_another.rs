// SPDX-License-Identifier: GPL-2.0-only

//! What a driver does not know yet is not released to it.

use crate::shared::vfio::NewDevice;

fn case(device: NewDevice) {
    let unknown = device;
    crate::device::release(unknown); //~ E0308
}

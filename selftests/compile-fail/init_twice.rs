// SPDX-License-Identifier: GPL-2.0-only

//! A driver's `init` is called once.

use crate::shared::vfio::NewDevice;

fn case(device: NewDevice) {
    let _initialised = device.driver_init();
    let _again = device.driver_init(); //~ E0382
}

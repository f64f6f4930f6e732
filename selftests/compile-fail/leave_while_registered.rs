// SPDX-License-Identifier: GPL-2.0-only

//! A device does not leave its set while it can be used.

use crate::shared::vfio::{Device, Registered};

fn case(device: &Device<Registered>) {
    let _guard = device.lock_set();
    let _left = device.leave_set(); //~ E0599
}

// SPDX-License-Identifier: GPL-2.0-only

//! The set's lock is that of a device that is registered, which is in a set.

use crate::shared::vfio::Device;

fn case(device: &Device) {
    let _ = device.parent();
    let _guard = device.lock_set(); //~ E0599
}

// SPDX-License-Identifier: GPL-2.0-only

//! A device is resumed only while a driver is bound to the device.

use crate::kapi::pm_runtime::Powered;
use kernel::device::{Bound, Device};

fn case(device: &Device, bound: &Device<Bound>) {
    let _ = Powered::resume_and_get(bound);
    let _ = Powered::resume_and_get(device); //~ E0308
}

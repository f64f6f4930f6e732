// SPDX-License-Identifier: GPL-2.0-only

//! A guard gives one proof at a time.

use crate::shared::vfio::{Device, Registered};

fn case(device: &Device<Registered>) {
    let mut guard = device.lock_set();
    let one = guard.locked();
    let other = guard.locked(); //~ E0499
    drop(one);
}

// SPDX-License-Identifier: GPL-2.0-only

//! While one task assigns a set to a device, no other does.

use crate::shared::vfio::Registering;

fn case(registering: &mut Registering<'_>) {
    let one = registering.unassigned();
    let other = registering.unassigned(); //~ E0499
    drop(one);
}

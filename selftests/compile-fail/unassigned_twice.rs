// SPDX-License-Identifier: GPL-2.0-only

//! While one task assigns a set to a device, no other does.

use crate::shared::vfio::Owner;

fn case(owner: &mut Owner<'_>) {
    let one = owner.unassigned();
    let other = owner.unassigned(); //~ E0499
    drop(one);
}

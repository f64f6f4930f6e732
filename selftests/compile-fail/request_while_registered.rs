// SPDX-License-Identifier: GPL-2.0-only

//! A driver is asked for the device while the registration ends, and not before.

use crate::shared::vfio::Owner;

fn case(owner: &Owner<'_>) {
    let _ = owner.parent();
    owner.request(0); //~ E0599
}

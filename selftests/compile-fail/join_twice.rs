// SPDX-License-Identifier: GPL-2.0-only

//! A device joins one set.

use crate::shared::vfio::{
    set::{DevSet, Unassigned},
    Registering,
};

fn case(device: Unassigned<'_>, one: &mut DevSet, other: &mut DevSet) {
    one.join(device).enter();
    other.join(device).enter(); //~ E0382
}

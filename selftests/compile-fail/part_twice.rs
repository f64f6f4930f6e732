// SPDX-License-Identifier: GPL-2.0-only

//! A member is counted off once.

use crate::shared::vfio::set::{DevSet, Left};

fn case(set: &mut DevSet, left: Left) {
    set.part(left);
    set.part(left); //~ E0382
}

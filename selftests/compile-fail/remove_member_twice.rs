// SPDX-License-Identifier: GPL-2.0-only

//! A member is counted off once.

use crate::shared::vfio::set::{DevSet, FormerMember};

fn case(set: &mut DevSet, left: FormerMember) {
    set.remove_member(left);
    set.remove_member(left); //~ E0382
}

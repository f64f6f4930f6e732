// SPDX-License-Identifier: GPL-2.0-only

//! A device is on the list of its set once.

use crate::shared::vfio::set::Joined;

fn case(joined: Joined<'_>) {
    joined.enter();
    joined.enter(); //~ E0382
}

// SPDX-License-Identifier: GPL-2.0-only

//! Only what was added is removed.

use crate::shared::vfio::registering::Started;

fn case(started: Started) {
    let _added = started.add(0);
    let _removed = started.remove(); //~ E0599
}

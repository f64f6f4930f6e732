// SPDX-License-Identifier: GPL-2.0-only

//! What was added is removed once.

use crate::shared::vfio::Added;

fn case(added: Added) {
    let _started = added.remove();
    let _again = added.remove(); //~ E0382
}

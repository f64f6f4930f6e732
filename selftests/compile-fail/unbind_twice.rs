// SPDX-License-Identifier: GPL-2.0-only

//! A device is unbound once.

use crate::shared::vfio::opening::LastClose;

fn case(last: LastClose<'_, '_>) {
    let _unbound = last.unbind();
    let _again = last.unbind(); //~ E0382
}

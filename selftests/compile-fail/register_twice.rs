// SPDX-License-Identifier: GPL-2.0-only

//! A device that is registered cannot be registered once more.

use crate::shared::vfio::registering::Ready;

fn case(ready: Ready<'_>) {
    let (_owner, started) = ready.start();
    let _ = started;
    let _again = ready.start(); //~ E0382
}

// SPDX-License-Identifier: GPL-2.0-only

//! A class device is added once.

use crate::shared::vfio::registering::Started;

fn case(started: Started) {
    let _added = started.add(0);
    let _again = started.add(0); //~ E0382
}

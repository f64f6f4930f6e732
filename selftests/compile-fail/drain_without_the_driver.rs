// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for a device's users ends before the driver may free the device.

use crate::shared::vfio::{registering::Started, Owner};

fn case(owner: Owner<'_>, started: Started) {
    let draining = started.end(&owner);
    drop(owner); //~ E0505
    drop(draining);
}

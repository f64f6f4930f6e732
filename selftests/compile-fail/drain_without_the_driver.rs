// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for a device's users ends before the driver may free the device.

use crate::shared::vfio::{registering::Started, Registering};

fn case(registering: Registering<'_>, started: Started) {
    let draining = started.end(&registering);
    drop(registering); //~ E0505
    drop(draining);
}

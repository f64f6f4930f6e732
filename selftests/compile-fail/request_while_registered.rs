// SPDX-License-Identifier: GPL-2.0-only

//! A driver is asked for the device while the registration ends, and not before.

use crate::shared::vfio::Registering;

fn case(registering: &Registering<'_>) {
    let _ = registering.parent();
    registering.request(0); //~ E0599
}

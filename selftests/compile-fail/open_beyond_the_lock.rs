// SPDX-License-Identifier: GPL-2.0-only

//! A first open does not outlive the set's lock.

use crate::shared::vfio::{Device, Registered, RegistrationRef};

fn case(device: &Device<Registered>, registration: RegistrationRef) {
    let mut guard = device.lock_set();
    let mut locked = guard.locked();
    let opening = locked.begin_open(registration);
    drop(guard); //~ E0505
    drop(opening);
}

// SPDX-License-Identifier: GPL-2.0-only

//! A first open keeps the lock's proof to itself.

use crate::shared::vfio::{RegistrationRef, SetLocked};

fn case(locked: &mut SetLocked<'_>, one: RegistrationRef, other: RegistrationRef) {
    let opening = locked.begin_open(one);
    let again = locked.begin_open(other); //~ E0499
    drop(opening);
}

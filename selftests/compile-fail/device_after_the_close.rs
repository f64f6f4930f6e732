// SPDX-License-Identifier: GPL-2.0-only

//! The proof that a device is open is not made after the open has ended.

use crate::shared::vfio::{opening::Opened, SetLocked};

fn case(opened: Opened, locked: &mut SetLocked<'_>) {
    opened.close_locked(locked, |last| drop(last));
    let _ = opened.device(); //~ E0382
}

// SPDX-License-Identifier: GPL-2.0-only

//! Only a driver's callback frees the access that functions such as `vfio_pin_pages()` use without a lock.

use crate::shared::vfio::SetLocked;

fn case(locked: &mut SetLocked<'_>) {
    let _ = locked.device();
    locked.emulated_unbind(); //~ E0133
}

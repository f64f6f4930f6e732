// SPDX-License-Identifier: GPL-2.0-only

//! The iommufd object of a device is not used after a callback that can change it.

use crate::shared::vfio::SetLocked;

fn case(locked: &mut SetLocked<'_>) {
    let bound = locked.iommufd_device();
    locked.physical_detach(); //~ E0502
    if let Some(bound) = bound {
        bound.id();
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! What iommufd knows of a device is seen while the proof of the lock is not used to end it.

use crate::shared::vfio::SetLocked;

fn case(locked: &mut SetLocked<'_>) {
    let access = locked.iommufd_access();
    locked.destroy_access(); //~ E0502
    if let Some(access) = access {
        access.detach();
    }
}

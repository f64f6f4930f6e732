// SPDX-License-Identifier: GPL-2.0-only

//! A driver's `open_device` is called of a device that is bound.

use crate::device::open::OpenedBy;
use crate::shared::vfio::opening::Opening;

fn case(opening: Opening<'_, '_>) {
    let _ = opening.device();
    let _opened = opening.open(OpenedBy::Cdev); //~ E0599
}

// SPDX-License-Identifier: GPL-2.0-only

//! A driver's `open_device` is called once in a first open.

use crate::device::open::OpenedBy;
use crate::shared::vfio::opening::Bound;

fn case(bound: Bound<'_, '_>) {
    let _opened = bound.open(OpenedBy::Cdev);
    let _again = bound.open(OpenedBy::Cdev); //~ E0382
}

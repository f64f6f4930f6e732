// SPDX-License-Identifier: GPL-2.0-only

//! Only what was put into a group is taken out.

use crate::kapi::iommu::{FakeMember, IommuGroup};
use kernel::{device::Device, sync::aref::ARef};

fn case(fake: FakeMember, dev: ARef<Device>) {
    drop(fake);
    let other = FakeMember(dev); //~ E0423
}

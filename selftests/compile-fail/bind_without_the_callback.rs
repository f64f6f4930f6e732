// SPDX-License-Identifier: GPL-2.0-only

//! Only a driver's callback binds the device to an iommufd, because only the core undoes a bind of the driver.

use crate::{kapi::iommufd::Ctx, shared::vfio::SetLocked};

fn case(locked: &mut SetLocked<'_>, ctx: &Ctx) {
    let _ = ctx;
    let _ = locked.physical_bind(ctx); //~ E0133
}

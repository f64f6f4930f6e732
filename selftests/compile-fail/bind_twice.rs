// SPDX-License-Identifier: GPL-2.0-only

//! A driver's `bind_iommufd` is called once in a first open.

use crate::{kapi::iommufd::Ctx, shared::vfio::opening::Opening};

fn case(opening: Opening<'_, '_>, ctx: &Ctx) {
    let _bound = opening.bind_iommufd(ctx);
    let _again = opening.bind_iommufd(ctx); //~ E0382
}

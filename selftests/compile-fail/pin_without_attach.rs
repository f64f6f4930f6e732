// SPDX-License-Identifier: GPL-2.0-only

//! A container driver pins pages only for a group that is attached.

use crate::{
    kapi::{buffer::PageArray, iommu::IommuGroup},
    shared::vfio::iommu_driver::{AttachedGroup, GroupType, IommuData},
};
use kernel::{prelude::*, sync::Arc};

fn case(data: &Arc<IommuData>, group: &IommuGroup, pages: PageArray<'_>) -> Result<c_int> {
    let attached = AttachedGroup::attach(data, group, GroupType::Emulated)?;
    data.pin_pages(0, 0, pages); //~ E0599
    Ok(attached.pin_pages(0, 0, pages))
}

// SPDX-License-Identifier: GPL-2.0-only
//! Devices of one's own, and the address spaces that they are moved to.

use std::sync::Arc;

use anyhow::{ensure, Context, Result};
use iommufd_bindings::iommufd::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID as ALLOC_PASID;
use iommufd_ioctls::IommufdIoas;
use vfio_client::cases::mediated::{mtty, MTTY};
use vfio_client::cases::IOVA;
use vfio_client::device::DmaProbe;
use vfio_client::ensure_errno;
use vfio_client::space::{hwpt, open, space, Ram, PAGE};
use vfio_client::sysfs::{vfio_pci, Mdev, Modules};
use vfio_ioctls::{VfioDevice, VfioIommufd};

/// semantics: 103, 107, 109.  Who opens a device owns it until the end.
pub fn open_and_close() -> Result<()> {
    let path = vfio_pci("EDU0")?;
    for _ in 0..3 {
        let (own, device) = open::<VfioIommufd>("EDU0")?;
        ensure!(
            device.iommufd_dev_id().is_some_and(|id| id > 0),
            "the device has no id"
        );
        ensure_errno!(VfioDevice::new(&path, own.clone(), true), EINVAL);
        ensure_errno!(VfioDevice::new(&path, space()?, true), EINVAL);
    }
    Ok(())
}

/// semantics: 65, 66, 114, 115.  Which address space the device is in.
pub fn attach() -> Result<()> {
    let (space, device) = open::<VfioIommufd>("TESTDEV0")?;
    let probe = DmaProbe::new(&device)?;
    let ram = Ram::new(&[(IOVA, 2)])?;
    ram.map(&space)?;
    let page = IOVA + PAGE as u64;
    ensure!(
        probe.reaches(&ram, IOVA)? && probe.reaches(&ram, page)?,
        "mapped pages are not reached"
    );
    ensure!(
        !probe.writes(&ram, IOVA, page + PAGE as u64)?,
        "a page that is not mapped is reached"
    );

    // An empty address space, then none, then a page table of our own.
    let empty = IommufdIoas::new(Arc::clone(space.iommufd()))?;
    device.attach_hwpt(empty.id())?;
    ensure!(
        !probe.reaches(&ram, IOVA)?,
        "the address space that was left is reached"
    );
    device.attach_hwpt(space.ioas().id())?;
    ensure!(
        probe.reaches(&ram, IOVA)?,
        "the address space it is back in is not reached"
    );
    device.detach_hwpt()?;
    ensure!(
        !probe.reaches(&ram, IOVA)?,
        "memory is reached by a detached device"
    );
    let table = hwpt(&space, device.iommufd_dev_id().context("an id")?, 0)?;
    device.attach_hwpt(table)?;
    ensure!(
        probe.reaches(&ram, IOVA)?,
        "memory is not reached by the page table"
    );
    ensure_errno!(space.iommufd().destroy_iommu_object(table), EBUSY);
    ensure_errno!(device.attach_hwpt(0xffff), ENOENT);
    ram.unmap(&space)?;
    ensure!(!probe.reaches(&ram, IOVA)?, "unmapped memory is reached");

    device.detach_hwpt()?;
    Ok(space.iommufd().destroy_iommu_object(table)?)
}

/// semantics: 67, 68, 112, 115.  PASIDs, as far as an edu without the capability has them.
pub fn pasid() -> Result<()> {
    let (space, device) = open::<VfioIommufd>("EDU0")?;
    let id = device.iommufd_dev_id().context("an id")?;
    // Both page tables must be made for PASIDs: the one that the kernel makes is not.
    ensure_errno!(device.attach_iommufd_pt_pasid(space.ioas().id(), 5), EINVAL);
    let tables = [
        hwpt(&space, id, ALLOC_PASID)?,
        hwpt(&space, id, ALLOC_PASID)?,
    ];
    ensure_errno!(device.attach_iommufd_pt_pasid(tables[1], 5), EINVAL);
    device.attach_hwpt(tables[0])?;
    device.attach_iommufd_pt_pasid(tables[1], 5)?;
    ensure_errno!(space.iommufd().destroy_iommu_object(tables[1]), EBUSY);
    device.attach_iommufd_pt_pasid(tables[0], 5)?;
    space.iommufd().destroy_iommu_object(tables[1])?;
    device.detach_iommufd_pt_pasid(5)?;
    // Nothing attached is no error.
    device.detach_iommufd_pt_pasid(5)?;
    device.detach_hwpt()?;
    Ok(space.iommufd().destroy_iommu_object(tables[0])?)
}

/// semantics: 71, 112, 114, 115.  A mediated device moves, too; its PASIDs are nobody's.
pub fn mediated_attach() -> Result<()> {
    let _modules = Modules::new(&["mdev", "mtty"])?;
    let mdev = Mdev::new(MTTY, "mtty-1", "6f8f8c0e-3a86-4d0c-9d57-2f4f0d1b6a05")?;
    let space = space()?;
    let device = mtty(&mdev, &space)?;
    ensure_errno!(
        device.attach_iommufd_pt_pasid(space.ioas().id(), 1),
        EOPNOTSUPP
    );
    ensure_errno!(device.detach_iommufd_pt_pasid(1), EOPNOTSUPP);
    ensure_errno!(device.attach_hwpt(0xffff), ENOENT);
    let other = IommufdIoas::new(Arc::clone(space.iommufd()))?;
    device.attach_hwpt(other.id())?;
    ensure_errno!(space.iommufd().destroy_iommu_object(other.id()), EBUSY);
    device.detach_hwpt()?;
    Ok(())
}

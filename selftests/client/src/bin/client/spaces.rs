// SPDX-License-Identifier: GPL-2.0-only
//! Address spaces, and the DMA that goes through them.

use std::sync::Arc;

use anyhow::{ensure, Context, Result};
use iommufd_bindings::iommufd::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID as ALLOC_PASID;
use iommufd_ioctls::IommufdIoas;
use vfio_client::device::{Edu, Oracle};
use vfio_client::ensure_errno;
use vfio_client::space::{hwpt, Ram, PAGE};
use vfio_client::sysfs::vfio_pci;
use vfio_ioctls::VfioDevice;

use crate::{open, IOVA};

/// semantics: 65.  Memory, in and out by the device's own hand.
pub fn dma() -> Result<()> {
    let (space, device) = open("EDU0")?;
    let edu = Edu::new(&device)?;
    let ram = Ram::new(&[(IOVA, 1), (2 * IOVA, 1)])?;
    let data: Vec<u8> = (0..PAGE).map(|i| (i * 7 + i / 256) as u8).collect();
    ram.write(IOVA, &data)?;
    ram.map(&space)?;
    edu.dma_in(IOVA, PAGE)?;
    edu.dma_out(2 * IOVA, PAGE)?;
    ensure!(
        ram.read(2 * IOVA, PAGE)? == data,
        "what came out is not what went in"
    );

    // What is unmapped keeps what it has.
    let other = vec![0x33; PAGE];
    ram.write(2 * IOVA, &other)?;
    ram.unmap(&space)?;
    edu.dma_out(2 * IOVA, PAGE)?;
    ensure!(
        ram.read(2 * IOVA, PAGE)? == other,
        "DMA got to memory that is unmapped"
    );
    Ok(())
}

/// semantics: 65, 66, 114, 115.  Which address space the device is in.
pub fn attach() -> Result<()> {
    let (space, device) = open("TESTDEV0")?;
    let oracle = Oracle::new(&device)?;
    let ram = Ram::new(&[(IOVA, 2)])?;
    ram.map(&space)?;
    let page = IOVA + PAGE as u64;
    ensure!(
        oracle.reaches(&ram, IOVA)? && oracle.reaches(&ram, page)?,
        "mapped pages are not reached"
    );
    ensure!(
        !oracle.writes(&ram, IOVA, page + PAGE as u64)?,
        "a page that is not mapped is reached"
    );

    // An empty address space, then none, then a page table of our own.
    let empty = IommufdIoas::new(Arc::clone(space.iommufd()))?;
    device.attach_hwpt(empty.id())?;
    ensure!(
        !oracle.reaches(&ram, IOVA)?,
        "the address space that was left is reached"
    );
    device.attach_hwpt(space.ioas().id())?;
    ensure!(
        oracle.reaches(&ram, IOVA)?,
        "the address space it is back in is not reached"
    );
    device.detach_hwpt()?;
    ensure!(
        !oracle.reaches(&ram, IOVA)?,
        "memory is reached by a detached device"
    );
    let table = hwpt(&space, device.iommufd_dev_id().context("an id")?, 0)?;
    device.attach_hwpt(table)?;
    ensure!(
        oracle.reaches(&ram, IOVA)?,
        "memory is not reached by the page table"
    );
    ensure_errno!(space.iommufd().destroy_iommu_object(table), EBUSY);
    ensure_errno!(device.attach_hwpt(0xffff), ENOENT);
    ram.unmap(&space)?;
    ensure!(!oracle.reaches(&ram, IOVA)?, "unmapped memory is reached");

    device.detach_hwpt()?;
    Ok(space.iommufd().destroy_iommu_object(table)?)
}

/// semantics: 65, 109, 116.  Two devices in one address space; one that goes takes nothing with it.
pub fn two_devices() -> Result<()> {
    let (space, first) = open("TESTDEV0")?;
    let second = VfioDevice::new(&vfio_pci("TESTDEV1")?, space.clone(), true)?;
    ensure!(
        first.iommufd_dev_id() != second.iommufd_dev_id(),
        "two devices with one id"
    );
    let (one, two) = (Oracle::new(&first)?, Oracle::new(&second)?);
    let ram = Ram::new(&[(IOVA, 1)])?;
    ram.map(&space)?;
    ensure!(
        one.reaches(&ram, IOVA)? && two.reaches(&ram, IOVA)?,
        "not both devices reach the memory"
    );
    drop((two, second));
    ensure!(
        one.reaches(&ram, IOVA)?,
        "the device that stayed has lost its memory"
    );
    Ok(())
}

/// semantics: 67, 68, 112, 115.  PASIDs, as far as an edu without the capability has them.
pub fn pasid() -> Result<()> {
    let (space, device) = open("EDU0")?;
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

// SPDX-License-Identifier: GPL-2.0-only
//! DMA to memory that was given to devices.

use anyhow::{ensure, Result};
use vfio_ioctls::VfioDevice;

use super::IOVA;
use crate::device::{DmaProbe, Edu};
use crate::space::{open, Ram, Space, PAGE};
use crate::sysfs::vfio_pci;

/// semantics: 65.  Memory, in and out by the device's own hand.
pub fn dma<S: Space>() -> Result<()> {
    let (space, device) = open::<S>("EDU0")?;
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

/// semantics: 65, 109, 116.  Two devices in one address space; one that goes takes nothing with it.
pub fn two_devices<S: Space>() -> Result<()> {
    let (space, first) = open::<S>("TESTDEV0")?;
    let second = VfioDevice::new(&vfio_pci("TESTDEV1")?, space.clone(), true)?;
    ensure!(
        first.iommufd_dev_id().is_none() || first.iommufd_dev_id() != second.iommufd_dev_id(),
        "two devices with one id"
    );
    let (one, two) = (DmaProbe::new(&first)?, DmaProbe::new(&second)?);
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

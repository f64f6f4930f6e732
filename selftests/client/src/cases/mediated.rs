// SPDX-License-Identifier: GPL-2.0-only
//! Mediated devices, migration, the logging of DMA.

use std::sync::Arc;

use anyhow::Result;
use vfio_bindings::bindings::vfio::*;
use vfio_ioctls::{DmaLoggingRange, VfioDevice};

use super::IOVA;
use crate::device::{arrives, config_u16, events, BAR0};
use crate::space::{open, Space, PAGE};
use crate::sysfs::{Mdev, Modules};
use crate::tap::complaints;
use crate::{ensure_eq, ensure_errno};

pub const MTTY: &str = "/sys/devices/virtual/mtty/mtty";
const SCRATCH: u64 = 7;

/// A serial port that is a mediated device.  The crate asks for three kinds of interrupts that mtty does
/// not have, and logs that.
pub fn mtty<S: Space>(mdev: &Mdev, space: &Arc<S>) -> Result<VfioDevice> {
    let device = VfioDevice::new(mdev.path(), space.clone(), true)?;
    ensure_eq!(
        complaints(),
        [2, 3, 4].map(|index| format!("Could not get VFIO IRQ info for index {index}"))
    );
    Ok(device)
}

/// semantics: 122, 173.  An emulated device is a device, too.
pub fn mediated<S: Space>() -> Result<()> {
    let _modules = Modules::new(&["mdev", "mtty"])?;
    let mdev = Mdev::new(MTTY, "mtty-1", "6f8f8c0e-3a86-4d0c-9d57-2f4f0d1b6a01")?;
    let space = S::create(None)?;
    for value in [0x5a, 0xa5] {
        let device = mtty(&mdev, &space)?;
        ensure_eq!(
            [config_u16(&device, 0), config_u16(&device, 2)],
            [0x4348, 0x3253]
        );
        device.region_write(BAR0, &[value], SCRATCH);
        let mut byte = [0];
        device.region_read(BAR0, &mut byte, SCRATCH);
        ensure_eq!(byte, [value]);
        // A level of text in the FIFO is an event.
        let [event] = events()?;
        device.enable_msi(vec![&event])?;
        device.region_write(BAR0, &[1], 2);
        device.region_write(BAR0, &[1], 1);
        device.region_write(BAR0, b"x", 0);
        arrives(&event)?;
        device.region_read(BAR0, &mut byte, 0);
        ensure_eq!(byte, *b"x");
        device.region_write(BAR0, &[0], 1);
        device.disable_msi()?;
    }
    Ok(())
}

/// semantics: 134, 135, 136, 137.  One device becomes what the other was, while that runs, and stopped.
pub fn migration<S: Space>() -> Result<()> {
    const RUNNING: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_RUNNING;
    const STOP: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_STOP;
    const STOP_COPY: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_STOP_COPY;
    const RESUMING: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_RESUMING;
    const PRE_COPY: u32 = vfio_device_mig_state_VFIO_DEVICE_STATE_PRE_COPY;
    let _modules = Modules::new(&["mdev", "mtty"])?;
    let mdevs = [
        Mdev::new(MTTY, "mtty-2", "6f8f8c0e-3a86-4d0c-9d57-2f4f0d1b6a02")?,
        Mdev::new(MTTY, "mtty-2", "6f8f8c0e-3a86-4d0c-9d57-2f4f0d1b6a03")?,
    ];
    let space = S::create(None)?;
    let (from, to) = (mtty(&mdevs[0], &space)?, mtty(&mdevs[1], &space)?);
    let all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
    ensure_eq!(from.query_migration_support()?, Some(u64::from(all)));
    ensure_eq!(from.get_migration_state()?, RUNNING);

    for (value, running) in [(0x11_u8, false), (0x22, true)] {
        let mut data = Vec::new();
        from.region_write(BAR0, &[!value], SCRATCH);
        if running {
            from.set_migration_state(PRE_COPY)?;
            let info = from.mig_get_precopy_info()?;
            data = from.read_migration_data_to_end()?;
            ensure_eq!(info.initial_bytes, data.len() as u64);
        }
        from.region_write(BAR0, &[value], SCRATCH);
        from.set_migration_state(STOP_COPY)?;
        data.extend(from.read_migration_data_to_end()?);
        ensure_eq!(data.len() as u64, from.get_mig_data_size()?);
        from.set_migration_state(STOP)?;

        to.region_write(BAR0, &[0], SCRATCH);
        to.set_migration_state(RESUMING)?;
        to.write_migration_data(&data)?;
        to.set_migration_state(RUNNING)?;
        let mut byte = [0];
        to.region_read(BAR0, &mut byte, SCRATCH);
        ensure_eq!(byte, [value]);
        from.set_migration_state(RUNNING)?;
    }
    ensure_errno!(from.set_migration_state(99), EINVAL);
    Ok(())
}

/// semantics: 131, 138.  The logging of DMA: mtty does none, edu cannot log.
pub fn dma_logging<S: Space>() -> Result<()> {
    let ranges = [0, IOVA, 2 * IOVA].map(|iova| DmaLoggingRange {
        iova,
        length: 128 * PAGE as u64,
    });
    {
        let _modules = Modules::new(&["mdev", "mtty"])?;
        let mdev = Mdev::new(MTTY, "mtty-1", "6f8f8c0e-3a86-4d0c-9d57-2f4f0d1b6a04")?;
        let space = S::create(None)?;
        let device = mtty(&mdev, &space)?;
        ensure_eq!(device.start_dma_logging(PAGE as u64, &ranges)?, PAGE as u64);
        ensure_eq!(device.report_dma_logging(ranges[1], PAGE as u64)?, [0, 0]);
        device.stop_dma_logging()?;
        let overlapping = [ranges[0], ranges[0]];
        ensure_errno!(device.start_dma_logging(PAGE as u64, &overlapping), EINVAL);
    }
    let (_space, device) = open::<S>("EDU0")?;
    ensure_errno!(device.start_dma_logging(PAGE as u64, &ranges), ENOTTY);
    Ok(())
}

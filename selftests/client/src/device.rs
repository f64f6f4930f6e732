// SPDX-License-Identifier: GPL-2.0-only
//! The devices of the test VM: registers, QEMU's edu, its probe of DMA, events.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Result};
use vfio_bindings::bindings::vfio::{VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX};
use vfio_ioctls::VfioDevice;
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EventFd, EFD_NONBLOCK};

use crate::space::Ram;

pub const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
pub const BAR0: u32 = VFIO_PCI_BAR0_REGION_INDEX;

/// How long an event that must come may take: a hang, not a measure.
const EVENT: Duration = Duration::from_secs(120);

/// A register of the configuration space, of as many bytes as the type has.
pub fn config_u16(device: &VfioDevice, offset: u64) -> u16 {
    let mut data = [0; 2];
    device.region_read(CONFIG, &mut data, offset);
    u16::from_le_bytes(data)
}

/// Decoding of memory, DMA, and INTx, all on.
pub fn enable(device: &VfioDevice) {
    const COMMAND: u64 = 4;
    const MEMORY_AND_MASTER: u16 = 0x6;
    const INTX_DISABLE: u16 = 0x400;
    let command = (config_u16(device, COMMAND) | MEMORY_AND_MASTER) & !INTX_DISABLE;
    device.region_write(CONFIG, &command.to_le_bytes(), COMMAND);
}

/// A region, mapped.
pub struct Bar(MmapRegion<()>);

impl Bar {
    pub fn new(device: &VfioDevice, index: u32) -> Result<Self> {
        // SAFETY: the device keeps its descriptor open for as long as this one is used.
        let fd = unsafe { BorrowedFd::borrow_raw(device.as_raw_fd()) };
        let file = FileOffset::new(
            File::from(fd.try_clone_to_owned()?),
            device.get_region_offset(index),
        );
        Ok(Self(MmapRegion::from_file(
            file,
            device.get_region_size(index) as usize,
        )?))
    }

    pub fn read(&self, offset: usize) -> u32 {
        let word = self.0.get_slice(offset, 4).expect("an offset in the BAR");
        u32::from_le(word.load(0, Ordering::Relaxed).expect("an aligned offset"))
    }

    pub fn write(&self, offset: usize, value: u32) {
        let word = self.0.get_slice(offset, 4).expect("an offset in the BAR");
        word.store(value.to_le(), 0, Ordering::Relaxed)
            .expect("an aligned offset");
    }

    /// Both halves of an address, the lower one first.
    fn write_address(&self, offsets: [usize; 2], value: u64) {
        self.write(offsets[0], value as u32);
        self.write(offsets[1], (value >> 32) as u32);
    }
}

/// QEMU's edu: registers, one interrupt, a DMA engine with a buffer of a page.
pub struct Edu(pub Bar);

impl Edu {
    pub const ID: usize = 0x00;
    pub const LIVENESS: usize = 0x04;
    pub const FACTORIAL: usize = 0x08;
    pub const STATUS: usize = 0x20;
    const IRQ_STATUS: usize = 0x24;
    const IRQ_RAISE: usize = 0x60;
    const IRQ_ACK: usize = 0x64;
    const DMA_SOURCE: [usize; 2] = [0x80, 0x84];
    const DMA_TARGET: [usize; 2] = [0x88, 0x8c];
    const DMA_COUNT: usize = 0x90;
    const DMA_COMMAND: usize = 0x98;
    const DMA_RUN: u32 = 1;
    const DMA_TO_RAM: u32 = 2;
    /// Where the device has its page.
    const BUFFER: u64 = 0x40000;

    pub fn new(device: &VfioDevice) -> Result<Self> {
        enable(device);
        let edu = Self(Bar::new(device, BAR0)?);
        ensure!(edu.0.read(Self::ID) & 0xff == 0xed, "this is no edu");
        Ok(edu)
    }

    pub fn raise(&self, value: u32) {
        self.0.write(Self::IRQ_RAISE, value);
    }

    /// Takes the interrupt back and returns what it was raised with.
    pub fn acknowledge(&self) -> u32 {
        let status = self.0.read(Self::IRQ_STATUS);
        self.0.write(Self::IRQ_ACK, status);
        status
    }

    fn dma(&self, source: u64, target: u64, size: usize, command: u32) -> Result<()> {
        self.0.write_address(Self::DMA_SOURCE, source);
        self.0.write_address(Self::DMA_TARGET, target);
        self.0.write(Self::DMA_COUNT, size as u32);
        self.0.write(Self::DMA_COMMAND, command | Self::DMA_RUN);
        let start = Instant::now();
        while self.0.read(Self::DMA_COMMAND) & Self::DMA_RUN != 0 {
            ensure!(start.elapsed() < EVENT, "the DMA does not end");
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// From an address to the device's page.
    pub fn dma_in(&self, at: u64, size: usize) -> Result<()> {
        self.dma(at, Self::BUFFER, size, 0)
    }

    /// From the device's page to an address.  The device does not say if the IOMMU refused it.
    pub fn dma_out(&self, at: u64, size: usize) -> Result<()> {
        self.dma(Self::BUFFER, at, size, Self::DMA_TO_RAM)
    }
}

/// QEMU's iommu-testdev: one read of a register makes it write through the IOMMU, and it says what came
/// of that.
pub struct DmaProbe(Bar);

impl DmaProbe {
    const TRIGGER: usize = 0x00;
    const IOVA: [usize; 2] = [0x04, 0x08];
    const LENGTH: usize = 0x0c;
    const RESULT: usize = 0x10;
    const DOORBELL: usize = 0x14;
    const PHYSICAL: [usize; 2] = [0x1c, 0x20];
    const OK: u32 = 0;
    const FAULT: u32 = 0xdead_0002;
    const PATTERN: u32 = 0x1234_5678;

    pub fn new(device: &VfioDevice) -> Result<Self> {
        enable(device);
        Ok(Self(Bar::new(device, BAR0)?))
    }

    /// Lets the device write at `at`, where `ram` has memory, by the address `iova`; true if that arrived,
    /// false if the IOMMU refused it.
    pub fn writes(&self, ram: &Ram, at: u64, iova: u64) -> Result<bool> {
        ram.write(at, &[0; 4])?;
        self.0.write_address(Self::IOVA, iova);
        self.0.write(Self::LENGTH, 16);
        self.0.write_address(Self::PHYSICAL, ram.physical(at)?);
        self.0.write(Self::DOORBELL, 1);
        self.0.read(Self::TRIGGER);
        match (self.0.read(Self::RESULT), ram.word(at)?) {
            (Self::OK, Self::PATTERN) => Ok(true),
            (Self::FAULT, 0) => Ok(false),
            (result, word) => bail!("DMA to {iova:#x}: result {result:#x}, memory {word:#x}"),
        }
    }

    /// The same where both addresses are one.
    pub fn reaches(&self, ram: &Ram, at: u64) -> Result<bool> {
        self.writes(ram, at, at)
    }
}

/// Events of interrupts.
pub fn events<const N: usize>() -> Result<[EventFd; N]> {
    let events: Vec<_> = (0..N)
        .map(|_| EventFd::new(EFD_NONBLOCK))
        .collect::<Result<_, _>>()?;
    Ok(events.try_into().expect("as many as were made"))
}

/// Has none come?
pub fn quiet(event: &EventFd) -> bool {
    event
        .read()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Waits for an event and takes it; fails if more than one came.
pub fn arrives(event: &EventFd) -> Result<()> {
    let epoll = Epoll::new()?;
    epoll.ctl(
        ControlOperation::Add,
        event.as_raw_fd(),
        EpollEvent::new(EventSet::IN, 0),
    )?;
    let count = epoll.wait(EVENT.as_millis() as i32, &mut [EpollEvent::default()])?;
    ensure!(count == 1, "no event came");
    let count = event.read()?;
    ensure!(count == 1, "{count} events came");
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only
//! The device: its capabilities, its registers, its DMA and its interrupts.

use std::fs::File;
use std::io::{self, Write};

use vfio_bindings::bindings::vfio::*;
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

use crate::config::{self, Config};
use crate::memory::{self, Memory};

const VENDOR: u16 = 0x1234;
/// The device's number says what it has, so that its user need not look.
const DEVICE: u16 = 0x5340;

/// What a device may have, and what it adds to the number.
#[derive(Clone, Copy, Default)]
pub struct Features {
    /// Address Translation Services
    pub ats: bool,
    /// Page requests, whose answers come with a PASID
    pub pri: bool,
    /// Page requests, whose answers come without: Linux leaves them off if there are PASIDs.
    pub pri_without_pasid: bool,
    /// Process Address Space IDs
    pub pasid: bool,
    /// Isolation from the other functions of the device, which the host can switch on and off.
    /// Not in the number, as the next.
    pub acs: bool,
    /// Interrupts by MSI-X
    pub msix: bool,
}

impl Features {
    fn number(&self) -> u16 {
        DEVICE
            | u16::from(self.ats)
            | (u16::from(self.pri) << 1)
            | (u16::from(self.pasid) << 2)
            | (u16::from(self.pri_without_pasid) << 3)
    }
}

/// Of BAR 0: registers, a buffer, and MSI-X with its table and its pending bits.
const BAR_SIZE: u64 = 0x4000;
const BUFFER: u64 = 0x1000;
const BUFFER_SIZE: usize = 0x1000;
const MSIX_TABLE: u32 = 0x2000;
const MSIX_PENDING: u32 = 0x3000;
const VECTORS: u16 = 4;

/// Registers, of 32 bits each.  selftests/lib/svadev.h has them, too.
const REG_ID: u64 = 0x00;
const REG_SCRATCH: u64 = 0x04;
const REG_DMA_LOW: u64 = 0x08;
const REG_DMA_HIGH: u64 = 0x0c;
const REG_DMA_LEN: u64 = 0x10;
const REG_DMA_RUN: u64 = 0x14;
const REG_DMA_RESULT: u64 = 0x18;
const REG_INTERRUPT: u64 = 0x1c;

const ID: u32 = 0x5356_4100;
/// To `REG_DMA_RUN`: the buffer to memory, and back.
const DMA_WRITE: u32 = 1;
const DMA_READ: u32 = 2;
/// In `REG_DMA_RESULT`: 0 until the first.
const DMA_DONE: u32 = 1;
const DMA_FAULT: u32 = 2;
const DMA_INVALID: u32 = 3;

const COMMAND: usize = 0x04;
const COMMAND_MASTER: u16 = 1 << 2;
const DEVCTL_FLR: u16 = 1 << 15;
const PRI_ENABLE: u16 = 1;
/// Answers with PASIDs; and no request is in flight, which is so while none are allowed.
const PRI_PASID: u16 = 1 << 15;
const PRI_STOPPED: u16 = 1 << 8;

#[derive(Default)]
struct Registers {
    scratch: u32,
    dma_address: u64,
    dma_len: u32,
    dma_result: u32,
}

pub struct Device {
    features: Features,
    config: Config,
    /// Of the PCI Express and the PRI capability.
    express: usize,
    page_requests: Option<usize>,
    registers: Registers,
    buffer: Vec<u8>,
    memory: Memory,
    vectors: [Option<File>; VECTORS as usize],
}

impl Device {
    pub fn new(features: Features) -> Self {
        let mut config = Config::new();
        header(&mut config, &features);
        power_management(&mut config);
        if features.msix {
            msix(&mut config);
        }
        let express = express(&mut config);
        let page_requests = extended(&mut config, &features);
        Self {
            features,
            config,
            express,
            page_requests,
            registers: Registers::default(),
            buffer: vec![0; BUFFER_SIZE],
            memory: Memory::default(),
            vectors: [const { None }; VECTORS as usize],
        }
    }

    pub fn regions() -> Vec<ServerRegion> {
        (0..VFIO_PCI_NUM_REGIONS)
            .map(|index| {
                let size = match index {
                    VFIO_PCI_BAR0_REGION_INDEX => BAR_SIZE,
                    VFIO_PCI_CONFIG_REGION_INDEX => config::SIZE as u64,
                    _ => 0,
                };
                let access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
                ServerRegion {
                    region_info: vfio_region_info {
                        argsz: size_of::<vfio_region_info>() as u32,
                        flags: if size > 0 { access } else { 0 },
                        index,
                        size,
                        ..Default::default()
                    },
                    sparse_areas: Vec::new(),
                    mmap_fd: None,
                }
            })
            .collect()
    }

    pub fn interrupts(features: &Features) -> Vec<IrqInfo> {
        (0..VFIO_PCI_NUM_IRQS)
            .map(|index| {
                let is_msix = features.msix && index == VFIO_PCI_MSIX_IRQ_INDEX;
                IrqInfo {
                    index,
                    flags: if is_msix { VFIO_IRQ_INFO_EVENTFD } else { 0 },
                    count: if is_msix { VECTORS.into() } else { 0 },
                }
            })
            .collect()
    }

    /// To the state after power-on.  What is mapped, and who hears of interrupts, is not the
    /// device's to forget.
    fn power_on(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let vectors = std::mem::take(&mut self.vectors);
        *self = Self {
            memory,
            vectors,
            ..Self::new(self.features)
        };
    }

    fn config_written(&mut self) {
        if self.config.u16(self.express + 0x08) & DEVCTL_FLR != 0 {
            self.power_on();
            return;
        }
        if let Some(at) = self.page_requests {
            let stopped = if self.config.u16(at + 0x04) & PRI_ENABLE == 0 {
                PRI_STOPPED
            } else {
                0
            };
            let status = self.config.u16(at + 0x06) & !PRI_STOPPED | stopped;
            self.config.set_u16(at + 0x06, status, 0);
        }
    }

    fn is_master(&self) -> bool {
        self.config.u16(COMMAND) & COMMAND_MASTER != 0
    }

    fn register(&self, at: u64) -> u32 {
        match at {
            REG_ID => ID,
            REG_SCRATCH => self.registers.scratch,
            REG_DMA_LOW => self.registers.dma_address as u32,
            REG_DMA_HIGH => (self.registers.dma_address >> 32) as u32,
            REG_DMA_LEN => self.registers.dma_len,
            REG_DMA_RESULT => self.registers.dma_result,
            _ => u32::MAX,
        }
    }

    fn set_register(&mut self, at: u64, value: u32) -> io::Result<()> {
        let address = self.registers.dma_address;
        match at {
            REG_SCRATCH => self.registers.scratch = value,
            REG_DMA_LOW => self.registers.dma_address = (address >> 32 << 32) | u64::from(value),
            REG_DMA_HIGH => {
                self.registers.dma_address =
                    address & u64::from(u32::MAX) | (u64::from(value) << 32)
            }
            REG_DMA_LEN => self.registers.dma_len = value,
            REG_DMA_RUN => self.registers.dma_result = self.dma(value)?,
            REG_INTERRUPT => self.interrupt(value)?,
            _ => (),
        }
        Ok(())
    }

    fn dma(&mut self, command: u32) -> io::Result<u32> {
        let address = self.registers.dma_address;
        let Some(data) = self.buffer.get_mut(..self.registers.dma_len as usize) else {
            return Ok(DMA_INVALID);
        };
        if self.config.u16(COMMAND) & COMMAND_MASTER == 0 {
            return Ok(DMA_FAULT);
        }
        let done = match command {
            DMA_WRITE => self.memory.write(address, data)?,
            DMA_READ => self.memory.read(address, data)?,
            _ => return Ok(DMA_INVALID),
        };
        Ok(if done { DMA_DONE } else { DMA_FAULT })
    }

    /// A message is a write to memory, too.
    fn interrupt(&mut self, vector: u32) -> io::Result<()> {
        let is_master = self.is_master();
        match self.vectors.get_mut(vector as usize) {
            Some(Some(event)) if is_master => event.write_all(&1u64.to_ne_bytes()),
            _ => Ok(()),
        }
    }

    /// The part of the buffer that an access to the BAR means.
    fn in_buffer(&mut self, offset: u64, len: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(offset.checked_sub(BUFFER)?).ok()?;
        self.buffer.get_mut(start..start.checked_add(len)?)
    }
}

impl ServerBackend for Device {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        data.fill(0xff);
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            self.config.read(offset, data);
        } else if region == VFIO_PCI_BAR0_REGION_INDEX {
            if let Some(part) = self.in_buffer(offset, data.len()) {
                data.copy_from_slice(part);
            } else if let Ok(word) = <&mut [u8; 4]>::try_from(data) {
                *word = self.register(offset).to_le_bytes();
            }
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            self.config.write(offset, data);
            self.config_written();
        } else if region == VFIO_PCI_BAR0_REGION_INDEX {
            if let Some(part) = self.in_buffer(offset, data.len()) {
                part.copy_from_slice(data);
            } else if let Ok(word) = <[u8; 4]>::try_from(data) {
                self.set_register(offset, u32::from_le_bytes(word))?;
            }
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        rights: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        self.memory.map(address, size, file, offset, rights)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let all = flags.contains(DmaUnmapFlags::UNMAP_ALL);
        let last = if all {
            u64::MAX
        } else {
            memory::last(address, size)?
        };
        self.memory.unmap(if all { 0 } else { address }, last);
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.power_on();
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        events: Vec<File>,
    ) -> io::Result<()> {
        if index != VFIO_PCI_MSIX_IRQ_INDEX || flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(());
        }
        if flags & VFIO_IRQ_SET_DATA_NONE != 0 {
            if count == 0 {
                self.vectors = Default::default();
            }
            return (start..start.saturating_add(count)).try_for_each(|n| self.interrupt(n));
        }
        // A vector without an event is one that nobody wants to hear of any more.
        let mut events = events.into_iter();
        let vectors = self.vectors.iter_mut().skip(start as usize);
        for vector in vectors.take(count as usize) {
            *vector = events.next();
        }
        Ok(())
    }
}

fn header(config: &mut Config, features: &Features) {
    config.set_u16(0x00, VENDOR, 0);
    config.set_u16(0x02, features.number(), 0);
    // Memory, bus master, parity, SERR#, INTx off
    config.set_u16(COMMAND, 0, 0x0546);
    // There is a list of capabilities.
    config.set_u16(0x06, 0x0010, 0);
    // Revision 1, of no class that there is a name for
    config.set_u32(0x08, 0xff00_0001, 0);
    // Line sizes and latency, which are read and written and do nothing
    config.set_u16(0x0c, 0, 0xffff);
    // BAR 0: memory with 64 bits of address, prefetchable; its size shows in what can be written
    config.set_u32(0x10, 0x0c, !(BAR_SIZE as u32 - 1));
    config.set_u32(0x14, 0, u32::MAX);
    config.set_u16(0x2c, VENDOR, 0);
    config.set_u16(0x2e, features.number(), 0);
    config.set(0x3c, [0], [0xff]);
}

fn power_management(config: &mut Config) {
    let at = config.add_cap(0x01, 8);
    config.set_u16(at + 0x02, 0x0003, 0);
    // The state, which can be slept in without losing registers
    config.set_u16(at + 0x04, 0x0008, 0x0003);
}

fn msix(config: &mut Config) {
    let at = config.add_cap(0x11, 12);
    // On, and all masked
    config.set_u16(at + 0x02, VECTORS - 1, 0xc000);
    config.set_u32(at + 0x04, MSIX_TABLE, 0);
    config.set_u32(at + 0x08, MSIX_PENDING, 0);
}

fn express(config: &mut Config) -> usize {
    let at = config.add_cap(0x10, 0x3c);
    // Version 2, an endpoint
    config.set_u16(at + 0x02, 0x0002, 0);
    // Function-level reset, role-based errors
    config.set_u32(at + 0x04, (1 << 28) | (1 << 15), 0);
    config.set_u16(at + 0x08, 0x2810, 0xffff);
    // 2.5 GT/s, one lane
    config.set_u32(at + 0x0c, 0x11, 0);
    config.set_u16(at + 0x10, 0, 0x01fb);
    config.set_u16(at + 0x12, 0x11, 0);
    // One end-to-end prefix: it is what a PASID travels in.
    config.set_u32(at + 0x24, (1 << 22) | (1 << 21), 0);
    config.set_u16(at + 0x28, 0, 0x83ff);
    at
}

fn extended(config: &mut Config, features: &Features) -> Option<usize> {
    if features.ats {
        let at = config.add_ext_cap(0x0f, 8);
        // A queue of 32 invalidations, which is written as 0; addresses are those of pages
        config.set_u16(at + 0x04, 1 << 5, 0);
        // On, and the size of translations
        config.set_u16(at + 0x06, 0, 0x801f);
    }
    let page_requests = (features.pri || features.pri_without_pasid).then(|| {
        let at = config.add_ext_cap(0x13, 16);
        let with = if features.pri { PRI_PASID } else { 0 };
        config.set_u16(at + 0x04, 0, PRI_ENABLE);
        config.set_u16(at + 0x06, PRI_STOPPED | with, 0);
        // As many at a time, of which the host allows some
        config.set_u32(at + 0x08, 32, 0);
        config.set_u32(at + 0x0c, 0, 0x3f);
        at
    });
    if features.pasid {
        let at = config.add_ext_cap(0x1b, 8);
        // 16 bits of PASID, no permissions for execution or for privileged accesses
        config.set_u16(at + 0x04, 16 << 8, 0);
        config.set_u16(at + 0x06, 0, 1);
    }
    if features.acs {
        let at = config.add_ext_cap(0x0d, 8);
        // Requests and completions go through the root, and so do translated requests.
        config.set_u16(at + 0x04, 0x004c, 0);
        config.set_u16(at + 0x06, 0, 0x004c);
    }
    page_requests
}

// SPDX-License-Identifier: GPL-2.0-only
//! A device and its regions; the virtual machine that it belongs to.

use std::sync::Arc;

use anyhow::{Context, Result};
use kvm_bindings::{kvm_create_device, kvm_device_type_KVM_DEV_TYPE_VFIO};
use kvm_ioctls::Kvm;
use vfio_bindings::bindings::vfio::*;
use vfio_ioctls::{VfioDevice, VfioDeviceFd};

use super::{INTX, MSI, MSIX};
use crate::device::{config_u16, enable, Edu, BAR0, CONFIG};
use crate::ensure_eq;
use crate::space::{open, Space};
use crate::sysfs::{module_users, vfio_pci, Modules};

/// semantics: 120.  What the device says of itself.
pub fn info<S: Space>() -> Result<()> {
    let (_space, device) = open::<S>("EDU0")?;
    ensure_eq!(device.get_region_size(CONFIG), 256);
    ensure_eq!(device.get_region_size(BAR0), 1 << 20);
    for index in 1..=5 {
        ensure_eq!(device.get_region_size(index), 0);
    }
    let flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    ensure_eq!(device.get_region_flags(CONFIG), flags);
    ensure_eq!(
        device.get_region_flags(BAR0),
        flags | VFIO_REGION_INFO_FLAG_MMAP
    );
    for index in [INTX, MSI] {
        ensure_eq!(device.get_irq_info(index).context("no interrupt")?.count, 1);
    }
    ensure_eq!(
        device.get_irq_info(MSIX).context("no MSI-X index")?.count,
        0
    );
    ensure_eq!(device.max_interrupts(), 1);
    ensure_eq!(device.query_migration_support()?, None);
    Ok(())
}

/// semantics: 120, 122.  The configuration space, and registers by reads and writes of a region.
pub fn regions<S: Space>() -> Result<()> {
    let (_space, device) = open::<S>("EDU0")?;
    ensure_eq!(
        [config_u16(&device, 0), config_u16(&device, 2)],
        [0x1234, 0x11e8]
    );
    enable(&device);
    ensure_eq!(config_u16(&device, 4) & 0x406, 0x006);

    let read = |offset: usize| {
        let mut word = [0; 4];
        device.region_read(BAR0, &mut word, offset as u64);
        u32::from_le_bytes(word)
    };
    ensure_eq!(read(Edu::ID) & 0xff, 0xed);
    for value in [0x5a5a_1234_u32, 0, 0xffff_fffe] {
        device.region_write(BAR0, &value.to_le_bytes(), Edu::LIVENESS as u64);
        ensure_eq!(read(Edu::LIVENESS), !value);
    }
    Ok(())
}

/// semantics: 122.  The same registers, mapped: both accesses find the same.
pub fn mapped_bar<S: Space>() -> Result<()> {
    let (_space, device) = open::<S>("EDU0")?;
    let edu = Edu::new(&device)?;
    edu.0.write(Edu::LIVENESS, 0x1357_9bdf);
    ensure_eq!(edu.0.read(Edu::LIVENESS), !0x1357_9bdf);
    let mut word = [0; 4];
    device.region_read(BAR0, &mut word, Edu::LIVENESS as u64);
    ensure_eq!(u32::from_le_bytes(word), !0x1357_9bdf_u32);
    edu.0.write(Edu::FACTORIAL, 10);
    while edu.0.read(Edu::STATUS) & 1 != 0 {
        std::thread::yield_now();
    }
    ensure_eq!(edu.0.read(Edu::FACTORIAL), 3_628_800);
    Ok(())
}

/// semantics: 43, 156, 169, 171.  A virtual machine is told of the device, and lives as long.
pub fn kvm<S: Space>() -> Result<()> {
    let _modules = Modules::new(&["irqbypass", "kvm", "kvm_amd"])?;
    let before = module_users("kvm")?;
    let machine = Kvm::new()?.create_vm()?;
    let mut create = kvm_create_device {
        type_: kvm_device_type_KVM_DEV_TYPE_VFIO,
        ..Default::default()
    };
    let files = VfioDeviceFd::new_from_kvm(machine.create_device(&mut create)?);
    let space = S::create(Some(Arc::new(files)))?;
    let path = vfio_pci("EDU0")?;
    let unused = module_users("kvm")?;
    for _ in 0..3 {
        let device = VfioDevice::new(&path, space.clone(), true)?;
        ensure_eq!(module_users("kvm")?, unused + 1);
        Edu::new(&device)?;
        drop(device);
        ensure_eq!(module_users("kvm")?, unused);
    }
    drop((machine, space));
    ensure_eq!(module_users("kvm")?, before);
    Ok(())
}

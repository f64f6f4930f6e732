// SPDX-License-Identifier: GPL-2.0-only
//! A client of the rust-vmm crates, on devices behind an IOMMU, which it opens by their groups, with a
//! container.

use std::process::ExitCode;

use anyhow::{ensure, Context, Result};
use vfio_client::cases::{device, interrupts, mediated, memory, IOVA};
use vfio_client::device::{DmaProbe, Edu};
use vfio_client::space::{open, space, Ram, Space, PAGE};
use vfio_client::sysfs::{unbind, vfio_pci};
use vfio_client::tap::{self, complaints, Test};
use vfio_client::{ensure_eq, ensure_errno, errno};
use vfio_ioctls::{VfioContainer, VfioDevice, VfioError};

/// semantics: 110, 144, 146.  A group has one owner, and its device no other.
fn open_and_close() -> Result<()> {
    let path = vfio_pci("EDU0")?;
    for _ in 0..3 {
        let (_container, device) = open::<VfioContainer>("EDU0")?;
        ensure!(device.iommufd_dev_id().is_none(), "the device has an id");
        let other = VfioContainer::create(None)?;
        ensure_errno!(VfioDevice::new(&path, other.clone(), true), EBUSY);
        ensure_errno!(VfioDevice::new(&path, space()?, false), EBUSY);
        drop(device);
        VfioDevice::new(&path, other, true)?;
        VfioDevice::new(&path, space()?, true)?;
    }
    Ok(())
}

/// semantics: 146.  A group of which the host uses a device is nobody's.
fn viable() -> Result<()> {
    let path = vfio_pci("MIXED1")?;
    let result = VfioDevice::new(&path, VfioContainer::create(None)?, true);
    unbind(&path)?;
    ensure!(
        matches!(result, Err(VfioError::GroupViable)),
        "the group of a device that the host uses can be had"
    );
    Ok(())
}

/// semantics: 161, 163, 164.  A container knows memory while it has a group, and then it forgets.
fn mappings() -> Result<()> {
    let path = vfio_pci("TESTDEV0")?;
    let container = VfioContainer::create(None)?;
    let ram = Ram::new(&[(IOVA, 1)])?;
    let refused = |errno_wanted| -> Result<()> {
        let error = ram.map(&container).err().context("memory is mapped")?;
        ensure_eq!(errno(&*error), Some(errno_wanted));
        Ok(())
    };
    refused(libc::EINVAL)?;
    for _ in 0..2 {
        let device = VfioDevice::new(&path, container.clone(), true)?;
        let probe = DmaProbe::new(&device)?;
        ensure!(!probe.reaches(&ram, IOVA)?, "a mapping has outlived it");
        ram.map(&container)?;
        refused(libc::EEXIST)?;
        ensure!(probe.reaches(&ram, IOVA)?, "memory is not reached");
        drop((probe, device));
        refused(libc::EINVAL)?;
    }
    Ok(())
}

/// semantics: 147, 148.  What is one address in two containers is two places.
fn two_containers() -> Result<()> {
    let (first, one) = open::<VfioContainer>("TESTDEV0")?;
    let (second, two) = open::<VfioContainer>("TESTDEV1")?;
    let (first_ram, second_ram) = (Ram::new(&[(IOVA, 1)])?, Ram::new(&[(IOVA, 1)])?);
    let (one_probe, two_probe) = (DmaProbe::new(&one)?, DmaProbe::new(&two)?);
    first_ram.map(&first)?;
    ensure!(
        one_probe.reaches(&first_ram, IOVA)? && !two_probe.reaches(&second_ram, IOVA)?,
        "one device's memory is another's"
    );
    second_ram.map(&second)?;
    ensure!(
        one_probe.reaches(&first_ram, IOVA)? && two_probe.reaches(&second_ram, IOVA)?,
        "not each device reaches its memory"
    );
    drop((one_probe, one));
    ensure!(
        two_probe.reaches(&second_ram, IOVA)?,
        "the device that stayed has lost its memory"
    );
    Ok(())
}

/// semantics: 149, 151, 152.  Both devices of a group, and one of them twice.
fn pair() -> Result<()> {
    let (container, first) = open::<VfioContainer>("PAIR0")?;
    let second = VfioDevice::new(&vfio_pci("PAIR1")?, container.clone(), true)?;
    let ram = Ram::new(&[(IOVA, 1), (2 * IOVA, 1)])?;
    ram.map(&container)?;
    let moves = |edu: &Edu, value: u8| -> Result<()> {
        ram.write(IOVA, &[value; PAGE])?;
        edu.dma_in(IOVA, PAGE)?;
        edu.dma_out(2 * IOVA, PAGE)?;
        ensure!(
            ram.read(2 * IOVA, PAGE)? == [value; PAGE],
            "what came out is not what went in"
        );
        Ok(())
    };
    let (one, two) = (Edu::new(&first)?, Edu::new(&second)?);
    moves(&one, 0x11)?;
    moves(&two, 0x22)?;

    // The crate does not count a group's devices: with each it tries to take the group out of the container,
    // which must not succeed while there is another.
    let refused = [
        "VFIO_GROUP_UNSET_CONTAINER ioctl failed: Device or resource busy (os error 16)".to_owned(),
        "Could not unbind VFIO group: ".to_owned(),
    ];
    let goes = |device: VfioDevice| -> Result<()> {
        drop(device);
        let said = complaints();
        ensure!(
            said.len() == 2 && said[0] == refused[0] && said[1].starts_with(&refused[1]),
            "taking the group out of the container came to: {said:?}"
        );
        Ok(())
    };
    drop(one);
    goes(first)?;
    moves(&two, 0x33)?;
    let again = VfioDevice::new(&vfio_pci("PAIR1")?, container.clone(), true)?;
    drop(two);
    goes(second)?;
    moves(&Edu::new(&again)?, 0x44)?;
    drop(again);
    let (_container, first) = open::<VfioContainer>("PAIR0")?;
    Edu::new(&first)?;
    Ok(())
}

const TESTS: &[Test] = &[
    ("open_and_close", open_and_close),
    ("viable", viable),
    ("info", device::info::<VfioContainer>),
    ("regions", device::regions::<VfioContainer>),
    ("mapped_bar", device::mapped_bar::<VfioContainer>),
    ("msi", interrupts::msi::<VfioContainer>),
    ("intx", interrupts::intx::<VfioContainer>),
    ("msix", interrupts::msix::<VfioContainer>),
    ("dma", memory::dma::<VfioContainer>),
    ("mappings", mappings),
    ("two_devices", memory::two_devices::<VfioContainer>),
    ("two_containers", two_containers),
    ("pair", pair),
    ("kvm", device::kvm::<VfioContainer>),
    ("mediated", mediated::mediated::<VfioContainer>),
    ("migration", mediated::migration::<VfioContainer>),
    ("dma_logging", mediated::dma_logging::<VfioContainer>),
];

fn main() -> ExitCode {
    tap::run(TESTS)
}

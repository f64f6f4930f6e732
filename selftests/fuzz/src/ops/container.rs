// SPDX-License-Identifier: GPL-2.0-only
//! Ioctls of containers, and of iommufds in their place.

use super::bytes::{words, Bytes};
use super::numbers::*;
use crate::files::{File, Kind, Object};
use crate::fuzz::Fuzz;
use crate::memory::{DMA, DMA_PAGES, DMA_READ_ONLY, PAGE};
use crate::random::Random;

fn pick(fuzz: &Fuzz, random: &mut Random, is_wanted: impl Fn(&File) -> bool) -> Option<usize> {
    let iommufd = random.percent(10);
    fuzz.files.pick(random, |file| match iommufd {
        true => {
            file.kind == Kind::Iommufd && file.ids.iter().any(|(kind, _)| *kind == Object::Ioas)
        }
        false => file.kind == Kind::Container && is_wanted(file),
    })
}

pub fn get_api_version(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random, |_| true)?;
    Some(fuzz.ioctl_value(random, "get_api_version", slot, VFIO_GET_API_VERSION, 0))
}

pub fn check_extension(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random, |_| true)?;
    let extension = random.below(14) as u64;
    Some(fuzz.ioctl_value(
        random,
        "check_extension",
        slot,
        VFIO_CHECK_EXTENSION,
        extension,
    ))
}

/// Tells whether no group of the container in a slot is without an IOMMU.
fn has_iommu(fuzz: &Fuzz, slot: usize) -> bool {
    let container = fuzz.files.slots[0][slot];
    !fuzz.files.any(|file| match file.kind {
        Kind::Group(group) => file.backend == container && fuzz.world.is_noiommu(group),
        _ => false,
    })
}

/// Usually chooses the driver that fits a container that has a group and no driver.
pub fn set_iommu(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let with_groups: Vec<_> = fuzz
        .files
        .files
        .iter()
        .filter(|f| f.users != 0 && f.kind.is_group())
        .filter_map(|f| f.backend)
        .collect();
    let has_group = |fuzz: &Fuzz, slot: usize| {
        fuzz.files.slots[0][slot].is_some_and(|f| with_groups.contains(&f))
    };
    let ready: Vec<_> = fuzz
        .files
        .all(|file| file.kind == Kind::Container && !file.has_driver)
        .into_iter()
        .filter(|&slot| has_group(fuzz, slot))
        .collect();
    let slot = match ready.is_empty() || random.percent(10) {
        true if random.percent(6) => pick(fuzz, random, |_| true)?,
        true => return None,
        false => random.of(&ready),
    };
    let usual = match has_iommu(fuzz, slot) {
        true => random.rarely(30, VFIO_TYPE1_IOMMU, &[VFIO_TYPE1V2_IOMMU]),
        false => VFIO_NOIOMMU_IOMMU,
    };
    let kind = random.rarely(15, usual, &[0, 1, 2, 3, 6, 8, 9, u64::MAX]);
    let result = fuzz.ioctl_value(random, "set_iommu", slot, VFIO_SET_IOMMU, kind);
    if result == 0 {
        fuzz.files.at_mut(slot)?.has_driver = true;
    }
    Some(result)
}

pub fn address(random: &mut Random) -> u64 {
    let usual = DMA + random_page(random);
    random.rarely(
        8,
        usual,
        &[0, DMA_READ_ONLY, DMA + 20 * PAGE, DMA + 1, 1 << 63],
    )
}

fn random_page(random: &mut Random) -> u64 {
    random.below(4) as u64 * PAGE
}

pub fn length(random: &mut Random) -> u64 {
    let usual = (1 + random.below(3) as u64) * PAGE;
    random.rarely(
        8,
        usual,
        &[
            0,
            1,
            PAGE - 1,
            PAGE + 1,
            (DMA_PAGES + 1) * PAGE,
            1 << 50,
            u64::MAX,
            !(PAGE - 1),
        ],
    )
}

pub fn iova(random: &mut Random) -> u64 {
    let usual = (1 << 20) + random.below(64) as u64 * 4 * PAGE;
    random.rarely(
        8,
        usual,
        &[
            0,
            1,
            0xfee0_0000,
            0xfeef_f000,
            (1 << 39) - PAGE,
            1 << 47,
            1 << 63,
            !(PAGE - 1),
        ],
    )
}

pub fn map_dma(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random, |file| file.has_driver)?;
    let argsz = random.argsz(32, 32);
    let flags = random.rarely(10, 3, &[0, 1, 2, 4, 8, 1 << 31]);
    let arg = Bytes::default()
        .u32(argsz)
        .u32(flags)
        .u64(address(random))
        .u64(iova(random))
        .u64(length(random));
    Some(
        fuzz.ioctl(random, "map_dma", slot, VFIO_IOMMU_MAP_DMA, &arg.0)
            .0,
    )
}

pub fn unmap_dma(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random, |file| file.has_driver)?;
    let argsz = random.argsz(24, 24);
    let flags = random.rarely(15, 0, &[1, 2, 4, 3, 1 << 31]);
    let (iova, size) = match flags & 2 {
        0 => {
            let (iova, usual) = (iova(random), length(random));
            (iova, random.rarely(30, usual, &[64 << 20]))
        }
        _ => (0, 0),
    };
    let arg = Bytes::default().u32(argsz).u32(flags).u64(iova).u64(size);
    Some(
        fuzz.ioctl(random, "unmap_dma", slot, VFIO_IOMMU_UNMAP_DMA, &arg.0)
            .0,
    )
}

pub fn get_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random, |file| file.has_driver)?;
    let argsz = random.rarely(40, 24, &[0, 8, 16, 23, 24, 64, 256]);
    let mut arg = words(&[argsz, 0, 0, 0, 0, 0]);
    arg.resize(256, 0);
    Some(
        fuzz.ioctl(random, "container_info", slot, VFIO_IOMMU_GET_INFO, &arg)
            .0,
    )
}

// SPDX-License-Identifier: GPL-2.0-only
//! Ioctls of iommufds.

use super::bytes::{word, words, Bytes};
use super::container::{address, iova, length};
use super::numbers::*;
use crate::files::{Kind, Object};
use crate::fuzz::Fuzz;
use crate::memory::{DMA, PAGE};
use crate::random::Random;

fn pick(fuzz: &Fuzz, random: &mut Random) -> Option<usize> {
    fuzz.files.pick(random, |file| file.kind == Kind::Iommufd)
}

/// The id of an object of the iommufd in a slot: usually one of the wanted kinds.
pub fn id(fuzz: &Fuzz, random: &mut Random, slot: usize, wanted: &[Object]) -> u32 {
    let ids = fuzz.files.at(slot).map_or(&[][..], |file| &file.ids);
    let good: Vec<u32> = ids
        .iter()
        .filter(|(kind, _)| wanted.contains(kind))
        .map(|(_, id)| *id)
        .collect();
    match good.is_empty() || random.percent(6) {
        true => random.of(&[0, 1, 2, 3, 7, u32::MAX]),
        false => random.of(&good),
    }
}

const ANY: &[Object] = &[Object::Device, Object::Ioas, Object::PageTable];
const IOAS: &[Object] = &[Object::Ioas];

/// Remembers an id.
pub fn learn(fuzz: &mut Fuzz, slot: usize, kind: Object, id: u32) {
    if let Some(file) = fuzz.files.at_mut(slot) {
        file.ids.push((kind, id));
    }
}

/// An iommufd with an object: without one there is nothing to try.
fn pick_with(fuzz: &Fuzz, random: &mut Random, wanted: &[Object]) -> Option<usize> {
    fuzz.files.pick(random, |file| {
        file.kind == Kind::Iommufd
            && wanted
                .iter()
                .all(|kind| file.ids.iter().any(|(k, _)| k == kind))
    })
}

pub fn ioas_alloc(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let size = random.argsz(12, 12);
    let flags = random.rarely(5, 0, &[1, 1 << 31]);
    let (result, out) = fuzz.ioctl(
        random,
        "ioas_alloc",
        slot,
        IOMMU_IOAS_ALLOC,
        &words(&[size, flags, 0]),
    );
    if result == 0 {
        learn(fuzz, slot, Object::Ioas, word(&out, 8));
    }
    Some(result)
}

pub fn ioas_map(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, IOAS)?;
    let size = random.argsz(40, 40);
    let flags = random.rarely(12, 7, &[0, 1, 3, 5, 6, 8, 1 << 31]);
    let ioas = id(fuzz, random, slot, IOAS);
    let arg = Bytes::default()
        .u32(size)
        .u32(flags)
        .u32(ioas)
        .u32(random.rarely(4, 0, &[1]))
        .u64(address(random))
        .u64(length(random))
        .u64(iova(random));
    Some(
        fuzz.ioctl(random, "ioas_map", slot, IOMMU_IOAS_MAP, &arg.0)
            .0,
    )
}

pub fn ioas_unmap(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, IOAS)?;
    let size = random.argsz(24, 24);
    let ioas = id(fuzz, random, slot, IOAS);
    let all = random.percent(30);
    let (iova, length) = if all {
        (0, u64::MAX)
    } else {
        (iova(random), length(random))
    };
    let arg = Bytes::default().u32(size).u32(ioas).u64(iova).u64(length);
    Some(
        fuzz.ioctl(random, "ioas_unmap", slot, IOMMU_IOAS_UNMAP, &arg.0)
            .0,
    )
}

pub fn ioas_copy(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, IOAS)?;
    let (to, from) = (id(fuzz, random, slot, IOAS), id(fuzz, random, slot, IOAS));
    let arg = Bytes::default()
        .u32(40)
        .u32(7)
        .u32(to)
        .u32(from)
        .u64(length(random))
        .u64(iova(random))
        .u64(iova(random));
    Some(
        fuzz.ioctl(random, "ioas_copy", slot, IOMMU_IOAS_COPY, &arg.0)
            .0,
    )
}

pub fn ioas_ranges(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, IOAS)?;
    let ioas = id(fuzz, random, slot, IOAS);
    let arg = Bytes::default()
        .u32(32)
        .u32(ioas)
        .u32(random.below(4) as u32)
        .u32(0)
        .u64(DMA + 8 * PAGE)
        .u64(0);
    Some(
        fuzz.ioctl(random, "ioas_ranges", slot, IOMMU_IOAS_IOVA_RANGES, &arg.0)
            .0,
    )
}

pub fn hwpt_alloc(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, &[Object::Device, Object::Ioas])?;
    let size = random.argsz(48, 48);
    let flags = random.rarely(20, 0, &[1, 2, 4, 8]);
    let device = id(fuzz, random, slot, &[Object::Device]);
    let table = id(fuzz, random, slot, IOAS);
    let arg = Bytes::default()
        .u32(size)
        .u32(flags)
        .u32(device)
        .u32(table)
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .u64(0)
        .u32(0)
        .u32(0);
    let (result, out) = fuzz.ioctl(random, "hwpt_alloc", slot, IOMMU_HWPT_ALLOC, &arg.0);
    if result == 0 {
        learn(fuzz, slot, Object::PageTable, word(&out, 16));
    }
    Some(result)
}

pub fn destroy(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let id = id(fuzz, random, slot, ANY);
    let (result, _) = fuzz.ioctl(random, "destroy", slot, IOMMU_DESTROY, &words(&[8, id]));
    if result == 0 {
        fuzz.files
            .at_mut(slot)?
            .ids
            .retain(|(_, other)| *other != id);
    }
    Some(result)
}

pub fn hw_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick_with(fuzz, random, &[Object::Device])?;
    let device = id(fuzz, random, slot, &[Object::Device]);
    let arg = Bytes::default()
        .u32(40)
        .u32(0)
        .u32(device)
        .u32(64)
        .u64(DMA + 9 * PAGE)
        .u32(0)
        .u32(0)
        .u64(0);
    Some(
        fuzz.ioctl(random, "hw_info", slot, IOMMU_GET_HW_INFO, &arg.0)
            .0,
    )
}

pub fn option(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let object = id(fuzz, random, slot, ANY);
    let object = random.rarely(50, 0, &[object]);
    let arg = Bytes::default()
        .u32(24)
        .u32(random.below(3) as u32)
        .u16(random.below(2) as u16)
        .u16(0)
        .u32(object)
        .u64(random.below(2) as u64);
    Some(fuzz.ioctl(random, "option", slot, IOMMU_OPTION, &arg.0).0)
}

pub fn vfio_ioas(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let ioas = id(fuzz, random, slot, IOAS);
    let arg = Bytes::default()
        .u32(12)
        .u32(ioas)
        .u16(random.rarely(50, 1, &[0, 2, 3]))
        .u16(0);
    Some(
        fuzz.ioctl(random, "vfio_ioas", slot, IOMMU_VFIO_IOAS, &arg.0)
            .0,
    )
}

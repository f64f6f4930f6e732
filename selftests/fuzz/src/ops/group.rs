// SPDX-License-Identifier: GPL-2.0-only
//! Ioctls of group files.

use super::bytes::words;
use super::numbers::*;
use crate::files::{File, Kind};
use crate::fuzz::Fuzz;
use crate::random::Random;

fn pick(fuzz: &Fuzz, random: &mut Random) -> Option<usize> {
    fuzz.files.pick(random, |file| file.kind.is_group())
}

pub fn get_status(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let argsz = random.argsz(8, 8);
    Some(
        fuzz.ioctl(
            random,
            "get_status",
            slot,
            VFIO_GROUP_GET_STATUS,
            &words(&[argsz, 0]),
        )
        .0,
    )
}

/// Usually a group without a backend gets a container or an iommufd.
pub fn set_container(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz
        .files
        .pick(random, |file| {
            file.kind.is_group() && file.backend.is_none()
        })
        .or_else(|| pick(fuzz, random))?;
    let iommufd = random.percent(40);
    let wanted = if iommufd {
        Kind::Iommufd
    } else {
        Kind::Container
    };
    if fuzz.files.all(|file| file.kind == wanted).is_empty() && random.percent(90) {
        return None;
    }
    let fd = fuzz.files.pick_fd(random, |file| file.kind == wanted);
    if is_kept_out(fuzz, slot) {
        return None;
    }
    let (result, _) = fuzz.ioctl(
        random,
        "set_container",
        slot,
        VFIO_GROUP_SET_CONTAINER,
        &words(&[fd as u32]),
    );
    if result == 0 {
        let backend = fuzz.files.at_fd(fd);
        fuzz.files.at_mut(slot)?.backend = backend;
    }
    Some(result)
}

/// A second backend for an open device (D2): on the C core it can corrupt the counts of an emulated device.
fn is_kept_out(fuzz: &Fuzz, slot: usize) -> bool {
    let Some(Kind::Group(group)) = fuzz.files.at(slot).map(|file| file.kind) else {
        return false;
    };
    fuzz.files.any(
        |file| matches!(file.kind, Kind::GroupDevice(d) if fuzz.world.devices[d].group == group),
    )
}

pub fn unset_container(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| {
        file.kind.is_group() && file.backend.is_some()
    })?;
    let result = fuzz.ioctl_value(
        random,
        "unset_container",
        slot,
        VFIO_GROUP_UNSET_CONTAINER,
        0,
    );
    if result == 0 {
        fuzz.files.at_mut(slot)?.backend = None;
    }
    Some(result)
}

/// Usually asks a group with a backend for one of its devices.
pub fn get_device_fd(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let is_ready = |file: &File| {
        let backend = file.backend.map(|backend| &fuzz.files.files[backend]);
        file.kind.is_group() && backend.is_some_and(|b| b.kind == Kind::Iommufd || b.has_driver)
    };
    let slot = match fuzz.files.all(is_ready).is_empty() {
        false => fuzz.files.pick(random, is_ready)?,
        true if random.percent(8) => pick(fuzz, random)?,
        true => return None,
    };
    let devices = &fuzz.world.devices;
    let group = match fuzz.files.at(slot)?.kind {
        Kind::Group(group) => group,
        _ => 0,
    };
    let members: Vec<_> = (0..devices.len())
        .filter(|&d| devices[d].group == group)
        .collect();
    let device = match random.percent(8) || members.is_empty() {
        true => random.below(devices.len()),
        false => random.of(&members),
    };
    let name = devices[device].name.clone();
    let text = match random.below(40) {
        0 => String::new(),
        1 => format!("{name} "),
        2 => format!("{name} vf_token=3c0e8c4e-8e0b-4f35-9e5d-6f3f0f0dfa01"),
        3 => name[..name.len() - 1].to_owned(),
        4 => "x".repeat(random.below(5000)),
        _ => name,
    };
    let mut bytes = text.into_bytes();
    bytes.push(0);
    let (result, _) = fuzz.ioctl(
        random,
        "get_device_fd",
        slot,
        VFIO_GROUP_GET_DEVICE_FD,
        &bytes,
    );
    let backend = fuzz.files.at(slot)?.backend;
    if let Some(file) = fuzz.keep(result, Kind::GroupDevice(device)) {
        fuzz.files.files[file].backend = backend;
    }
    Some(result)
}

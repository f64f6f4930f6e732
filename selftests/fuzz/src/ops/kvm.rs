// SPDX-License-Identifier: GPL-2.0-only
//! Virtual machines and KVM's VFIO device.

use super::bytes::{word, words, Bytes};
use super::numbers::*;
use crate::files::{Files, Kind};
use crate::fuzz::Fuzz;
use crate::memory::{place, Kind as Memory};
use crate::program::Argument;
use crate::random::Random;

const TYPE_VFIO: u32 = 4;

pub fn create_vm(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| file.kind == Kind::Kvm)?;
    let result = fuzz.ioctl_value(random, "create_vm", slot, KVM_CREATE_VM, 0);
    fuzz.keep(result, Kind::Vm);
    Some(result)
}

pub fn create_device(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| file.kind == Kind::Vm)?;
    // The descriptor is written into the argument: its memory must be whole.
    let bytes = words(&[random.rarely(5, TYPE_VFIO, &[0, 99]), 0, 0]);
    let address = place(&bytes, Memory::Whole);
    let call = crate::sys::Call::ioctl(Files::fd(slot), KVM_CREATE_DEVICE, address);
    let argument = Argument {
        bytes: &bytes,
        kind: Memory::Whole,
    };
    let result = fuzz.call_with("create_device", &call, argument);
    if result == 0 {
        fuzz.trace.program.add(|| "FD_AT(4);".to_owned());
        let out = crate::memory::read_back(address, 12);
        fuzz.keep(word(&out, 4).into(), Kind::KvmVfio);
    }
    Some(result)
}

/// Where the descriptor lies.
const DESCRIPTOR: u64 = crate::memory::DMA + 10 * crate::memory::PAGE;

/// KVM_DEV_VFIO_FILE with an attribute.
fn file(
    fuzz: &mut Fuzz,
    random: &mut Random,
    name: &'static str,
    slot: usize,
    attribute: u64,
    fd: i32,
) -> i64 {
    // SAFETY: The page is the fuzzer's, and nothing else uses its end.
    unsafe { (DESCRIPTOR as *mut i32).write(fd) };
    fuzz.trace.program.add(|| format!("DESCRIPTOR({fd});"));
    let attribute = random.rarely(3, attribute, &[0, 3, 4]);
    let group = random.rarely(3, 1, &[0, 2]);
    let pointer = random.rarely(3, DESCRIPTOR, &[0]);
    let arg = Bytes::default()
        .u32(0)
        .u32(group)
        .u64(attribute)
        .u64(pointer);
    let cmd = random.rarely(4, KVM_SET_DEVICE_ATTR, &[KVM_HAS_DEVICE_ATTR]);
    let (result, _) = fuzz.ioctl(random, name, slot, cmd, &arg.0);
    // What was really asked for.
    if result == 0 && cmd == KVM_SET_DEVICE_ATTR {
        if let (Some(file), Some(device)) = (fuzz.files.at_fd(fd), fuzz.files.at_mut(slot)) {
            match attribute {
                ADD => device.added.push(file),
                _ => device.added.retain(|other| *other != file),
            }
        }
    }
    result
}

const ADD: u64 = 1;
const DEL: u64 = 2;

pub fn add_file(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| file.kind == Kind::KvmVfio)?;
    let fd = fuzz
        .files
        .pick_fd(random, |file| file.kind.is_device() || file.kind.is_group());
    Some(file(fuzz, random, "kvm_add", slot, ADD, fd))
}

pub fn del_file(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| !file.added.is_empty())?;
    let added = fuzz.files.at(slot)?.added.clone();
    let fd = match fuzz.files.slot_of(|file| added.contains(&file)) {
        Some(slot) if random.percent(90) => Files::fd(slot),
        _ => fuzz
            .files
            .pick_fd(random, |file| file.kind.is_device() || file.kind.is_group()),
    };
    Some(file(fuzz, random, "kvm_del", slot, DEL, fd))
}

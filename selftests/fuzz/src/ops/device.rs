// SPDX-License-Identifier: GPL-2.0-only
//! Calls on device files.

use super::bytes::{word, words, Bytes};
use super::iommufd::{id, learn};
use super::numbers::*;
use crate::files::{File, Files, Kind, Object};
use crate::fuzz::Fuzz;
use crate::memory::{place, read_back, Kind as Memory, DMA, PAGE};
use crate::program::{Argument, Want};
use crate::random::Random;
use crate::sys::{call, Call};

/// A device file: usually one that has access to its device.
fn pick(fuzz: &Fuzz, random: &mut Random) -> Option<usize> {
    let has_access = random.percent(85);
    let is_wanted = |file: &File| file.kind.is_device() && (!has_access || file.backend.is_some());
    fuzz.files.pick(random, is_wanted)
}

fn is_mdev(fuzz: &Fuzz, slot: usize) -> bool {
    match fuzz.files.at(slot).map(|file| file.kind) {
        Some(Kind::Cdev(device) | Kind::GroupDevice(device)) => fuzz.world.devices[device].mdev,
        _ => false,
    }
}

/// The slot of the iommufd to which another device of the group is bound.
fn owner(fuzz: &Fuzz, kind: Kind) -> Option<usize> {
    let group = |kind| match kind {
        Kind::Cdev(device) => Some(fuzz.world.devices[device].group),
        _ => None,
    };
    let files = fuzz
        .files
        .files
        .iter()
        .filter(|file| file.users != 0 && file.backend.is_some());
    let backend = files
        .filter(|file| group(file.kind) == group(kind))
        .find_map(|file| file.backend)?;
    fuzz.files.slot_of(|file| file == backend)
}

pub fn bind(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    // Usually a device that has no bound file, and whose group has no open file.
    let is_free = |fuzz: &Fuzz, file: &File| match file.kind {
        Kind::Cdev(device) => !fuzz.files.any(|other| match other.kind {
            Kind::Cdev(d) => d == device && other.backend.is_some(),
            Kind::GroupDevice(d) => d == device,
            Kind::Group(g) => g == fuzz.world.devices[device].group,
            _ => false,
        }),
        _ => false,
    };
    let free: Vec<_> = fuzz.files.all(|file| is_free(fuzz, file));
    // A host driver beside the device refuses each bind.
    let is_viable = |slot: &usize| match fuzz.files.at(*slot).map(|file| file.kind) {
        Some(Kind::Cdev(device)) => fuzz.world.devices[device].viable,
        _ => false,
    };
    let free: Vec<_> = match random.percent(10) {
        true => free,
        false => free.into_iter().filter(is_viable).collect(),
    };
    let slot = match free.is_empty() || random.percent(6) {
        true if random.percent(6) => fuzz.files.pick(random, |file| file.kind.is_device())?,
        true => return None,
        false => random.of(&free),
    };
    if fuzz.files.all(|file| file.kind == Kind::Iommufd).is_empty() && random.percent(90) {
        return None;
    }
    let token = random.percent(3);
    let size = if token {
        24
    } else {
        random.rarely(30, 16, &[24])
    };
    let argsz = random.argsz(16, size);
    // All bound devices of a group belong to one iommufd.
    let mate = fuzz.files.at(slot).and_then(|file| owner(fuzz, file.kind));
    let fd = match mate {
        Some(slot) if random.percent(90) => Files::fd(slot),
        _ => fuzz
            .files
            .pick_fd(random, |file| file.kind == Kind::Iommufd),
    };
    let flags = random.rarely(3, token.into(), &[2, 1 << 31]);
    let mut arg = words(&[argsz, flags, fd as u32, 0]);
    if size == 24 {
        arg.extend(random.rarely(20, DMA, &[0, 1]).to_le_bytes());
    }
    let (result, out) = fuzz.ioctl(random, "bind", slot, VFIO_DEVICE_BIND_IOMMUFD, &arg);
    if result == 0 {
        let iommufd = fuzz.files.at_fd(fd);
        fuzz.files.at_mut(slot)?.backend = iommufd;
        learn(
            fuzz,
            usize::try_from(fd - Files::fd(0)).ok()?,
            Object::Device,
            word(&out, 12),
        );
    }
    Some(result)
}

/// The slot of the iommufd that a file is bound to, if it is still open.
fn iommufd_of(fuzz: &Fuzz, slot: usize) -> Option<usize> {
    let backend = fuzz.files.at(slot)?.backend?;
    fuzz.files.slot_of(|file| file == backend)
}

pub fn attach(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let bound = |file: &File| matches!(file.kind, Kind::Cdev(_)) && file.backend.is_some();
    let slot = match fuzz.files.all(bound).is_empty() {
        true if random.percent(20) => fuzz.files.pick(random, |file| file.kind.is_device())?,
        true => return None,
        false => fuzz.files.pick(random, bound)?,
    };
    let tables = &[Object::Ioas, Object::PageTable];
    let pt = match iommufd_of(fuzz, slot) {
        // Usually there is something to attach.
        Some(iommufd)
            if fuzz
                .files
                .at(iommufd)?
                .ids
                .iter()
                .any(|(kind, _)| tables.contains(kind)) =>
        {
            id(fuzz, random, iommufd, tables)
        }
        _ if random.percent(10) => 1,
        _ => return None,
    };
    let pasid = random.percent(10);
    let size = if pasid {
        16
    } else {
        random.rarely(20, 12, &[16])
    };
    let argsz = random.argsz(12, size);
    let flags = random.rarely(3, pasid.into(), &[2, 1 << 31]);
    let mut arg = vec![argsz, flags, pt];
    if size == 16 {
        arg.push(random.of(&[0, 1, 1 << 19, (1 << 20) - 1, 1 << 20, u32::MAX]));
    }
    Some(
        fuzz.ioctl(
            random,
            "attach",
            slot,
            VFIO_DEVICE_ATTACH_IOMMUFD_PT,
            &words(&arg),
        )
        .0,
    )
}

pub fn detach(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| {
        matches!(file.kind, Kind::Cdev(_)) && file.backend.is_some()
    })?;
    let pasid = random.percent(10);
    let size = if pasid {
        12
    } else {
        random.rarely(20, 8, &[12])
    };
    let argsz = random.argsz(8, size);
    let mut arg = vec![argsz, random.rarely(3, pasid.into(), &[2, 1 << 31])];
    if size == 12 {
        arg.push(random.of(&[0, 1, 1 << 19, 1 << 20]));
    }
    Some(
        fuzz.ioctl(
            random,
            "detach",
            slot,
            VFIO_DEVICE_DETACH_IOMMUFD_PT,
            &words(&arg),
        )
        .0,
    )
}

pub fn get_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let argsz = random.argsz(16, 24);
    Some(
        fuzz.ioctl(
            random,
            "get_info",
            slot,
            VFIO_DEVICE_GET_INFO,
            &words(&[argsz, 0, 0, 0, 0, 0]),
        )
        .0,
    )
}

pub fn get_region_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let size = random_size(random);
    let argsz = random.argsz(32, size);
    let mut arg = words(&[argsz, 0, random.below(12) as u32, 0, 0, 0, 0, 0]);
    arg.resize(128, 0);
    Some(
        fuzz.ioctl(
            random,
            "get_region_info",
            slot,
            VFIO_DEVICE_GET_REGION_INFO,
            &arg,
        )
        .0,
    )
}

fn random_size(random: &mut Random) -> u32 {
    random.rarely(30, 32, &[64, 128])
}

pub fn get_irq_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let argsz = random.argsz(16, 16);
    let arg = words(&[argsz, 0, random.below(7) as u32, 0]);
    Some(
        fuzz.ioctl(random, "get_irq_info", slot, VFIO_DEVICE_GET_IRQ_INFO, &arg)
            .0,
    )
}

pub fn set_irqs(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    const NONE: u32 = 1;
    const BOOL: u32 = 1 << 1;
    const EVENTFD: u32 = 1 << 2;
    const MASK: u32 = 1 << 3;
    const UNMASK: u32 = 1 << 4;
    const TRIGGER: u32 = 1 << 5;
    let slot = pick(fuzz, random)?;
    let has_eventfd = !fuzz.files.all(|file| file.kind == Kind::Eventfd).is_empty();
    let (flags, count) = match random.below(100) {
        0..=49 if has_eventfd => (EVENTFD | TRIGGER, 1),
        0..=69 => (NONE | TRIGGER, 0),
        70..=84 => (
            random.of(&[NONE, BOOL, EVENTFD]) | random.of(&[MASK, UNMASK, TRIGGER]),
            1,
        ),
        _ => (
            random.of(&[NONE, BOOL, EVENTFD, NONE | BOOL, 1 << 6]) | TRIGGER,
            random.of(&[0, 1, 2, u32::MAX]),
        ),
    };
    let fd = fuzz
        .files
        .pick_fd(random, |file| file.kind == Kind::Eventfd);
    let argsz = random.argsz(20, 20 + 4 * count.min(3));
    let index = random.rarely(30, 0, &[1, 2, 3, 4, 5]);
    let start = random.rarely(5, 0, &[1, u32::MAX]);
    let arg = Bytes::default()
        .u32(argsz)
        .u32(flags)
        .u32(index)
        .u32(start)
        .u32(count)
        .i32(fd)
        .i32(-1)
        .i32(-1);
    Some(
        fuzz.ioctl(random, "set_irqs", slot, VFIO_DEVICE_SET_IRQS, &arg.0)
            .0,
    )
}

pub fn reset(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let arg = random.below(2) as u64;
    Some(fuzz.ioctl_value(random, "reset", slot, VFIO_DEVICE_RESET, arg))
}

pub fn hot_reset_info(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let argsz = random.rarely(40, 12 + 4 * 8, &[0, 11, 12, 16, 20, 256]);
    let mut arg = words(&[argsz, 0, 0]);
    arg.resize(12 + 4 * 8, 0);
    Some(
        fuzz.ioctl(
            random,
            "hot_reset_info",
            slot,
            VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
            &arg,
        )
        .0,
    )
}

pub fn hot_reset(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let count = random.rarely(30, 1, &[0, 2, 3, 1 << 20]);
    let argsz = random.argsz(12, 12 + 4 * count.min(3));
    let mut arg = Bytes::default()
        .u32(argsz)
        .u32(random.rarely(5, 0, &[1]))
        .u32(count);
    for _ in 0..3 {
        arg = arg.i32(fuzz.files.pick_fd(random, |file| file.kind.is_group()));
    }
    Some(
        fuzz.ioctl(random, "hot_reset", slot, VFIO_DEVICE_PCI_HOT_RESET, &arg.0)
            .0,
    )
}

pub fn feature(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    const GET: u32 = 1 << 16;
    const SET: u32 = 1 << 17;
    const PROBE: u32 = 1 << 18;
    /// Its result is a descriptor that keeps the device.
    const DMA_BUF: u32 = 11;
    /// Low power: a device that sleeps is slow to wake.
    const LOW_POWER: [u32; 3] = [3, 4, 5];
    /// Of mtty, whose migration states can crash the kernel.
    const MIG_DEVICE_STATE: u32 = 2;

    let slot = pick(fuzz, random)?;
    let feature = random.below(16) as u32;
    let mut how = random.of(&[
        GET,
        SET,
        PROBE,
        PROBE | GET,
        PROBE | SET,
        GET | SET,
        0,
        1 << 19,
    ]);
    if LOW_POWER.contains(&feature)
        || feature == DMA_BUF
        || feature == MIG_DEVICE_STATE && is_mdev(fuzz, slot)
    {
        how |= PROBE;
    }
    let argsz = random.argsz(8, 8 + 32);
    let mut arg = words(&[argsz, feature | how]);
    arg.resize(8 + 32, 0);
    Some(
        fuzz.ioctl(random, "feature", slot, VFIO_DEVICE_FEATURE, &arg)
            .0,
    )
}

/// The offset of a region in the file.
fn region(index: u64) -> u64 {
    index << 40
}

pub fn pread(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let len = random.of(&[0, 1, 2, 4, 4, 4, 8, 64]);
    // Beyond its 256 bytes, mtty reads memory that is not its own.
    let end = if is_mdev(fuzz, slot) { 256 - 64 } else { 4096 };
    let (index, offset) = match random.percent(70) || is_mdev(fuzz, slot) {
        true => (7, random.below(end) as u64 & !3),
        // The registers of a BAR are those of QEMU's device: its identity and its liveness check.
        false => (random.rarely(30, 0, &[1, 6, 8, 9, 255]), random.of(&[0, 4])),
    };
    let kind = crate::fuzz::memory_kind(random, len);
    let address = place(&vec![0; len], kind);
    let at = region(index) + offset;
    let call = Call::new(
        libc::SYS_pread64,
        &[Files::fd(slot) as u64, address, len as u64, at],
    );
    let result = call.make();
    let out = read_back(address, len);
    let argument = Argument {
        bytes: &vec![0; len],
        kind,
    };
    fuzz.trace
        .call(0, &call, Some(argument), result, Want::This(result));
    fuzz.trace.program.out(&out);
    fuzz.trace.result("pread", result, &out);
    Some(result)
}

pub fn pwrite(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    const COMMAND: u64 = 4;
    const BAR0: u64 = 0x10;
    const LINE: u64 = 0x3c;
    let slot = pick(fuzz, random)?;
    let (index, offset) = match is_mdev(fuzz, slot) || random.percent(80) {
        true => (7, random.of(&[COMMAND, BAR0, LINE, 0])),
        false => (random.rarely(30, 0, &[1, 6, 8, 255]), 4),
    };
    let value = random.of(&[0, 2, 6, 7, u32::MAX, 0xfeb0_0000]);
    let kind = crate::fuzz::memory_kind(random, 4);
    let bytes = value.to_le_bytes();
    let address = place(&bytes, kind);
    let at = region(index) + offset;
    let call = Call::new(
        libc::SYS_pwrite64,
        &[Files::fd(slot) as u64, address, 4, at],
    );
    let argument = Argument {
        bytes: &bytes,
        kind,
    };
    Some(fuzz.call_with("pwrite", &call, argument))
}

/// Maps a page of a region, and reads its first bytes by a call, which a missing page makes fail.
pub fn mmap(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = pick(fuzz, random)?;
    let file = fuzz.files.slots[0][slot]?;
    let window = fuzz.windows.iter().position(Option::is_none)?;
    let at = Fuzz::window(window);
    let prot = random.rarely(
        30,
        libc::PROT_READ,
        &[libc::PROT_READ | libc::PROT_WRITE, libc::PROT_NONE],
    );
    let shared = random.rarely(10, libc::MAP_SHARED, &[libc::MAP_PRIVATE]);
    let flags = shared | libc::MAP_FIXED_NOREPLACE;
    let offset =
        region(random.rarely(30, 0, &[1, 7, 8, 255])) + random.rarely(20, 0, &[PAGE, 1 << 20]);
    let args = [
        at,
        PAGE,
        prot as u64,
        flags as u64,
        Files::fd(slot) as u64,
        offset,
    ];
    let mapping = Call::new(libc::SYS_mmap, &args);
    let result = fuzz.call("mmap", 0, &mapping);
    if result == at as i64 {
        fuzz.windows[window] = Some(file);
        fuzz.files.files[file].users += 1;
        let address = place(&[0; 4], Memory::Whole);
        let read = touch(at, address);
        let out = read_back(address, 4);
        fuzz.trace
            .program
            .add(|| format!("TOUCH({}, {window});", Want::This(read)));
        fuzz.trace.program.out(&out);
        fuzz.trace.result("touch", read, &out);
    }
    Some(result)
}

/// Copies four bytes through a pipe.
fn touch(from: u64, to: u64) -> i64 {
    let mut ends = [0_i32; 2];
    call(libc::SYS_pipe2, &[ends.as_mut_ptr() as u64, 0]);
    let result = call(libc::SYS_write, &[ends[1] as u64, from, 4]);
    if result == 4 {
        call(libc::SYS_read, &[ends[0] as u64, to, 4]);
    }
    ends.map(crate::sys::close);
    result
}

pub fn munmap(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let mapped: Vec<_> = (0..fuzz.windows.len())
        .filter(|&window| fuzz.windows[window].is_some())
        .collect();
    if mapped.is_empty() {
        return None;
    }
    fuzz.unmap(random.of(&mapped));
    Some(0)
}

/// An ioctl with a number that no file of VFIO knows, or that belongs to another kind of file.
pub fn unknown_ioctl(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz
        .files
        .pick(random, |file| file.kind.is_device() || file.kind.is_group())?;
    let cmd = random.of(&[
        0x3b64 + 22,
        0x3b64 + 60,
        0,
        u32::MAX,
        0x5401,
        VFIO_GET_API_VERSION,
        VFIO_CHECK_EXTENSION,
    ]);
    Some(fuzz.ioctl_value(random, "unknown", slot, cmd, 0))
}

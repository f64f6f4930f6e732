// SPDX-License-Identifier: GPL-2.0-only
//! Files: open, dup, close, and calls that are not made for them.

use crate::files::{Files, Kind};
use crate::fuzz::Fuzz;
use crate::program::Want;
use crate::random::Random;
use crate::sys::Call;

pub fn open_cdev(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let device = random.below(fuzz.world.devices.len());
    let path = fuzz.world.node(device);
    let flags = random.rarely(
        10,
        libc::O_RDWR,
        &[
            libc::O_RDONLY,
            libc::O_WRONLY,
            libc::O_RDWR | libc::O_CLOEXEC,
        ],
    );
    Some(fuzz.open("open_cdev", &path, flags, Kind::Cdev(device)))
}

pub fn open_group(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let group = random.below(fuzz.world.groups.len());
    let path = format!("/dev/vfio/{}", fuzz.world.groups[group]);
    Some(fuzz.open("open_group", &path, libc::O_RDWR, Kind::Group(group)))
}

pub fn open_container(fuzz: &mut Fuzz, _: &mut Random) -> Option<i64> {
    Some(fuzz.open(
        "open_container",
        "/dev/vfio/vfio",
        libc::O_RDWR,
        Kind::Container,
    ))
}

pub fn open_iommufd(fuzz: &mut Fuzz, _: &mut Random) -> Option<i64> {
    Some(fuzz.open("open_iommufd", "/dev/iommu", libc::O_RDWR, Kind::Iommufd))
}

/// A file of another kind, or one that stands for a node without having opened it.
pub fn open_other(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let device = random.below(fuzz.world.devices.len());
    Some(match random.below(8) {
        0 => fuzz.open("open_null", "/dev/null", libc::O_RDWR, Kind::Other),
        1 => {
            let path = fuzz.world.node(device);
            fuzz.open("open_path", &path, libc::O_PATH, Kind::Other)
        }
        2..=4 => fuzz.open("open_kvm", "/dev/kvm", libc::O_RDWR, Kind::Kvm),
        _ => {
            let flags = (libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) as u64;
            let call = Call::new(libc::SYS_eventfd2, &[0, flags]);
            let fd = call.make();
            fuzz.trace.call(0, &call, None, fd, Want::fd(fd));
            fuzz.trace.result("eventfd", fd.min(0), &[]);
            fuzz.keep(fd, Kind::Eventfd);
            fd
        }
    })
}

pub fn dup(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let from = fuzz.files.pick(random, |_| true)?;
    let to = fuzz.files.free_slot()?;
    let file = fuzz.files.slots[0][from]?;
    let fds = [Files::fd(from) as u64, Files::fd(to) as u64];
    let result = fuzz.call("dup", 0, &Call::new(libc::SYS_dup2, &fds));
    fuzz.files.put(0, to, file);
    Some(result)
}

pub fn close(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    // Eventually a sequence has no free slots; before that, files that are in use stay longer.
    let all = fuzz.files.all(|_| true);
    if all.len() < 6 && random.percent(70) {
        return None;
    }
    let slot = fuzz.files.pick(random, |_| true)?;
    close_slot(fuzz, 0, slot)
}

pub fn close_slot(fuzz: &mut Fuzz, process: usize, slot: usize) -> Option<i64> {
    fuzz.files.take(process, slot)?;
    let call = Call::new(libc::SYS_close, &[Files::fd(slot) as u64]);
    Some(fuzz.call("close", process, &call))
}

/// The lines of fdinfo that both cores have.
pub fn read_fdinfo(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz
        .files
        .pick(random, |file| file.kind.is_device() || file.kind.is_group())?;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", Files::fd(slot))).ok()?;
    let ours: Vec<_> = text
        .lines()
        .filter(|l| l.starts_with("vfio-") && !l.starts_with("vfio-device-syspath"))
        .collect();
    if !ours.is_empty() {
        fuzz.trace.rule("D11", 0);
    }
    let lines: String = text
        .lines()
        .filter(|l| l.starts_with("flags") || l.starts_with("vfio-device-syspath"))
        .collect();
    fuzz.trace.result("fdinfo", 0, lines.as_bytes());
    Some(0)
}

/// A call that a file is not made for.
pub fn odd_call(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let slot = fuzz.files.pick(random, |file| file.kind != Kind::Eventfd)?;
    let fd = Files::fd(slot) as u64;
    let (name, call) = match random.below(5) {
        0 => (
            "lseek",
            Call::new(
                libc::SYS_lseek,
                &[fd, random.below(3) as u64 * 8, random.below(3) as u64],
            ),
        ),
        1 => (
            "read",
            Call::new(libc::SYS_read, &[fd, crate::memory::DMA, 4]),
        ),
        2 => (
            "F_GETFL",
            Call::new(libc::SYS_fcntl, &[fd, libc::F_GETFL as u64]),
        ),
        3 => ("fsync", Call::new(libc::SYS_fsync, &[fd])),
        _ => ("ftruncate", Call::new(libc::SYS_ftruncate, &[fd, 0])),
    };
    Some(fuzz.call(name, 0, &call))
}

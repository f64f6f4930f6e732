// SPDX-License-Identifier: GPL-2.0-only
//! Memory for the arguments of calls: whole, read-only, cut off by a page that is missing, not there, or such
//! that a page comes when it is touched.
//!
//! All of it lies below 4 GiB, where 32-bit calls can name it, and at fixed addresses.  What is mapped from the
//! file is shared with all processes of the fuzzer.

use std::fs::File;
use std::os::fd::FromRawFd;

use anyhow::{ensure, Result};

use crate::sys::call;

pub const PAGE: u64 = 4096;
const BASE: u64 = 0x2000_0000;
/// Two pages for arguments, writable, for the fuzzer itself.
const SHADOW: u64 = BASE;
/// The same pages, and nothing behind them.
const WHOLE: u64 = BASE + 0x10000;
/// The same pages, read-only, and nothing behind them.
const READ_ONLY: u64 = BASE + 0x20000;
/// Two private pages that come when they are touched, with the content of the shadow.
const LATE: u64 = BASE + 0x30000;
const MISSING: u64 = BASE + 0x40000;
const SIZE: u64 = 2 * PAGE;
/// Pages that are mapped for DMA.
pub const DMA: u64 = BASE + 0x100000;
pub const DMA_PAGES: u64 = 16;
/// Behind them is nothing, and then a page that is read-only.
pub const DMA_READ_ONLY: u64 = DMA + 32 * PAGE;
/// Where regions of devices are mapped.
pub const WINDOWS: u64 = BASE + 0x1000000;
/// The descriptor of the file, in each process.
pub const FILE: i32 = 190;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Whole,
    ReadOnly,
    /// So many of the last bytes are missing.
    Cut(u64),
    Missing,
    Late,
}

fn map(at: u64, size: u64, prot: i32, flags: i32, offset: u64) -> Result<()> {
    let fd = if flags & libc::MAP_ANONYMOUS != 0 {
        u64::MAX
    } else {
        FILE as u64
    };
    let flags = (flags | libc::MAP_FIXED_NOREPLACE) as u64;
    let got = call(libc::SYS_mmap, &[at, size, prot as u64, flags, fd, offset]);
    ensure!(got == at as i64, "mmap of {at:#x}: {got}");
    Ok(())
}

/// Makes the file.
pub fn create() -> Result<()> {
    // SAFETY: The name ends with 0.
    let fd = unsafe { libc::memfd_create(c"fuzz".as_ptr(), 0) };
    ensure!(fd >= 0, "memfd_create");
    crate::sys::move_fd(fd, FILE);
    // SAFETY: The descriptor is open and stays open: the file forgets it.
    let file = unsafe { File::from_raw_fd(FILE) };
    file.set_len(SIZE + (DMA_PAGES + 1) * PAGE)?;
    std::mem::forget(file);
    Ok(())
}

/// Maps the file.  Each process does so once.
pub fn attach() -> Result<()> {
    use libc::{MAP_SHARED, PROT_READ, PROT_WRITE};
    map(SHADOW, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0)?;
    map(WHOLE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, 0)?;
    map(READ_ONLY, SIZE, PROT_READ, MAP_SHARED, 0)?;
    map(
        DMA,
        DMA_PAGES * PAGE,
        PROT_READ | PROT_WRITE,
        MAP_SHARED,
        SIZE,
    )?;
    map(
        DMA_READ_ONLY,
        PAGE,
        PROT_READ,
        MAP_SHARED,
        SIZE + DMA_PAGES * PAGE,
    )
}

const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_COPY: u64 = 0xc028_aa03;

/// Maps the pages that come late, and starts the thread that brings them.
pub fn attach_late() -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    map(LATE, SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, 0)?;
    let uffd = call(libc::SYS_userfaultfd, &[libc::O_CLOEXEC as u64]);
    ensure!(uffd >= 0, "userfaultfd: {uffd}");
    crate::sys::move_fd(uffd as i32, FILE + 1);
    let uffd = (FILE + 1) as u64;
    let mut api = [0xaa_u64, 0, 0];
    ensure!(
        call(
            libc::SYS_ioctl,
            &[uffd, UFFDIO_API, api.as_mut_ptr() as u64]
        ) == 0,
        "UFFDIO_API"
    );
    let mut register = [LATE, SIZE, 1, 0];
    ensure!(
        call(
            libc::SYS_ioctl,
            &[uffd, UFFDIO_REGISTER, register.as_mut_ptr() as u64]
        ) == 0,
        "UFFDIO_REGISTER"
    );
    std::thread::spawn(move || loop {
        let mut message = [0_u64; 4];
        if call(libc::SYS_read, &[uffd, message.as_mut_ptr() as u64, 32]) != 32 {
            continue;
        }
        let page = message[2] & !(PAGE - 1);
        let mut copy = [page, page - LATE + SHADOW, PAGE, 0, 0];
        call(
            libc::SYS_ioctl,
            &[uffd, UFFDIO_COPY, copy.as_mut_ptr() as u64],
        );
    });
    Ok(())
}

/// Puts `bytes` at the end of the pages, and returns the address that a call gets.
pub fn place(bytes: &[u8], kind: Kind) -> u64 {
    assert!(bytes.len() as u64 <= SIZE);
    let missing = match kind {
        Kind::Cut(missing) => missing.min(bytes.len() as u64),
        _ => 0,
    };
    let offset = SIZE - bytes.len() as u64 + missing;
    let there = bytes.len() - missing as usize;
    // SAFETY: The range is in the shadow, which nothing else uses meanwhile.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (SHADOW + offset) as *mut u8, there);
    }
    let base = match kind {
        Kind::Whole | Kind::Cut(_) => WHOLE,
        Kind::ReadOnly => READ_ONLY,
        Kind::Missing => MISSING,
        Kind::Late => {
            call(libc::SYS_madvise, &[LATE, SIZE, libc::MADV_DONTNEED as u64]);
            LATE
        }
    };
    base + offset
}

/// The bytes that are at an address of [`place`] after the call, less those that are missing.
pub fn read_back(address: u64, len: usize) -> Vec<u8> {
    if address >= MISSING {
        return Vec::new();
    }
    let end = (address & !0xffff) + SIZE;
    let len = len.min((end - address) as usize);
    // SAFETY: The range is in a mapping of this module; a page that is late comes.
    unsafe { std::slice::from_raw_parts(address as *const u8, len) }.to_vec()
}

// SPDX-License-Identifier: GPL-2.0-only
//! Configuration space: bytes, which of their bits can be written, and the capabilities in them.

use std::ops::Range;

pub const SIZE: usize = 4096;

/// Where the lists of capabilities begin.
const CAP_POINTER: usize = 0x34;
const FIRST_CAP: usize = 0x40;
const FIRST_EXT_CAP: usize = 0x100;

pub struct Config {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
    /// The link to the capability that comes next, and where there is room for it.
    cap_link: usize,
    cap_free: usize,
    ext_link: Option<usize>,
    ext_free: usize,
}

impl Config {
    pub fn new() -> Self {
        Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
            cap_link: CAP_POINTER,
            cap_free: FIRST_CAP,
            ext_link: None,
            ext_free: FIRST_EXT_CAP,
        }
    }

    /// A field of as many bytes as are given, and its bits that can be written.
    pub fn set<const N: usize>(&mut self, at: usize, value: [u8; N], writable: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&value);
        self.writable[at..at + N].copy_from_slice(&writable);
    }

    pub fn set_u16(&mut self, at: usize, value: u16, writable: u16) {
        self.set(at, value.to_le_bytes(), writable.to_le_bytes());
    }

    pub fn set_u32(&mut self, at: usize, value: u32, writable: u32) {
        self.set(at, value.to_le_bytes(), writable.to_le_bytes());
    }

    /// Room for a capability of the old kind; returns where it is.
    pub fn add_cap(&mut self, id: u8, size: usize) -> usize {
        let at = self.cap_free;
        self.bytes[self.cap_link] = at as u8;
        self.bytes[at] = id;
        self.cap_link = at + 1;
        self.cap_free = (at + size).next_multiple_of(4);
        assert!(self.cap_free <= FIRST_EXT_CAP);
        at
    }

    /// Room for an extended capability, version 1; returns where it is.
    pub fn add_ext_cap(&mut self, id: u16, size: usize) -> usize {
        let at = self.ext_free;
        if let Some(before) = self.ext_link {
            let header = self.u32(before) | ((at as u32) << 20);
            self.set_u32(before, header, 0);
        }
        self.set_u32(at, u32::from(id) | (1 << 16), 0);
        self.ext_link = Some(at);
        self.ext_free = (at + size).next_multiple_of(8);
        assert!(self.ext_free <= SIZE);
        at
    }

    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | (u32::from(self.u16(at + 2)) << 16)
    }

    /// What is beyond the end reads as ones.
    pub fn read(&self, at: u64, data: &mut [u8]) {
        data.fill(0xff);
        if let Some(range) = inside(at, data.len()) {
            data.copy_from_slice(&self.bytes[range]);
        }
    }

    /// A write by the host, of which the bits count that can be written.
    pub fn write(&mut self, at: u64, data: &[u8]) {
        let Some(range) = inside(at, data.len()) else {
            return;
        };
        for (i, new) in range.zip(data) {
            let mask = self.writable[i];
            self.bytes[i] = self.bytes[i] & !mask | new & mask;
        }
    }
}

fn inside(at: u64, len: usize) -> Option<Range<usize>> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(len)?;
    (end <= SIZE).then_some(at..end)
}

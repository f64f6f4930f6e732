// SPDX-License-Identifier: GPL-2.0-only
//! Memory that the device can reach: what QEMU said is mapped, by the files that the memory is in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::rc::{Rc, Weak};

use vfio_user::DmaMapFlags;

#[derive(Clone)]
struct Mapping {
    /// Its last address, for one may end where there is none after it.
    last: u64,
    /// Nothing that a device may touch, such as another device's registers, has none.
    file: Option<Rc<File>>,
    /// In the file, of its first byte.
    offset: u64,
    rights: DmaMapFlags,
}

/// Mappings, by their first address.  No two of them overlap.
#[derive(Default)]
pub struct Memory {
    mappings: BTreeMap<u64, Mapping>,
    /// A descriptor comes with each mapping, mostly of a file that is there already.
    files: Vec<Weak<File>>,
}

/// A part of an access that one mapping serves.
struct Piece {
    file: Rc<File>,
    offset: u64,
    len: usize,
}

impl Memory {
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        file: Option<File>,
        offset: u64,
        rights: DmaMapFlags,
    ) -> io::Result<()> {
        let last = last(address, size)?;
        let file = file.map(|file| self.share(file)).transpose()?;
        self.unmap(address, last);
        let mapping = Mapping {
            last,
            file,
            offset,
            rights,
        };
        self.mappings.insert(address, mapping);
        Ok(())
    }

    /// All from the first to the last address.  A mapping of which a part is left is cut.
    pub fn unmap(&mut self, first: u64, last: u64) {
        let hit: Vec<u64> = self
            .mappings
            .range(..=last)
            .filter(|(_, mapping)| mapping.last >= first)
            .map(|(address, _)| *address)
            .collect();
        for address in hit {
            let Some(mapping) = self.mappings.remove(&address) else {
                continue;
            };
            if address < first {
                let mut before = mapping.clone();
                before.last = first - 1;
                self.mappings.insert(address, before);
            }
            if mapping.last > last {
                let mut after = mapping;
                after.offset += last + 1 - address;
                self.mappings.insert(last + 1, after);
            }
        }
    }

    /// The device reads; false if it must not, or nothing is there, in which case nothing was read.
    pub fn read(&self, address: u64, data: &mut [u8]) -> io::Result<bool> {
        let Some(pieces) = self.pieces(address, data.len(), DmaMapFlags::READ) else {
            return Ok(false);
        };
        let mut rest = data;
        for piece in pieces {
            let (now, later) = rest.split_at_mut(piece.len);
            piece.file.read_exact_at(now, piece.offset)?;
            rest = later;
        }
        Ok(true)
    }

    /// The device writes, all or nothing.
    pub fn write(&self, address: u64, data: &[u8]) -> io::Result<bool> {
        let Some(pieces) = self.pieces(address, data.len(), DmaMapFlags::WRITE) else {
            return Ok(false);
        };
        let mut rest = data;
        for piece in pieces {
            let (now, later) = rest.split_at(piece.len);
            piece.file.write_all_at(now, piece.offset)?;
            rest = later;
        }
        Ok(true)
    }

    fn pieces(&self, address: u64, len: usize, right: DmaMapFlags) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let (mut at, mut left) = (address, len);
        while left > 0 {
            let (first, mapping) = self.mappings.range(..=at).next_back()?;
            if mapping.last < at || !mapping.rights.contains(right) {
                return None;
            }
            let room = usize::try_from(mapping.last - at).unwrap_or(usize::MAX);
            let len = left.min(room.saturating_add(1));
            pieces.push(Piece {
                file: mapping.file.clone()?,
                offset: mapping.offset + (at - first),
                len,
            });
            left -= len;
            if left > 0 {
                at = at.checked_add(len as u64)?;
            }
        }
        Some(pieces)
    }

    /// The file, or the same one if it is there already.
    fn share(&mut self, file: File) -> io::Result<Rc<File>> {
        let name = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
        let wanted = name(&file)?;
        self.files.retain(|file| file.strong_count() > 0);
        for known in self.files.iter().filter_map(Weak::upgrade) {
            if name(&known)? == wanted {
                return Ok(known);
            }
        }
        let file = Rc::new(file);
        self.files.push(Rc::downgrade(&file));
        Ok(file)
    }
}

/// The last of that many addresses.
pub fn last(address: u64, size: u64) -> io::Result<u64> {
    size.checked_sub(1)
        .and_then(|more| address.checked_add(more))
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

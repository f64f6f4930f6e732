// SPDX-License-Identifier: GPL-2.0-only
//! The open files of a sequence: which descriptor of which process is which file, and what the results of calls
//! tell about it.

use std::os::fd::RawFd;

use crate::random::Random;
use crate::worker::{FILES, SLOTS};

/// Which device, group or IOAS; an index into a table of the fuzzer.
pub type Index = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The node of a device.
    Cdev(Index),
    Group(Index),
    /// A device, from its group.
    GroupDevice(Index),
    Container,
    Iommufd,
    Kvm,
    Vm,
    /// KVM's VFIO device.
    KvmVfio,
    Eventfd,
    /// A file that is none of these.
    Other,
}

impl Kind {
    pub fn is_device(self) -> bool {
        matches!(self, Self::Cdev(_) | Self::GroupDevice(_))
    }

    pub fn is_group(self) -> bool {
        matches!(self, Self::Group(_))
    }
}

/// A kind of object of an iommufd.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Object {
    Device,
    Ioas,
    PageTable,
}

/// An open file.
pub struct File {
    pub kind: Kind,
    /// For a device file the iommufd that it was bound to; for a group what its SET_CONTAINER was given.
    pub backend: Option<Index>,
    /// The objects that an iommufd has made.
    pub ids: Vec<(Object, u32)>,
    /// VFIO_SET_IOMMU of the container has succeeded.
    pub has_driver: bool,
    /// The files that were added to a VFIO device of KVM.
    pub added: Vec<Index>,
    /// How many descriptors, messages and mappings keep it.
    pub users: u32,
}

/// The processes: the fuzzer is 0.
pub const PROCESSES: usize = 3;

#[derive(Default)]
pub struct Files {
    pub files: Vec<File>,
    /// For each process, what its slots hold.
    pub slots: [[Option<Index>; SLOTS]; PROCESSES],
    /// Files in messages that nobody has received.
    pub sent: Vec<Index>,
}

impl Files {
    pub fn fd(slot: usize) -> RawFd {
        FILES + slot as RawFd
    }

    pub fn free_slot(&self) -> Option<usize> {
        (0..SLOTS).find(|&slot| self.slots.iter().all(|process| process[slot].is_none()))
    }

    pub fn add(&mut self, kind: Kind) -> Index {
        self.files.push(File {
            kind,
            backend: None,
            ids: Vec::new(),
            has_driver: false,
            added: Vec::new(),
            users: 0,
        });
        self.files.len() - 1
    }

    pub fn put(&mut self, process: usize, slot: usize, file: Index) {
        self.files[file].users += 1;
        self.slots[process][slot] = Some(file);
    }

    pub fn take(&mut self, process: usize, slot: usize) -> Option<Index> {
        let file = self.slots[process][slot].take()?;
        self.files[file].users -= 1;
        Some(file)
    }

    pub fn at(&self, slot: usize) -> Option<&File> {
        self.slots[0][slot].map(|file| &self.files[file])
    }

    pub fn at_mut(&mut self, slot: usize) -> Option<&mut File> {
        self.slots[0][slot].map(|file| &mut self.files[file])
    }

    /// The slots of the fuzzer whose files are wanted.
    pub fn all(&self, is_wanted: impl Fn(&File) -> bool) -> Vec<usize> {
        (0..SLOTS)
            .filter(|&slot| self.at(slot).is_some_and(&is_wanted))
            .collect()
    }

    /// One of them; now and then any other slot.
    pub fn pick(&self, random: &mut Random, is_wanted: impl Fn(&File) -> bool) -> Option<usize> {
        let wanted = self.all(is_wanted);
        if wanted.is_empty() || random.percent(4) {
            let all = self.all(|_| true);
            return (!all.is_empty() && random.percent(if wanted.is_empty() { 3 } else { 100 }))
                .then(|| random.of(&all));
        }
        Some(random.of(&wanted))
    }

    /// A descriptor as an argument: usually of a wanted file, rarely of another one or of none.
    pub fn pick_fd(&self, random: &mut Random, is_wanted: impl Fn(&File) -> bool) -> RawFd {
        match random.below(100) {
            0 => -1,
            1 => 1 << 20,
            2 => Self::fd(SLOTS),
            _ => self
                .pick(random, is_wanted)
                .map_or(Self::fd(SLOTS), Self::fd),
        }
    }

    /// A slot of the fuzzer that holds a wanted file.
    pub fn slot_of(&self, is_wanted: impl Fn(Index) -> bool) -> Option<usize> {
        self.slots[0]
            .iter()
            .position(|file| file.is_some_and(&is_wanted))
    }

    /// The file of the fuzzer with a descriptor.
    pub fn at_fd(&self, fd: RawFd) -> Option<Index> {
        let slot = usize::try_from(fd - FILES).ok()?;
        *self.slots[0].get(slot)?
    }

    /// Tells whether any process, message or mapping keeps a wanted file.
    pub fn any(&self, is_wanted: impl Fn(&File) -> bool) -> bool {
        self.files
            .iter()
            .any(|file| file.users != 0 && is_wanted(file))
    }
}

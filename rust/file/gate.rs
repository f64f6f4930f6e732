// SPDX-License-Identifier: GPL-2.0-only

//! The gate between a file and its device.  A file of the device itself is closed until it is
//! bound, and open from then on; one that comes by way of the group is open from the start.
//!
//! C counterpart: `vfio_device_file::access_granted`, published with release and read with acquire
//! semantics.  Here the flag and what it guards are one value.

use crate::{
    device::open::OpenDevice,
    group::GroupBlock,
    shared::vfio::{Device, Open, RegistrationRef},
};
use kernel::sync::SetOnce;

/// Why a file has access.
pub(super) enum Granted {
    /// It is bound to an iommufd.
    Bound(BoundFile),
    /// Its group has an iommufd.
    Group(OpenDevice),
}

/// A bound file's hold on its device.  Dropped at close, in the order of the fields.
pub(crate) struct BoundFile {
    /// Closes the device, under the set's lock.
    open: OpenDevice,
    /// Keeps the group's own file closed.
    _block: GroupBlock,
    /// Last: who waits for the device's users finds the group free.
    _registration: RegistrationRef,
}

impl BoundFile {
    pub(super) fn new(open: OpenDevice, block: GroupBlock, registration: RegistrationRef) -> Self {
        Self {
            open,
            _block: block,
            _registration: registration,
        }
    }

    #[inline]
    pub(super) fn open(&self) -> &OpenDevice {
        &self.open
    }
}

/// The gate; closed when the file is.
pub(crate) struct AccessGate(SetOnce<Granted>);

impl AccessGate {
    /// A closed gate.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// The device, if the gate is open.
    #[inline]
    pub(crate) fn pass(&self) -> Option<&Device<Open>> {
        self.opened().map(OpenDevice::device)
    }

    /// What the gate guards, if it is open.
    #[inline]
    pub(super) fn opened(&self) -> Option<&OpenDevice> {
        self.0.as_ref().map(|granted| match granted {
            Granted::Bound(bound) => bound.open(),
            Granted::Group(open) => open,
        })
    }

    /// Opens the gate, once.  A second value is dropped, that is, undone; it cannot come about,
    /// for a device is bound once at a time.
    pub(super) fn open(&self, granted: Granted) {
        self.0.populate(granted);
    }
}

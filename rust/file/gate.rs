// SPDX-License-Identifier: GPL-2.0-only

//! The access gate between a file and its device.
//!
//! The gate of a cdev file opens when the file is bound.  The gate of a file from the group is open from the
//! start.  An open gate stays open.
//!
//! C counterpart: `vfio_device_file::access_granted`, which C writes with release and reads with acquire
//! semantics.  Here the flag and the value that it guards are the same object.

use crate::{
    device::open::OpenDevice,
    group::GroupBlock,
    shared::vfio::{Device, Open, RegistrationRef},
};
use kernel::sync::SetOnce;

/// The reason for which a file has access.
pub(super) enum Access {
    /// The file is bound to an iommufd.
    Bound(BoundFile),
    /// The file was opened through its group.
    Group(OpenDevice),
}

/// The resources of a bound file.  The close of the file drops them in declaration order.
pub(crate) struct BoundFile {
    /// The drop closes the device, under the set's lock.
    open: OpenDevice,
    /// While this exists, the group's own file cannot be opened.
    _block: GroupBlock,
    /// The last field, so that a task that waits for the users of the device finds the group unblocked.
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
    pub(super) fn open_device(&self) -> &OpenDevice {
        &self.open
    }
}

/// The gate of a file.  The close of the file drops the value in it.
pub(crate) struct AccessGate(SetOnce<Access>);

impl AccessGate {
    /// Returns a closed gate.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Returns the device, if the gate is open.
    #[inline]
    pub(crate) fn device(&self) -> Option<&Device<Open>> {
        self.open_device().map(OpenDevice::device)
    }

    /// Returns the open device that the gate guards, if the gate is open.
    #[inline]
    pub(super) fn open_device(&self) -> Option<&OpenDevice> {
        self.0.as_ref().map(|access| match access {
            Access::Bound(bound) => bound.open_device(),
            Access::Group(open) => open,
        })
    }

    /// Opens the gate, once.  A second value would be dropped, which undoes it.  There is no second value,
    /// because a device is bound at most once at a time.
    pub(super) fn grant(&self, access: Access) {
        self.0.populate(access);
    }
}

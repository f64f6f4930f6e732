// SPDX-License-Identifier: GPL-2.0-only

//! The gate between a file and its device: closed until the file is bound, open from then on.
//!
//! C counterpart: `vfio_device_file::access_granted`, published with release and read with acquire
//! semantics.  Here the flag and what it guards are one value.

use super::bind::Bound;
use crate::kapi::vfio::{Device, Open};
use kernel::sync::SetOnce;

/// The gate; closed when the file is.
pub(crate) struct AccessGate(SetOnce<Bound>);

impl AccessGate {
    /// A closed gate.
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// The device, if the gate is open.
    #[inline]
    pub(crate) fn pass(&self) -> Option<&Device<Open>> {
        self.0.as_ref().map(Bound::device)
    }

    /// Opens the gate, once.  A second value is dropped, that is, undone; it cannot come about,
    /// for a device is bound once at a time.
    pub(super) fn open(&self, bound: Bound) {
        self.0.populate(bound);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Device files: their access gate.

#[allow(clippy::all, dead_code)]
#[path = "../../../rust/file/bind.rs"]
mod bind;

use crate::{
    device::{open::OpenDevice, State},
    group::Group,
    kapi::kvm::KvmSlot,
    shared::vfio::{Generation, RegistrationRef},
};
use kernel::{
    device::Bound,
    prelude::*,
    sync::{Arc, SetOnce},
    uaccess::UserPtr,
};

/// A device file.  Its methods are those of the module's type.
pub(crate) struct DeviceFile {
    opened: SetOnce<OpenDevice>,
    kvm: Arc<KvmSlot>,
    state: Arc<State>,
    generation: Generation,
}

impl DeviceFile {
    /// Opens the node of the device.
    pub(crate) fn open_cdev(state: Arc<State>) -> Result<Self> {
        let generation = state.link().current().ok_or(ENODEV)?;
        let file = Self::new(state, generation);
        match file.is_connected() {
            true => Ok(file),
            false => Err(ENODEV),
        }
    }

    pub(crate) fn new(state: Arc<State>, generation: Generation) -> Self {
        Self {
            opened: SetOnce::new(),
            kvm: Arc::pin_init(KvmSlot::new(), GFP_KERNEL).expect("allocations do not fail"),
            state,
            generation,
        }
    }

    pub(crate) fn kvm(&self) -> &Arc<KvmSlot> {
        &self.kvm
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The ioctl `VFIO_DEVICE_BIND_IOMMUFD`.
    pub(crate) fn bind(&self) -> Result {
        bind::bind(self, UserPtr)
    }

    pub(crate) fn has_access(&self) -> bool {
        self.opened.as_ref().is_some()
    }

    pub(crate) fn grant(&self, opened: OpenDevice) {
        assert!(self.opened.populate(opened), "access is granted twice");
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state.link().is_connected(self.generation)
    }

    pub(crate) fn registration(&self) -> Option<(RegistrationRef, Arc<Group>)> {
        let link = self.state.link();
        link.registration(self.generation, |link| link.group().clone())
    }

    fn with_parent<R>(&self, f: impl FnOnce(&kernel::device::Device<Bound>) -> R) -> Option<R> {
        match self.opened.as_ref() {
            Some(opened) => Some(f(opened.device().bound_parent())),
            None => self.state.with_parent(self.generation, f),
        }
    }

    fn trace(&self, _: impl Fn(c_int, &CStr)) {}
}

fn errno_of<T>(result: &Result<T>) -> c_int {
    result.as_ref().err().map_or(0, |e| e.to_errno())
}

// SPDX-License-Identifier: GPL-2.0-only

//! The core's own state of a device, without its parts that no model uses.

#[allow(clippy::all, dead_code)]
#[path = "../../../rust/device/open.rs"]
pub(crate) mod open;

use crate::{
    container::ContainerHandle,
    group::{Group, Membership},
    kapi::ratelimit::RateLimit,
    shared::vfio::{set::LockedState, DeviceLink, Generation},
    sva::BoundProcesses,
};
use kernel::{
    device::Bound,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

pub(crate) struct GroupLink {
    pub(crate) group: Arc<Group>,
    pub(crate) key: u64,
}

impl GroupLink {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

#[pin_data]
pub(crate) struct State {
    #[pin]
    link: DeviceLink<GroupLink>,
    locked: LockedState,
    #[pin]
    refusals: RateLimit,
    #[pin]
    container: SpinLock<Option<ContainerHandle>>,
    #[pin]
    pub(crate) membership: Mutex<Option<Membership>>,
}

impl State {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            link <- DeviceLink::new(),
            locked: LockedState::new(),
            refusals <- RateLimit::new(c""),
            container <- new_spinlock!(None),
            membership <- new_mutex!(None),
        })
    }

    pub(crate) fn link(&self) -> &DeviceLink<GroupLink> {
        &self.link
    }

    pub(crate) fn locked(&self) -> &LockedState {
        &self.locked
    }

    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    pub(crate) fn processes(&self) -> Option<&Arc<BoundProcesses>> {
        None
    }

    pub(crate) fn container(&self) -> Option<ContainerHandle> {
        self.container.lock().clone()
    }

    pub(crate) fn set_container(&self, handle: Option<ContainerHandle>) -> Option<ContainerHandle> {
        core::mem::replace(&mut *self.container.lock(), handle)
    }

    fn set_holds_vm(&self, _: bool) {}

    pub(crate) fn with_parent<R>(
        &self,
        generation: Generation,
        f: impl FnOnce(&kernel::device::Device<Bound>) -> R,
    ) -> Option<R> {
        let (registration, ()) = self.link.registration(generation, |_| ())?;
        Some(f(registration.bound_parent()))
    }
}

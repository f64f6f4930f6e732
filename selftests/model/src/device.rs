// SPDX-License-Identifier: GPL-2.0-only

//! The core's own state of a device, without its parts that no model uses.

#[allow(clippy::all, dead_code)]
#[path = "../../../rust/device/open.rs"]
pub(crate) mod open;
#[allow(clippy::all, dead_code)]
#[path = "../../../rust/device/registration.rs"]
pub(crate) mod registration;

use crate::{
    container::ContainerHandle,
    group::{Group, Membership},
    kapi::{
        cdev::{Cdev, CharRegion},
        debugfs::Dir,
        ratelimit::RateLimit,
    },
    shared::vfio::{set::LockedState, Added, DeviceLink, Generation},
    sva::BoundProcesses,
};
use kernel::{
    device::Bound,
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

mod debugfs {
    use super::{Added, Arc, Dir};
    use crate::shared::vfio::Device;

    pub(super) fn show(_: &mut Added, _: Arc<Dir>) {}

    pub(super) fn with_holders(_: &Device, _: Arc<Dir>) {}
}

mod sets {
    use crate::shared::vfio::Registering;
    use kernel::prelude::*;

    pub(super) fn assign(_: &mut Registering<'_>, _: usize) -> Result {
        unreachable!("each device has a set");
    }
}

/// What all devices share: nothing.  The models open a device by its state, as a node does that user space has kept.
struct Devices {
    region: Option<CharRegion<State>>,
    debugfs: Option<Arc<Dir>>,
}

struct NoDevices;

static DEVICES: NoDevices = NoDevices;

impl NoDevices {
    fn lock(&self) -> Option<Devices> {
        None
    }
}

pub(crate) struct GroupLink {
    pub(crate) group: Arc<Group>,
    pub(crate) key: u64,
}

impl GroupLink {
    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

struct Registration {
    added: Added,
    cdev: Option<Cdev<State>>,
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
    membership: Mutex<Option<Membership>>,
    #[pin]
    registration: Mutex<Option<Registration>>,
}

impl State {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            link <- DeviceLink::new(),
            locked: LockedState::new(),
            refusals <- RateLimit::new(c""),
            container <- new_spinlock!(None),
            membership <- new_mutex!(None),
            registration <- new_mutex!(None),
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

    fn minor(&self) -> u32 {
        0
    }

    fn init_processes(&self) -> Result {
        Ok(())
    }

    /// Returns the holders for the log.
    fn current_holders(&self) -> &'static str {
        "a file"
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

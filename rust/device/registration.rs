// SPDX-License-Identifier: GPL-2.0-only

//! Registration and unregistration of a device.
//!
//! C counterpart: `__vfio_register_dev()` and `vfio_unregister_group_dev()`.
//!
//! A device can be opened before it is announced: whoever reacts to its uevent finds it ready.
//! Unregistration undoes registration in reverse, with a wait in the middle until nobody has the
//! device open.  No lock is held over the wait or over the driver's `request`.

use super::{debugfs, sets, Link, Registration, State, DEVICES};
use crate::{
    group::{Backing, Group, Room},
    kapi::{
        cdev::{Cdev, DevT},
        completion::Wait,
        debugfs::Dir,
        device::has_iommu,
        iommu, panic,
        sched::TaskId,
    },
    shared::{
        params::enable_unsafe_noiommu_mode,
        vfio::{
            registering::{Draining, Ready, Started},
            Device, Owner, RegistrationRef,
        },
    },
};
use kernel::{dev_warn, prelude::*, sync::Arc, time::msecs_to_jiffies};

/// How often the driver is asked again to make its user let go, in milliseconds.
const REQUEST_PERIOD: u32 = 10_000;

/// How a device does its DMA.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By itself, through an IOMMU.
    Physical,
    /// By its driver, which reads and writes the user's memory with the CPU.
    Emulated,
}

/// Registers a device.
///
/// # Errors
///
/// `EINVAL` when the driver lacks callbacks that iommufd needs, when a physical device has no IOMMU
/// group (and `enable_unsafe_noiommu_mode` is off), is in one without being behind an IOMMU, is
/// registered already, or its DMA cannot be made coherent; `ENOMEM`; those of `device_add()`.
pub(crate) fn register(mut owner: Owner<'_>, kind: Kind) -> Result {
    if cfg!(CONFIG_IOMMUFD) && crate::kapi::panic::warn_on!(!owner.has_iommufd_ops()) {
        return Err(EINVAL);
    }
    if !owner.has_set() {
        let own = owner.as_raw().addr();
        sets::assign(&mut owner, own)?;
    }

    let backing = match kind {
        // The parameter may change at any time: this registration goes by one look at it.
        Kind::Physical => Backing::of_physical(owner.parent(), enable_unsafe_noiommu_mode())?,
        Kind::Emulated => Backing::Emulated,
    };
    let noiommu = backing.is_noiommu();
    let noiommu_cdev = noiommu && cfg!(CONFIG_IOMMUFD_NOIOMMU) && !has_iommu(owner.parent());

    // It refuses a device that is registered already, of which nothing has been changed so far.
    let membership = Group::join(owner.parent(), backing)?;
    let mut device = owner.ready().ok_or(EINVAL)?;
    let prefix = if noiommu_cdev { c"noiommu-" } else { c"" };
    let index = device.state().index();
    device.set_noiommu(noiommu_cdev);
    device.set_name(prefix, index)?;
    if kind == Kind::Physical && !noiommu && !iommu::cache_coherent(device.parent()) {
        return Err(EINVAL);
    }
    let group = membership.group().clone();
    let has_node = !noiommu || noiommu_cdev;
    // It leads to a device that is not there yet.
    let (devt, cdev) = make_node(&device, has_node)?;
    let room = group.room()?;
    if noiommu {
        taint(&device, noiommu_cdev);
    }
    *device.state().membership.lock() = Some(membership);
    let (owner, started) = publish(device, group, room);
    let mut added = match started.add(devt) {
        Ok(added) => added,
        Err((started, e)) => {
            // Somebody may have opened it by its number already.
            retract(&owner, cdev);
            end(&owner, started);
            return Err(e);
        }
    };

    if let Some(root) = debugfs_root() {
        debugfs::show(&mut added, root);
    }
    *owner.state().registration.lock() = Some(Registration { added, cdev });
    Ok(())
}

/// Ends a registration: returns when nobody has the device open any more.
pub(crate) fn unregister(owner: Owner<'_>) {
    let Some(registration) = owner.state().registration.lock().take() else {
        return;
    };
    retract(&owner, registration.cdev);
    let started = registration.added.remove();
    end(&owner, started);
}

/// Waits for everybody who has the device open, and ends its place in its group.
fn end(owner: &Owner<'_>, started: Started) {
    let Some(mut draining) = started.end(owner) else {
        return;
    };
    if !draining.try_wait() {
        // The folder has gone with the class device; who is waited for is still to be seen.
        let root = debugfs_root();
        let _holders = root.map(|root| debugfs::with_holders(owner, root));
        drain(&mut draining);
    }
    // Last, and without the lock: this may take the group away.
    let membership = owner.state().membership.lock().take();
    drop(membership);
}

/// After all that can refuse the registration, before anybody can use it.
fn taint(device: &Device, cdev: bool) {
    if cfg!(CONFIG_VFIO_GROUP) {
        panic::taint_user();
        dev_warn!(
            device.parent(),
            "Adding kernel taint for vfio-noiommu group on device\n"
        );
    }
    if cdev {
        panic::taint_user();
        dev_warn!(
            device.parent(),
            "Adding kernel taint for vfio-noiommu cdev\n"
        );
    }
}

/// Makes the character device, if the device is to have a node: the first result is the node's
/// number, or 0.
fn make_node(device: &Device, has_node: bool) -> Result<(DevT, Option<Cdev<State>>)> {
    let devices = DEVICES.lock();
    let region = devices.as_ref().and_then(|d| d.region.as_ref());
    let Some(region) = region.filter(|_| has_node) else {
        return Ok((0, None));
    };
    let state: Arc<State> = device.state().into();
    let minor = state.index();
    Ok((region.devt(minor), Some(region.add(minor, state)?)))
}

/// Lets files reach the device, and references on its registration be taken.
fn publish(device: Ready<'_>, group: Arc<Group>, room: Room) -> (Owner<'_>, Started) {
    let (owner, started) = device.start();
    let epoch = started.connect(Link {
        group: group.clone(),
        key: room.key(),
    });
    if let Some(listed) = RegistrationRef::try_get(&started) {
        group.add(room, listed, epoch);
    }
    (owner, started)
}

/// The counterpart of [`make_node`] and [`publish`]: no more opens, and files that are not bound lose
/// the device.
fn retract(device: &Device, cdev: Option<Cdev<State>>) {
    drop(cdev);
    if let Some(link) = device.state().link.sever() {
        link.group().remove(link.key);
    }
}

fn debugfs_root() -> Option<Arc<Dir>> {
    DEVICES.lock().as_ref()?.debugfs.clone()
}

/// Waits until the last reference on the registration is gone, asking the driver at once and
/// every 10 seconds to make its user let go.
///
/// Interruptible until the first signal, which brings a message: what waits and for whom.
fn drain(device: &mut Draining<'_>) {
    let period = msecs_to_jiffies(REQUEST_PERIOD);
    let mut interrupted = false;
    let mut count = 0u32;
    loop {
        device.request(count);
        count = count.wrapping_add(1);
        let wait = match interrupted {
            true => device.wait_timeout(period),
            false => device.wait_interruptible_timeout(period),
        };
        match wait {
            Wait::Done => return,
            Wait::TimedOut => {}
            Wait::Interrupted => {
                interrupted = true;
                let keepers = device.state().keepers();
                dev_warn!(
                    device.parent(),
                    "Device is currently in use, task {} blocked until device is released by {}\n",
                    TaskId::current(),
                    keepers
                );
            }
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The registration and unregistration of a device.
//!
//! C counterpart: `__vfio_register_dev()` and `vfio_unregister_group_dev()`.
//!
//! A device can be opened before it is announced, so a program that reacts to its uevent finds it ready.
//! Unregistration undoes registration in reverse order, and waits in between until all opens have ended.  No
//! lock is held during this wait or during the driver's `request`.

use super::{debugfs, sets, GroupMembership, Registration, State, DEVICES};
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
    shared::vfio::{
        iommu_driver::GroupType,
        registering::{Draining, Ready, Started},
        Device, Owner, RegistrationRef,
    },
};
use kernel::{dev_warn, prelude::*, sync::Arc, time::msecs_to_jiffies};

/// The period in milliseconds in which the driver is asked to make its user release the device.
const REQUEST_PERIOD: u32 = 10_000;

/// Registers a device, which accesses memory as `backing` says about its parent.  May sleep.
///
/// C counterpart: `vfio_register_group_dev()` and `vfio_register_emulated_iommu_dev()`.
///
/// # Errors
///
/// - `EINVAL`, one of these:
///   - the driver lacks callbacks that iommufd needs;
///   - a physical device has no IOMMU group, and `enable_unsafe_noiommu_mode` is off;
///   - a physical device is in an IOMMU group without being behind an IOMMU;
///   - the device is already registered;
///   - the DMA of a physical device cannot be made coherent.
/// - `ENOMEM`: out of memory.
/// - Those of [`Group::join`].
/// - Those of `device_add()`.
pub(crate) fn register(
    mut owner: Owner<'_>,
    backing: fn(&kernel::device::Device) -> Result<Backing>,
) -> Result {
    if cfg!(CONFIG_IOMMUFD) && crate::kapi::panic::warn_on!(!owner.has_iommufd_ops()) {
        return Err(EINVAL);
    }
    if !owner.has_set() {
        let own = owner.as_raw().addr();
        sets::assign(&mut owner, own)?;
    }

    let backing = backing(owner.parent())?;
    let kind = backing.kind();
    let noiommu = kind == GroupType::NoIommu;
    let noiommu_cdev = noiommu && cfg!(CONFIG_IOMMUFD_NOIOMMU) && !has_iommu(owner.parent());

    // This fails for a device that is already registered, and the device is unchanged so far.
    let membership = Group::join(owner.parent(), backing)?;
    let mut device = owner.ready().ok_or(EINVAL)?;
    let prefix = if noiommu_cdev { c"noiommu-" } else { c"" };
    let minor = device.state().minor();
    device.set_noiommu(noiommu_cdev);
    device.set_name(prefix, minor)?;
    if kind == GroupType::Iommu && !iommu::cache_coherent(device.parent()) {
        return Err(EINVAL);
    }
    let group = membership.group().clone();
    let has_node = !noiommu || noiommu_cdev;
    // The node exists before the device is published; its opens fail until then.
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
            // A process can have opened the device by its device number already.
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

/// Ends a registration.  Waits until all opens of the device and all other references have ended.  Returns at
/// once if the device is not registered.
pub(crate) fn unregister(owner: Owner<'_>) {
    let Some(registration) = owner.state().registration.lock().take() else {
        return;
    };
    retract(&owner, registration.cdev);
    let started = registration.added.remove();
    end(&owner, started);
}

/// Waits for all holders of the device, then ends its membership in its group.
fn end(owner: &Owner<'_>, started: Started) {
    let Some(mut draining) = started.end(owner) else {
        return;
    };
    if !draining.try_wait() {
        // The debugfs folder was removed with the class device; this makes `holders` visible during the wait.
        let root = debugfs_root();
        let _holders = root.map(|root| debugfs::with_holders(owner, root));
        drain(&mut draining);
    }
    // This comes last and runs without the lock, because it can free the group.
    let membership = owner.state().membership.lock().take();
    drop(membership);
}

/// Taints the kernel.  This runs after all checks that can refuse the registration, and before the device can
/// be used.
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

/// Makes the character device, if the device gets a node.  The first result is the device number of the node,
/// or 0.
fn make_node(device: &Device, has_node: bool) -> Result<(DevT, Option<Cdev<State>>)> {
    let devices = DEVICES.lock();
    let region = devices.as_ref().and_then(|d| d.region.as_ref());
    let Some(region) = region.filter(|_| has_node) else {
        return Ok((0, None));
    };
    let state: Arc<State> = device.state().into();
    let minor = state.minor();
    Ok((region.devt(minor), Some(region.add(minor, state)?)))
}

/// Permits references on the registration, connects the files to the device, and adds the device to its
/// group.
fn publish(device: Ready<'_>, group: Arc<Group>, room: Room) -> (Owner<'_>, Started) {
    let (owner, started) = device.start();
    let generation = started.connect(GroupMembership {
        group: group.clone(),
        key: room.key(),
    });
    if let Some(listed) = RegistrationRef::try_get(&started) {
        group.add(room, listed, generation);
    }
    (owner, started)
}

/// Undoes [`make_node`] and [`publish`]: no more opens succeed, and unbound files lose the device.
fn retract(device: &Device, cdev: Option<Cdev<State>>) {
    drop(cdev);
    if let Some(membership) = device.state().link.revoke() {
        membership.group().remove(membership.key);
    }
}

fn debugfs_root() -> Option<Arc<Dir>> {
    DEVICES.lock().as_ref()?.debugfs.clone()
}

/// Waits until the last reference on the registration is dropped.  Asks the driver immediately and every 10
/// seconds to make its user release the device.
///
/// The wait is interruptible until the first signal.  The signal causes a log message that names the waiting
/// task and the holders.
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

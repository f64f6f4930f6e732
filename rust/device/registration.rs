// SPDX-License-Identifier: GPL-2.0-only

//! The registration and unregistration of a device.
//!
//! C counterpart: `__vfio_register_dev()` and `vfio_unregister_group_dev()`.
//!
//! A device can be opened before its uevent is sent, so a program that reacts to the uevent can open the
//! device at once.
//!
//! Unregistration has these steps:
//!
//! 1. It removes the character device, revokes the link, and removes the device from the group's list of
//!    devices.  Now the device cannot be opened any more.
//! 2. It removes the debugfs directory and the class device.
//! 3. It drops the first registration reference, and waits until all other references are dropped.  No lock
//!    is held during this wait or during the driver's `request`.
//! 4. It ends the membership of the device in its group.

use super::{debugfs, sets, GroupLink, Registration, State, DEVICES};
use crate::{
    group::{Backing, Group, Reservation},
    kapi::{
        cdev::{Cdev, DevT},
        completion::Wait,
        debugfs::Dir,
        device::has_iommu,
        iommu,
        iommu_sva::max_pasids,
        panic,
        sched::TaskId,
    },
    shared::vfio::{
        iommu_driver::GroupType,
        registering::{Draining, Ready, Started},
        Device, Registering, RegistrationRef,
    },
};
use kernel::{dev_warn, prelude::*, sync::Arc, time::msecs_to_jiffies};

/// The time between two calls of the driver's `request`, in milliseconds.
const REQUEST_PERIOD: u32 = 10_000;

/// Registers a device.  `backing` returns how the device accesses memory; its argument is the parent of the
/// device.  May sleep.
///
/// C counterpart: `vfio_register_group_dev()` and `vfio_register_emulated_iommu_dev()`.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: the driver lacks callbacks that iommufd needs.  This also warns.
/// - Those of [`sets::assign`], if the driver has not assigned a set.
/// - Those of `backing`.
/// - Those of [`Group::join`].
/// - `EINVAL`: the device is already registered.
/// - `EINVAL`: the IOMMU of a physical device cannot make DMA coherent (`IOMMU_CAP_CACHE_COHERENCY`).
/// - Those of `device_add()`.
///
/// `ENOMEM` is possible at several of these steps.
pub(crate) fn register(
    mut registering: Registering<'_>,
    backing: fn(&kernel::device::Device) -> Result<Backing>,
) -> Result {
    if cfg!(CONFIG_IOMMUFD) && crate::kapi::panic::warn_on!(!registering.has_iommufd_ops()) {
        return Err(EINVAL);
    }
    if !registering.has_set() {
        let own = registering.as_raw().addr();
        sets::assign(&mut registering, own)?;
    }

    let backing = backing(registering.parent())?;
    let group_type = backing.group_type();
    let noiommu = group_type == GroupType::NoIommu;
    let noiommu_cdev = noiommu && cfg!(CONFIG_IOMMUFD_NOIOMMU) && !has_iommu(registering.parent());

    // The join fails for a device that is already registered.  The device is unchanged so far.
    let membership = Group::join(registering.parent(), backing)?;
    let mut device = registering.ready().ok_or(EINVAL)?;
    let prefix = if noiommu_cdev { c"noiommu-" } else { c"" };
    let minor = device.state().minor();
    device.set_noiommu(noiommu_cdev);
    device.set_name(prefix, minor)?;
    if group_type == GroupType::Iommu && !iommu::cache_coherent(device.bound_parent()) {
        return Err(EINVAL);
    }
    if group_type == GroupType::Iommu && max_pasids(device.bound_parent()) != 0 {
        device.state().init_processes()?;
    }
    let group = membership.group().clone();
    let has_node = !noiommu || noiommu_cdev;
    // The character device exists before the device is published.  Its opens fail until then.
    let (devt, cdev) = make_node(&device, has_node)?;
    let reservation = group.reserve()?;
    if noiommu {
        taint(&device, noiommu_cdev);
    }
    *device.state().membership.lock() = Some(membership);
    let (registering, started) = publish(device, group, reservation);
    let mut added = match started.add(devt) {
        Ok(added) => added,
        Err((started, e)) => {
            // A process can have opened the device by its device number already.
            retract(&registering, cdev);
            end(&registering, started);
            return Err(e);
        }
    };

    if let Some(root) = debugfs_root() {
        debugfs::show(&mut added, root);
    }
    *registering.state().registration.lock() = Some(Registration { added, cdev });
    Ok(())
}

/// Unregisters a device.  Waits until all opens of the device have ended and all other registration
/// references are dropped.  Returns at once if the device is not registered.  The caller holds no lock of the core.
///
/// C counterpart: `vfio_unregister_group_dev()`.
pub(crate) fn unregister(registering: Registering<'_>) {
    let Some(registration) = registering.state().registration.lock().take() else {
        return;
    };
    retract(&registering, registration.cdev);
    let started = registration.added.remove();
    end(&registering, started);
}

/// Waits until all registration references are dropped, then ends the membership of the device in its group.
fn end(registering: &Registering<'_>, started: Started) {
    let Some(mut draining) = started.end(registering) else {
        return;
    };
    if !draining.try_wait() {
        // The debugfs directory was removed before the class device.  Make `holders` again for the wait.
        let root = debugfs_root();
        let _holders = root.map(|root| debugfs::with_holders(registering, root));
        drain(&mut draining);
    }
    // The membership is dropped last, and without the lock of the field, because the drop can free the group.
    let membership = registering.state().membership.lock().take();
    drop(membership);
}

/// Taints the kernel, for a device without an IOMMU.  This runs after all checks that can refuse the
/// registration, and before the device can be used.
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
/// or 0 without a node.
///
/// # Errors
///
/// - `ENOMEM`: out of memory.
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

/// Permits references on the registration, connects the link to the device, and adds the device to the
/// group's list of devices.
fn publish(
    device: Ready<'_>,
    group: Arc<Group>,
    reservation: Reservation,
) -> (Registering<'_>, Started) {
    let (registering, started) = device.start();
    let group_link = GroupLink {
        group: group.clone(),
        key: reservation.key(),
    };
    started.connect(group.group_type(), group_link);
    if let Some(listed) = RegistrationRef::try_get(&started) {
        group.add(reservation, listed);
    }
    (registering, started)
}

/// Undoes [`make_node`], and the link and the list entry of [`publish`].  Afterwards no open and no unbound file finds
/// the device.  The registration goes on: references on it can still be taken.
fn retract(device: &Device, cdev: Option<Cdev<State>>) {
    drop(cdev);
    if let Some(group_link) = device.state().link.revoke() {
        group_link.group().remove(group_link.key);
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
                let holders = device.state().current_holders();
                dev_warn!(
                    device.parent(),
                    "Device is currently in use, task {} blocked until device is released by {}\n",
                    TaskId::current(),
                    holders
                );
            }
        }
    }
}

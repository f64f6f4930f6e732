// SPDX-License-Identifier: GPL-2.0-only

//! `VFIO_GROUP_GET_DEVICE_FD`: device files that are opened through a group.
//!
//! C counterpart: `vfio_group_ioctl_get_device_fd()`.
//!
//! Locks, one after the other: `Group::devices`, to find the device; `Group::inner`, to find the backend; those of
//! [`OpenDevice::by_group`].

use super::{errno_of, DeviceFile, OpenedBy};
use crate::{
    device::open::{OpenDevice, OpenResources},
    group::Group,
    kapi::{file::new_file, sched::TaskId},
    refusal::{Because, Reason, Refusal},
    shared::{
        trace::{self, traced},
        vfio::RegistrationRef,
    },
    uapi::group::read_name,
};
use kernel::{
    dev_warn,
    fs::{
        file::{flags::O_CLOEXEC, FileDescriptorReservation},
        File,
    },
    prelude::*,
    sync::ArcBorrow,
    uaccess::UserPtr,
};

/// Handles `VFIO_GROUP_GET_DEVICE_FD` on `file`, the group file.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`read_name`].
/// - Those of [`Group::find`].
/// - `EMFILE`: no file descriptor is free.
/// - `ENOMEM`: out of memory.
/// - `EINVAL`: the group has neither a container nor an iommufd.
/// - Those of [`OpenDevice::by_group`].
/// - `ENFILE`, `ENOMEM`: no file can be made.
///
/// A failure after the open ends this open again.
pub(super) fn get_device_fd(
    group: ArcBorrow<'_, Group>,
    file: &File,
    arg: UserPtr,
) -> Result<c_int> {
    let mut name = read_name(arg)?;
    let found = group.find(&mut name);
    drop(name);
    let result = match &found {
        Ok(device) => install_device(group, file, device),
        Err(e) => Err(*e),
    };
    traced(trace::open::enabled(), result, |result| {
        let errno = errno_of(result);
        match &found {
            Ok(device) => {
                // CAST: A minor has 20 bits.
                let minor = device.state().minor() as c_int;
                trace::open::record(minor, device.parent().name(), true, errno);
            }
            Err(_) => trace::open::record(-1, c"", true, errno),
        }
    })
}

/// Opens the device, and installs a file descriptor for it in the caller.
fn install_device(
    group: ArcBorrow<'_, Group>,
    group_file: &File,
    registration: &RegistrationRef,
) -> Result<c_int> {
    let fd = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
    let opened = open_device(group, group_file, registration).map_err(|refusal| {
        let state = registration.state();
        refusal.log("open", state.refusals(), |tell| tell(registration.parent()))
    })?;
    let opened = new_file::<DeviceFile>(c"[vfio-device]", opened)?;
    if group.is_noiommu() {
        let user = TaskId::current();
        dev_warn!(
            registration.parent(),
            "vfio-noiommu device opened by user ({}:{})\n",
            user.name(),
            user.pid()
        );
    }
    // CAST: File descriptors are below 2^31.
    let number = fd.reserved_fd() as c_int;
    fd.fd_install(opened);
    Ok(number)
}

/// Returns a file with access to the device.
fn open_device(
    group: ArcBorrow<'_, Group>,
    group_file: &File,
    registration: &RegistrationRef,
) -> Result<Pin<KBox<DeviceFile>>, Refusal> {
    let state = registration.state();
    let generation = registration.generation();
    let file = DeviceFile::new(state.into(), generation, OpenedBy::Group)?;
    let backend = group.backend(group_file).ok_or(EINVAL);
    let backend = backend.because(Reason::NoContainer)?;
    // A VM that KVM assigns to the group after this point has no effect before the next first open.
    let mut resources = Some(OpenResources::new(backend, group.kvm().get(), None));
    file.grant(OpenDevice::by_group(registration, &mut resources)?);
    Ok(file)
}

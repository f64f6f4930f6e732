// SPDX-License-Identifier: GPL-2.0-only

//! Files of groups, and files of devices that are opened by way of their groups.
//!
//! C counterpart: `group.c`, "VFIO Group fd".
//!
//! Locks: the group's, which is not held while a device is opened.

use super::{errno_of, gate::Granted, DeviceFile, Path};
use crate::{
    container::Container,
    device::open::{FirstOpen, OpenDevice},
    group::{Group, Provider},
    kapi::{capability, iommufd::Ctx, sched::TaskId},
    refusal::{Because, Reason, Refusal},
    shared::{
        trace,
        vfio::{severable::Epoch, RegistrationRef},
    },
    uapi::{
        self,
        group::{read_fd, read_name, GetStatus, FLAG_CONTAINER_SET, FLAG_VIABLE},
    },
};
use kernel::{
    dev_warn,
    fs::{
        file::{flags::O_CLOEXEC, FileDescriptorReservation},
        File, LocalFile,
    },
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
    uaccess::UserPtr,
};

/// What the C face knows of files.
pub(crate) struct Files {
    /// Makes a file of the VFS out of a device's.
    pub(crate) make: fn(Pin<KBox<DeviceFile>>) -> Result<ARef<File>>,
    /// The container whose file it is, if it is one.
    pub(crate) container: fn(&LocalFile) -> Option<Arc<Container>>,
}

/// Opens the group; [`release`] is its end.
///
/// # Errors
///
/// In this order: `ENODEV` (its last device has left); `EPERM` (no IOMMU, and the caller lacks
/// `CAP_SYS_RAWIO`); `EBUSY` (open already, or a device of it is bound).
pub(crate) fn open(group: &Group) -> Result {
    group.open(capability::sys_rawio).map_err(|refusal| {
        refusal.tell_of_group("open", group.refusals(), group.id());
        refusal.errno()
    })
}

/// The end of a file that [`open`] opened.  Devices that were opened by it stay open.
pub(crate) fn release(group: Arc<Group>) {
    group.close();
}

/// ioctl(2) on `file`, the group's.  The result is a file descriptor, or 0.
///
/// # Errors
///
/// `ENOTTY` for an unknown one; those of the operation.
pub(crate) fn ioctl(
    group: ArcBorrow<'_, Group>,
    file: &File,
    cmd: u32,
    arg: UserPtr,
    files: &Files,
) -> Result<c_int> {
    match cmd {
        uapi::GROUP_GET_DEVICE_FD => get_device_fd(group, file, arg, files),
        uapi::GROUP_GET_STATUS => get_status(&group, arg).map(|()| 0),
        uapi::GROUP_SET_CONTAINER => set_container(&group, arg, files).map(|()| 0),
        uapi::GROUP_UNSET_CONTAINER => group.unset().map(|()| 0),
        _ => Err(ENOTTY),
    }
}

/// `VFIO_GROUP_GET_STATUS`.  With a container, or an iommufd, the group counts as viable, though
/// the open of a device may show that it is not.
///
/// # Errors
///
/// Those of [`GetStatus::read`]; `ENODEV` when the last device has left; `EFAULT`.
fn get_status(group: &Group, arg: UserPtr) -> Result {
    let arg = GetStatus::read(arg)?;
    let status = group.status()?;
    let mut flags = 0;
    if status.provided {
        flags |= FLAG_CONTAINER_SET;
    }
    if status.viable {
        flags |= FLAG_VIABLE;
    }
    arg.write(flags)
}

/// `VFIO_GROUP_SET_CONTAINER`, with a container's file or an iommufd.
///
/// # Errors
///
/// In this order: `EFAULT`; `EBADF` (not open); those of [`Group::set`], with `EBADFD` for a file
/// of another kind.
fn set_container(group: &Group, arg: UserPtr, files: &Files) -> Result {
    let fd = read_fd(arg)?;
    // CAST: A negative number is no open file either way.
    let file = LocalFile::fget(fd as u32)?;
    group.set(|| match (files.container)(&file) {
        Some(container) => Ok(Provider::Container(container)),
        None => Ctx::from_file(&file).map(Provider::Iommufd),
    })
}

/// `VFIO_GROUP_GET_DEVICE_FD`.
///
/// # Errors
///
/// In this order: those of [`read_name`]; `ENODEV` for a device that is not in the group; the
/// driver's that looks at the name; `EMFILE`; `ENOMEM`; `EINVAL` (nothing set); those of
/// [`OpenDevice::by_group`]; `ENFILE`, `ENOMEM`.  Whatever fails, nothing stays open.
fn get_device_fd(
    group: ArcBorrow<'_, Group>,
    file: &File,
    arg: UserPtr,
    files: &Files,
) -> Result<c_int> {
    let mut name = read_name(arg)?;
    let found = group.find(&mut name);
    drop(name);
    let result = match &found {
        Ok((device, epoch)) => install_device(group, file, (device, *epoch), files),
        Err(e) => Err(*e),
    };
    if trace::open::enabled() {
        let errno = errno_of(&result);
        match &found {
            Ok((device, _)) => {
                // CAST: A minor has 20 bits.
                let minor = device.state().index() as c_int;
                trace::open::record(minor, device.parent().name(), true, errno);
            }
            Err(_) => trace::open::record(-1, c"", true, errno),
        }
    }
    result
}

/// Opens the device, and gives the caller a descriptor for it.
fn install_device(
    group: ArcBorrow<'_, Group>,
    group_file: &File,
    (registration, epoch): (&RegistrationRef, Epoch),
    files: &Files,
) -> Result<c_int> {
    let fd = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
    let opened = open_device(group, group_file, registration, epoch).map_err(|refusal| {
        let state = registration.state();
        refusal.told("open", state.refusals(), |tell| tell(registration.parent()))
    })?;
    let opened = (files.make)(opened)?;
    if group.is_noiommu() {
        let user = TaskId::current();
        dev_warn!(
            registration.parent(),
            "vfio-noiommu device opened by user ({}:{})\n",
            user.name(),
            user.pid()
        );
    }
    // CAST: Descriptors are below 2^31.
    let number = fd.reserved_fd() as c_int;
    fd.fd_install(opened);
    Ok(number)
}

/// A file with access to the device.
fn open_device(
    group: ArcBorrow<'_, Group>,
    group_file: &File,
    registration: &RegistrationRef,
    epoch: Epoch,
) -> Result<Pin<KBox<DeviceFile>>, Refusal> {
    let state = registration.state();
    let file = DeviceFile::new(state.into(), epoch, group.kind(), Path::Group)?;
    let backend = group.backend(group_file).ok_or(EINVAL);
    let backend = backend.because(Reason::NoContainer)?;
    // What KVM says later counts at the next first open.
    let mut first = Some(FirstOpen::new(backend, group.kvm().get()));
    let open = Granted::Group(OpenDevice::by_group(registration, &mut first)?);
    file.held.set_bound();
    file.gate.open(open);
    Ok(file)
}

// SPDX-License-Identifier: GPL-2.0-only

//! Group files.
//!
//! C counterpart: `group.c`, section "VFIO Group fd".
//!
//! Locks: `Group::change` and `Group::inner`.  They are not held while a device is opened.

use super::{as_long, get_device_fd::get_device_fd};
use crate::{
    container::Container,
    group::{Group, GroupBackend},
    kapi::{
        capability,
        cdev::CharNode,
        file::{data_of, FileOperations, FileTable},
        iommufd::Ctx,
    },
    shared::OwnerModule,
    uapi::{
        self,
        group::{read_fd, GetStatus, FLAG_CONTAINER_SET, FLAG_VIABLE},
    },
};
use kernel::{
    fs::{File, LocalFile},
    prelude::*,
    sync::{Arc, ArcBorrow},
    uaccess::UserPtr,
};

static TABLE: FileTable<Group> = FileTable::new::<OwnerModule>();

#[vtable]
impl FileOperations for Group {
    type Owner = Arc<Self>;
    type Node = CharNode<Self>;

    fn table() -> &'static FileTable<Self> {
        &TABLE
    }

    fn open(group: &Arc<Self>) -> Result<Arc<Self>> {
        open(group)?;
        Ok(group.clone())
    }

    /// Undoes [`open`].  Devices that were opened through the file and an iommufd stay open.  A device that
    /// is open through a container keeps the file open.
    fn release(group: Arc<Self>) {
        group.close();
    }

    fn ioctl(group: ArcBorrow<'_, Self>, file: &File, cmd: u32, arg: usize) -> isize {
        let result = ioctl(group, file, cmd, UserPtr::from_addr(arg));
        as_long(result.unwrap_or_else(|e| e.to_errno()))
    }
}

/// Opens the group.
///
/// # Errors
///
/// In this order:
///
/// - `ENODEV`: the last device has left the group.
/// - `EPERM`: the group has no IOMMU, and the caller does not have `CAP_SYS_RAWIO`.
/// - `EBUSY`: the group is already open, or a device of the group is bound.
fn open(group: &Group) -> Result {
    group.open(capability::sys_rawio).map_err(|refusal| {
        refusal.log_for_group("open", group.refusals(), group.id());
        refusal.errno()
    })
}

/// Handles ioctl(2) on `file`, the group file.  Returns a file descriptor, or 0.
///
/// # Errors
///
/// - `ENOTTY`: the ioctl is unknown.
/// - Those of the operation.
fn ioctl(group: ArcBorrow<'_, Group>, file: &File, cmd: u32, arg: UserPtr) -> Result<c_int> {
    match cmd {
        uapi::GROUP_GET_DEVICE_FD => get_device_fd(group, file, arg),
        uapi::GROUP_GET_STATUS => get_status(&group, arg).map(|()| 0),
        uapi::GROUP_SET_CONTAINER => set_container(&group, arg).map(|()| 0),
        uapi::GROUP_UNSET_CONTAINER => group.unset().map(|()| 0),
        _ => Err(ENOTTY),
    }
}

/// Handles `VFIO_GROUP_GET_STATUS`.  A group with a container or an iommufd is always reported as viable.
/// For an iommufd this is a guess: the bind of the first device claims the DMA ownership, and can fail.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`GetStatus::read`].
/// - `ENODEV`: the last device has left the group.
/// - `EFAULT`: the result cannot be written.
fn get_status(group: &Group, arg: UserPtr) -> Result {
    let arg = GetStatus::read(arg)?;
    let status = group.status()?;
    let mut flags = 0;
    if status.has_backend {
        flags |= FLAG_CONTAINER_SET;
    }
    if status.viable {
        flags |= FLAG_VIABLE;
    }
    arg.write(flags)
}

/// Handles `VFIO_GROUP_SET_CONTAINER`, with the file of a container or an iommufd.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - `EBADF`: the file descriptor is not open.
/// - Those of [`Group::set`].  The errnos of `make` are those of [`GroupBackend::container`], those of
///   [`GroupBackend::iommufd`], or `EBADFD` for a file of another kind.
fn set_container(group: &Group, arg: UserPtr) -> Result {
    let fd = read_fd(arg)?;
    // CAST: A negative number is no open file, before and after the conversion.
    let file = LocalFile::fget(fd as u32)?;
    group.set(
        |iommu_group, group_type| match data_of::<Container>(&file) {
            Some(container) => GroupBackend::container(container.into(), iommu_group, group_type),
            None => GroupBackend::iommufd(Ctx::from_file(&file)?, group_type),
        },
    )
}

// SPDX-License-Identifier: GPL-2.0-only

//! Container files (`/dev/vfio/vfio`).
//!
//! C counterpart: `vfio_fops` in `container.c`.
//!
//! Locks: none here; [`Container`] takes its own.

use super::as_long;
use crate::{
    container::Container,
    kapi::{
        file::{FileOperations, FileTable},
        miscdevice::MiscNode,
        to_int,
    },
    shared::OwnerModule,
    uapi,
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{Arc, ArcBorrow},
    uaccess::UserPtr,
};

static TABLE: FileTable<Container> = FileTable::new::<OwnerModule>();

#[vtable]
impl FileOperations for Container {
    type Owner = Arc<Self>;
    type Node = MiscNode;

    fn table() -> &'static FileTable<Self> {
        &TABLE
    }

    fn open((): ()) -> Result<Arc<Self>> {
        Self::new()
    }

    fn ioctl(container: ArcBorrow<'_, Self>, _: &File, cmd: u32, arg: usize) -> isize {
        let user = UserPtr::from_addr(arg);
        match cmd {
            uapi::GET_API_VERSION => uapi::API_VERSION,
            uapi::CHECK_EXTENSION => container.check_extension(arg),
            uapi::SET_IOMMU => as_long(to_int(container.set_iommu(arg))),
            uapi::BIND_PROCESS => as_long(to_int(container.bind_process(user))),
            uapi::UNBIND_PROCESS => as_long(to_int(container.unbind_process(user))),
            _ => container.ioctl(cmd, user),
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Container files (`/dev/vfio/vfio`).
//!
//! C counterpart: `vfio_fops` in `container.c`.
//!
//! Locks: none here; [`Container`] takes its own.

use crate::{
    container::Container,
    kapi::{
        file::{FileOperations, FileTable},
        miscdevice::MiscNode,
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

    fn ioctl(container: ArcBorrow<'_, Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            uapi::GET_API_VERSION => Ok(uapi::API_VERSION),
            uapi::CHECK_EXTENSION => Ok(container.check_extension(arg)),
            uapi::SET_IOMMU => container.set_iommu(arg).map(|()| 0),
            uapi::BIND_PROCESS => container.bind_process(UserPtr::from_addr(arg)).map(|()| 0),
            uapi::UNBIND_PROCESS => {
                let result = container.unbind_process(UserPtr::from_addr(arg));
                result.map(|()| 0)
            }
            _ => Ok(container.ioctl(cmd, UserPtr::from_addr(arg))),
        }
    }
}

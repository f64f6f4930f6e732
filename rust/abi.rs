// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of the module: the device classes, and the functions that `exports.c` exports.
//!
//! There is one file for each C source file of the in-tree core that exports functions or has a class, and
//! `layout.rs` for the structures of the uAPI.
//!
//! Most functions here convert their arguments, call a function of the lower layers, and convert the result.  The
//! called function documents the errors and the locks.  Some functions do more:
//!
//! - They check a pointer for NULL, or write results through a pointer of the driver.
//! - They select the errno, or warn.  The functions of [`info_cap`](crate::info_cap), [`irqs`](crate::irqs) and
//!   [`migration`](crate::migration) report an invalid argument without an errno.
//!
//! The compiler compares each exported function with its prototype in the kernel's headers.

pub(crate) mod container;
pub(crate) mod group;
#[cfg(CONFIG_IOMMUFD)]
pub(crate) mod iommufd;
pub(crate) mod layout;
pub(crate) mod vfio_main;
#[cfg(CONFIG_VFIO_VIRQFD)]
pub(crate) mod virqfd;

use crate::{
    bindings, device,
    kapi::file::FileOperations,
    shared::{
        fs::PseudoInode,
        vfio::{opening::Closing, set::LockedState, Core, Device, DeviceLink, Registered},
    },
};
use kernel::{fs::LocalFile, types::ForeignOwnable};

/// Fails to compile unless the functions have the types that the kernel's headers declare.
macro_rules! check_prototypes {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = {
            // Both arms must have the same type, that is, the same signature.
            let _ = if true { crate::bindings::$name } else { $name };
        };)+
    };
}
pub(crate) use check_prototypes;

/// Connects the types of the core's upper layers to `shared`, which attaches them to devices.
// SAFETY: `link()`, `locked()` and `inode()` return a field of the state.
unsafe impl Core for Device {
    type State = device::State;
    type GroupLink = device::GroupLink;
    type OpenResources = device::open::OpenResources;
    type OpenedBy = device::open::OpenedBy;

    #[inline]
    fn close(device: &Device<Registered>, opened_by: device::open::OpenedBy, closing: Closing<'_>) {
        device::open::close(device, opened_by, closing);
    }

    fn inode(state: &device::State) -> &PseudoInode {
        state.inode()
    }

    fn link(state: &device::State) -> &DeviceLink<device::GroupLink> {
        state.link()
    }

    fn locked(state: &device::State) -> &LockedState {
        state.locked()
    }
}

/// Returns the private data of a file, if the file has the operations of `T`.
///
/// # Safety
///
/// `file` is valid, and stays open for `'a`.
unsafe fn data_of<'a, T: FileOperations>(
    file: *const bindings::file,
) -> Option<<T::Owner as ForeignOwnable>::Borrowed<'a>> {
    // SAFETY: By the caller's promise.
    crate::kapi::file::data_of::<T>(unsafe { LocalFile::from_raw_file(file) })
}

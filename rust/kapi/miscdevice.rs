// SPDX-License-Identifier: GPL-2.0-only

//! Misc devices: character devices with a minor of the shared misc major (`include/linux/miscdevice.h`).
//!
//! The kernel crate's misc devices have a dynamic minor and the default mode, and cannot set `nodename`.

use super::{
    file::{FileOperations, Node},
    to_result,
};
use crate::bindings;
use kernel::prelude::*;

/// The [`Node`] of misc devices, which have no object.
pub(crate) struct MiscNode;

impl Node for MiscNode {
    type Object<'a> = ();

    unsafe fn opened<'a>(_inode: *const bindings::inode) -> Self::Object<'a> {}
}

/// The description of a misc device.
pub(crate) struct Template {
    pub(crate) minor: u32,
    pub(crate) name: &'static CStr,
    /// The path below `/dev`.
    pub(crate) nodename: &'static CStr,
    pub(crate) mode: u16,
}

/// A registered misc device.  It is deregistered on drop.
pub(crate) struct MiscDevice(Pin<KBox<Registered>>);

#[pin_data]
struct Registered {
    raw: bindings::miscdevice,
    #[pin]
    _pin: core::marker::PhantomPinned,
}

// SAFETY: The misc device core does its own locking.
unsafe impl Send for MiscDevice {}
// SAFETY: As above; there are no methods.
unsafe impl Sync for MiscDevice {}

impl MiscDevice {
    /// Registers the device, with its node and its uevent, for files with the operations of `F`.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the minor is in use.
    /// - `ENOMEM`: out of memory.
    /// - The errno with which the class device could not be made.
    pub(crate) fn register<F: FileOperations<Node = MiscNode>>(
        template: &Template,
    ) -> Result<Self> {
        let device = Registered {
            raw: bindings::miscdevice {
                minor: template.minor as c_int,
                name: template.name.as_char_ptr(),
                nodename: template.nodename.as_char_ptr(),
                mode: template.mode,
                fops: F::table().as_raw(),
                ..bindings::miscdevice::default()
            },
            _pin: core::marker::PhantomPinned,
        };
        let mut device = KBox::pin(device, GFP_KERNEL)?;
        // SAFETY: The structure does not move, and is valid until it is deregistered.
        to_result(unsafe {
            bindings::misc_register(&raw mut device.as_mut().get_unchecked_mut().raw)
        })?;
        Ok(Self(device))
    }
}

impl Drop for MiscDevice {
    fn drop(&mut self) {
        // SAFETY: `register()` registered the device.
        unsafe { bindings::misc_deregister(&raw mut self.0.as_mut().get_unchecked_mut().raw) }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The first open and the last close of a device.
//!
//! C counterpart: `vfio_df_device_first_open()` and `vfio_df_device_last_close()`.

use crate::kapi::{
    iommufd::Ctx,
    kvm::KvmRef,
    module::ModuleRef,
    vfio::{ops::Opened, Device, Open, RegistrationRef, SetLocked},
};
use kernel::prelude::*;

/// A device that is open; closed when dropped, which takes the set's lock.
pub(crate) struct OpenDevice {
    opened: Opened,
    devid: u32,
    /// The driver's module, kept until its `close_device` has run.
    module: Option<ModuleRef>,
}

impl OpenDevice {
    /// Opens the device, which must not be open, on an iommufd.  The caller keeps `kvm`, which
    /// drivers see while the device is open, until after the close.
    ///
    /// Order: the driver's module, its `bind_iommufd`, its `open_device`; undone in reverse.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the device is open; `ENODEV` when the driver's module is going away or the
    /// device is being unregistered; the driver's.
    pub(crate) fn open(
        locked: &mut SetLocked<'_>,
        ctx: &Ctx,
        kvm: Option<&KvmRef>,
    ) -> Result<Self> {
        if locked.open_count() != 0 {
            return Err(EINVAL);
        }
        let registration = RegistrationRef::try_get(locked.device()).ok_or(ENODEV)?;
        let module = ModuleRef::of_driver(&registration)?;
        // The driver sees itself counted in its callbacks.
        locked.set_open_count(1);
        locked.set_kvm(kvm);
        let opened = Self::bind_and_open(locked, registration, ctx);
        if opened.is_err() {
            locked.set_kvm(None);
            locked.set_open_count(0);
        }
        let (opened, devid) = opened?;
        locked.set_cdev_opened(true);
        locked.device().state().holder().set();
        Ok(Self {
            opened,
            devid,
            module: Some(module),
        })
    }

    fn bind_and_open(
        locked: &mut SetLocked<'_>,
        registration: RegistrationRef,
        ctx: &Ctx,
    ) -> Result<(Opened, u32)> {
        let devid = locked.bind_iommufd(ctx)?;
        match locked.driver_open(registration) {
            Ok(opened) => Ok((opened, devid)),
            Err(e) => {
                locked.unbind_iommufd();
                Err(e)
            }
        }
    }

    /// The id of the device in the iommufd.
    pub(crate) fn devid(&self) -> u32 {
        self.devid
    }

    /// The device.
    #[inline]
    pub(crate) fn device(&self) -> &Device<Open> {
        self.opened.device()
    }
}

impl Drop for OpenDevice {
    /// Order: the driver's `close_device`, its `unbind_iommufd`, its module; the open count last.
    fn drop(&mut self) {
        let (registration, closing) = self.opened.closing();
        let mut locked = registration.lock_set();
        locked.driver_close(closing);
        locked.unbind_iommufd();
        locked.reset_precopy_info();
        drop(self.module.take());
        locked.set_kvm(None);
        locked.device().state().holder().clear();
        locked.set_cdev_opened(false);
        locked.set_open_count(0);
    }
}

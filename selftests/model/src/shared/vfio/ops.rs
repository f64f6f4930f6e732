// SPDX-License-Identifier: GPL-2.0-only

//! The driver's callbacks.

use super::{Device, Raw, Registered, SetLocked};
use crate::kapi::{iommufd::Ctx, module::ModuleRef, uaccess::UserString};
use kernel::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) struct Uuid;

/// The callbacks of `struct vfio_device_ops`.
pub(crate) struct Ops {
    pub(crate) open_device: Option<unsafe fn(*mut Raw) -> c_int>,
    pub(crate) close_device: Option<unsafe fn(*mut Raw)>,
    pub(crate) bind_iommufd: Option<unsafe fn(*mut Raw, *mut Ctx, &mut u32) -> c_int>,
    pub(crate) unbind_iommufd: Option<unsafe fn(*mut Raw)>,
    pub(crate) request: Option<unsafe fn(*mut Raw, u32)>,
}

unsafe fn open_device(raw: *mut Raw) -> c_int {
    // SAFETY: The core passes a device.
    let device: &Device = unsafe { Device::from_raw(raw) };
    device.driver_has(|raw| {
        assert!(!raw.is_open.swap(true, Relaxed), "a device is opened twice");
        raw.use_kvm();
    });
    0
}

unsafe fn close_device(raw: *mut Raw) {
    // SAFETY: The core passes a device.
    let device: &Device = unsafe { Device::from_raw(raw) };
    device.driver_has(|raw| {
        assert!(raw.is_open.swap(false, Relaxed), "a device is closed twice");
        raw.use_kvm();
    });
}

unsafe fn bind_iommufd(raw: *mut Raw, _: *mut Ctx, id: &mut u32) -> c_int {
    // SAFETY: The core passes a device.
    let device: &Device = unsafe { Device::from_raw(raw) };
    device.bind();
    *id = 1;
    0
}

unsafe fn unbind_iommufd(raw: *mut Raw) {
    // SAFETY: The core passes a device.
    let device: &Device = unsafe { Device::from_raw(raw) };
    device.unbind();
}

/// The users release the device by themselves.
unsafe fn request(raw: *mut Raw, _: u32) {
    // SAFETY: The core passes a device.
    let device: &Device = unsafe { Device::from_raw(raw) };
    device.driver_has(|raw| {
        assert!(
            !raw.device.is_added(),
            "a device is drained before it is removed"
        );
    });
}

static OPS: Ops = Ops {
    open_device: Some(open_device),
    close_device: Some(close_device),
    bind_iommufd: Some(bind_iommufd),
    unbind_iommufd: Some(unbind_iommufd),
    request: Some(request),
};

impl<Ctx> Device<Ctx> {
    pub(crate) fn ops(&self) -> &'static Ops {
        &OPS
    }

    pub(crate) fn open_or_close<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }

    pub(crate) fn has_match_token(&self) -> bool {
        false
    }

    pub(crate) fn has_name(&self, _: &mut UserString) -> Result<bool> {
        Ok(true)
    }
}

impl Device<Registered> {
    pub(crate) fn driver_module(&self) -> Result<ModuleRef> {
        Ok(ModuleRef)
    }
}

impl SetLocked<'_> {
    pub(crate) fn match_token(&self, _: Option<&Uuid>) -> Result {
        Ok(())
    }

    pub(crate) fn attach_ioas(&mut self, _: &mut u32) -> Result<u64> {
        Ok(1)
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The driver's callbacks of migration and of the logging of DMA (`struct vfio_migration_ops`,
//! `struct vfio_log_ops`).

use super::{Device, Open, SetLocked};
use crate::{
    bindings,
    kapi::{callback_result, interval_tree::RangeTree},
};
use core::ptr::NonNull;
use kernel::{fs::File, prelude::*, sync::aref::ARef, uaccess::UserPtr};

impl<Ctx> Device<Ctx> {
    fn migration_ops(&self) -> Option<&bindings::vfio_migration_ops> {
        // SAFETY: Set before registration and constant from then on.
        unsafe { (*self.as_raw()).mig_ops.as_ref() }
    }

    fn log_ops(&self) -> Option<&bindings::vfio_log_ops> {
        // SAFETY: Set before registration and constant from then on.
        unsafe { (*self.as_raw()).log_ops.as_ref() }
    }

    /// `VFIO_MIGRATION_*`.
    pub(crate) fn migration_flags(&self) -> u32 {
        // SAFETY: Set before registration and constant from then on.
        unsafe { (*self.as_raw()).migration_flags }
    }

    /// Whether the device can migrate.
    pub(crate) fn has_migration(&self) -> bool {
        self.migration_ops().is_some()
    }

    /// Whether the device can log where its DMA goes.
    pub(crate) fn has_logging(&self) -> bool {
        self.log_ops().is_some()
    }

    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    fn read_migration_state(&self) -> Result<u32> {
        let get = self.migration_ops().and_then(|ops| ops.migration_get_state);
        get.ok_or(ENOTTY)?;
        let mut state = 0;
        // SAFETY: The device is registered, with the callback; `state` is written.
        callback_result(unsafe {
            bindings::vfio_helper_migration_get_state(self.as_raw(), &mut state)
        })?;
        Ok(state)
    }
}

impl SetLocked<'_> {
    /// The state of the device's migration, of a device that need not be open.
    ///
    /// # Errors
    ///
    /// As for an open device's.
    pub(crate) fn migration_state(&self) -> Result<u32> {
        self.device().read_migration_state()
    }
}

impl Device<Open> {
    /// The state of the device's migration.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    pub(crate) fn migration_state(&self) -> Result<u32> {
        self.read_migration_state()
    }

    /// Brings the device into a state; the driver looks at the number.  The result is a file
    /// through which data is transferred, if the state has one.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    pub(crate) fn set_migration_state(&self, state: u32) -> Result<Option<ARef<File>>> {
        let set = self.migration_ops().and_then(|ops| ops.migration_set_state);
        set.ok_or(ENOTTY)?;
        // SAFETY: The device is open, with the callback.
        let file = unsafe { bindings::vfio_helper_migration_set_state(self.as_raw(), state) };
        let file = NonNull::new(kernel::error::from_err_ptr(file)?);
        // SAFETY: The driver gives its reference on a file that nobody else has.
        Ok(file.map(|file| unsafe { ARef::from_raw(file.cast()) }))
    }

    /// How many bytes a copy of the stopped device is estimated to have.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    pub(crate) fn migration_data_size(&self) -> Result<u64> {
        let get = self
            .migration_ops()
            .and_then(|ops| ops.migration_get_data_size);
        let mut size: c_ulong = 0;
        // SAFETY: The device is open; `size` is written.
        callback_result(unsafe { get.ok_or(ENOTTY)?(self.as_raw(), &mut size) })?;
        // CAST: It widens, or nothing.
        Ok(size as u64)
    }

    /// Notes that user space knows the second format of the precopy information, until the last
    /// close.
    pub(crate) fn set_precopy_info_v2(&self) {
        // SAFETY: A byte that drivers read; the device is open, so nobody resets it.
        unsafe { (&raw mut (*self.as_raw()).precopy_info_v2).write_volatile(1) }
    }

    /// Begins to log DMA to the given ranges.  The result is the page size that the device logs
    /// in, which may differ from the wanted one.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    pub(crate) fn log_start(&self, ranges: &mut RangeTree, page_size: u64) -> Result<u64> {
        let start = self.log_ops().and_then(|ops| ops.log_start).ok_or(ENOTTY)?;
        let count = u32::try_from(ranges.len()).map_err(|_| E2BIG)?;
        let mut page_size = page_size;
        // SAFETY: The device is open; the tree outlives the call, beyond which drivers do not
        // keep it.
        callback_result(unsafe { start(self.as_raw(), ranges.as_raw(), count, &mut page_size) })?;
        Ok(page_size)
    }

    /// Ends the logging.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without the callback; else the driver's.
    pub(crate) fn log_stop(&self) -> Result {
        let stop = self.log_ops().and_then(|ops| ops.log_stop).ok_or(ENOTTY)?;
        // SAFETY: The device is open.
        callback_result(unsafe { stop(self.as_raw()) })
    }

    /// Sets a bit in the user's bitmap for each page of the range that DMA went to, and forgets
    /// it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EFAULT`; the driver's; `EOPNOTSUPP` on a kernel without the bitmaps of iommufd's
    /// drivers.
    pub(crate) fn log_report(
        &self,
        iova: usize,
        length: usize,
        page_size: usize,
        bitmap: UserPtr,
    ) -> Result {
        // SAFETY: The bitmap's code checks the user's memory.
        let map = kernel::error::from_err_ptr(unsafe {
            bindings::vfio_helper_iova_bitmap_alloc(
                iova,
                length,
                page_size,
                bitmap.as_mut_ptr().cast(),
            )
        })?;
        // SAFETY: `map` was allocated above; the device, passed through, is open for the length of
        // the call.
        let result = callback_result(unsafe {
            bindings::vfio_helper_iova_bitmap_for_each(
                map,
                self.as_raw().cast(),
                Some(read_and_clear),
            )
        });
        // SAFETY: `map` was allocated above.
        unsafe { bindings::vfio_helper_iova_bitmap_free(map) };
        result
    }
}

/// # Safety
///
/// Called by `iova_bitmap_for_each()` with the device of [`Device::log_report`].
unsafe extern "C" fn read_and_clear(
    map: *mut bindings::iova_bitmap,
    iova: c_ulong,
    length: usize,
    device: *mut c_void,
) -> c_int {
    // SAFETY: By the caller's promise.
    let device: &Device<Open> = unsafe { Device::from_raw(device.cast()) };
    match device.log_ops().and_then(|ops| ops.log_read_and_clear) {
        // SAFETY: The device is open.
        Some(read) => unsafe { read(device.as_raw(), iova, length, map) },
        None => ENOTTY.to_errno(),
    }
}

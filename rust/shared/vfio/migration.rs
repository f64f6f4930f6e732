// SPDX-License-Identifier: GPL-2.0-only

//! The driver callbacks for migration and for DMA logging (`struct vfio_migration_ops`,
//! `struct vfio_log_ops`).

use super::{callback_result, Core, Device, Open, Registered};
use crate::{bindings, kapi::interval_tree::RangeTree};
use core::ptr::NonNull;
use kernel::{
    fs::File,
    prelude::*,
    sync::{aref::ARef, atomic::ordering::Relaxed},
    uaccess::UserPtr,
};

impl<Ctx> Device<Ctx> {
    fn migration_ops(&self) -> Option<&bindings::vfio_migration_ops> {
        // SAFETY: The driver sets the field before it registers the device, and makes no concurrent call that reads the
        // field.  The field is constant afterwards.
        unsafe { (*self.as_raw()).mig_ops.as_ref() }
    }

    fn log_ops(&self) -> Option<&bindings::vfio_log_ops> {
        // SAFETY: The driver sets the field before it registers the device, and makes no concurrent call that reads the
        // field.  The field is constant afterwards.
        unsafe { (*self.as_raw()).log_ops.as_ref() }
    }

    /// Returns the migration flags of the device (`VFIO_MIGRATION_*`).
    pub(crate) fn migration_flags(&self) -> u32 {
        // SAFETY: The driver sets the field before it registers the device, and makes no concurrent call that reads the
        // field.  The field is constant afterwards.
        unsafe { (*self.as_raw()).migration_flags }
    }

    /// Tells whether the device supports migration.
    pub(crate) fn has_migration(&self) -> bool {
        self.migration_ops().is_some()
    }

    /// Tells whether the device supports DMA logging.
    pub(crate) fn has_logging(&self) -> bool {
        self.log_ops().is_some()
    }

    /// Calls `f`, which opens or closes the device.  The caller holds the lock of the device's set.  While `f` runs,
    /// [`migration_state_for_debugfs`](Device::migration_state_for_debugfs) fails.  This does not wait for a call of
    /// that function that has already begun: in that call, the driver can wait for user memory.
    #[inline]
    pub(super) fn open_or_close<R>(&self, f: impl FnOnce() -> R) -> R {
        if !self.has_migration() {
            return f();
        }
        let state = self.state();
        let flag = <Device as Core>::locked(&state).opens_or_closes();
        flag.store(true, Relaxed);
        let result = f();
        flag.store(false, Relaxed);
        result
    }
}

impl Device<Registered> {
    /// Returns the migration state of a device that need not be open, for debugfs.  Takes no lock of the core,
    /// and does not wait for an open or a close of the device.  The driver can wait for a lock of its own.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EBUSY`: the driver opens or closes the device.
    /// - Those of [`migration_state`](Self::migration_state).
    pub(crate) fn migration_state_for_debugfs(&self) -> Result<u32> {
        let state = self.state();
        match <Device as Core>::locked(&state)
            .opens_or_closes()
            .load(Relaxed)
        {
            true => Err(EBUSY),
            false => self.migration_state(),
        }
    }

    /// Returns the migration state of the device.  Takes no lock of the core: the driver does its own locking.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    /// - The driver's errno; `EINVAL` if it returns a positive number.
    pub(crate) fn migration_state(&self) -> Result<u32> {
        let get = self.migration_ops().and_then(|ops| ops.migration_get_state);
        get.ok_or(ENOTTY)?;
        let mut state = 0;
        // SAFETY: The device is registered and has the callback, which writes `state`.
        callback_result(unsafe {
            bindings::vfio_helper_migration_get_state(self.as_raw(), &mut state)
        })?;
        Ok(state)
    }
}

impl Device<Open> {
    /// Requests a migration state from the driver, which checks the number.  Returns the file that transfers
    /// the data, if the new state has one.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    /// - The driver's errno.
    pub(crate) fn set_migration_state(&self, state: u32) -> Result<Option<ARef<File>>> {
        let set = self.migration_ops().and_then(|ops| ops.migration_set_state);
        set.ok_or(ENOTTY)?;
        // SAFETY: The device is open and has the callback.
        let file = unsafe { bindings::vfio_helper_migration_set_state(self.as_raw(), state) };
        let file = NonNull::new(kernel::error::from_err_ptr(file)?);
        // SAFETY: The driver transfers its reference on a file that no other code uses yet.
        Ok(file.map(|file| unsafe { ARef::from_raw(file.cast()) }))
    }

    /// Returns the estimated size in bytes of the stop-copy data.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    /// - The driver's errno.
    pub(crate) fn migration_data_size(&self) -> Result<u64> {
        let get = self
            .migration_ops()
            .and_then(|ops| ops.migration_get_data_size);
        let mut size: c_ulong = 0;
        // SAFETY: The device is open; the callback writes `size`.
        callback_result(unsafe { get.ok_or(ENOTTY)?(self.as_raw(), &mut size) })?;
        // CAST: The conversion widens, or changes nothing.
        Ok(size as u64)
    }

    /// Records that user space uses the second format of the precopy information.  The last close resets
    /// this.
    pub(crate) fn set_precopy_info_v2(&self) {
        // SAFETY: The byte is written with one store.  Drivers read it, and only the last close resets it,
        // which cannot run while the device is open.
        unsafe { (&raw mut (*self.as_raw()).precopy_info_v2).write_volatile(1) }
    }

    /// Starts DMA logging of the given ranges.  Returns the page size of the log in bytes, which can differ
    /// from the requested page size.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    /// - `E2BIG`: there are more than `u32::MAX` ranges.
    /// - The driver's errno.
    pub(crate) fn log_start(&self, ranges: &mut RangeTree, page_size: u64) -> Result<u64> {
        let start = self.log_ops().and_then(|ops| ops.log_start).ok_or(ENOTTY)?;
        let count = u32::try_from(ranges.len()).map_err(|_| E2BIG)?;
        let mut page_size = page_size;
        // SAFETY: The device is open; the tree outlives the call, and drivers do not keep it after the call.
        callback_result(unsafe { start(self.as_raw(), ranges.as_raw(), count, &mut page_size) })?;
        Ok(page_size)
    }

    /// Stops DMA logging.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    /// - The driver's errno.
    pub(crate) fn log_stop(&self) -> Result {
        let stop = self.log_ops().and_then(|ops| ops.log_stop).ok_or(ENOTTY)?;
        // SAFETY: The device is open.
        callback_result(unsafe { stop(self.as_raw()) })
    }

    /// Sets a bit in the user's bitmap for each logged page of the range, and clears the log of the range.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `ENOTTY`: the driver does not have the callback.
    /// - `EOPNOTSUPP`: the kernel is built without IOVA bitmaps.
    /// - The driver's errno.
    pub(crate) fn log_report(
        &self,
        iova: usize,
        length: usize,
        page_size: usize,
        bitmap: UserPtr,
    ) -> Result {
        // SAFETY: The bitmap code checks the user memory.
        let map = kernel::error::from_err_ptr(unsafe {
            bindings::vfio_helper_iova_bitmap_alloc(
                iova,
                length,
                page_size,
                bitmap.as_mut_ptr().cast(),
            )
        })?;
        // SAFETY: `map` was allocated above; the callback gets the device, which is open during the call.
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
/// `iova_bitmap_for_each()` calls this with the device of [`Device::log_report`].
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

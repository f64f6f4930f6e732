// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_FEATURE`: `struct vfio_device_feature`.

use super::field;
use crate::{
    kapi::uaccess,
    ranges::{IovaRange, PageSize, RangeError},
};
use core::mem::MaybeUninit;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_FEATURE_GET`: read the feature.
pub(crate) const FLAG_GET: u32 = 1 << 16;
/// `VFIO_DEVICE_FEATURE_SET`: write the feature.
pub(crate) const FLAG_SET: u32 = 1 << 17;
const FLAG_PROBE: u32 = 1 << 18;
const MASK: u32 = 0xffff;

pub(crate) const MIGRATION: u32 = 1;
pub(crate) const MIG_DEVICE_STATE: u32 = 2;
pub(crate) const DMA_LOGGING_START: u32 = 6;
pub(crate) const DMA_LOGGING_STOP: u32 = 7;
pub(crate) const DMA_LOGGING_REPORT: u32 = 8;
pub(crate) const MIG_DATA_SIZE: u32 = 9;
/// A feature of the driver, which takes a reference on the registration for each dma-buf.
pub(crate) const DMA_BUF: u32 = 11;
pub(crate) const MIG_PRECOPY_INFO_V2: u32 = 12;
/// `VFIO_DEVICE_FEATURE_SVA`, a feature of this project.
pub(crate) const SVA: u32 = 0xff00;

/// The header of the structure; data follows it.
#[repr(C)]
#[derive(FromBytes)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

/// A valid argument.
pub(crate) struct Feature {
    flags: u32,
    /// The address of the data.
    pub(crate) data: UserPtr,
    /// The size of the data in bytes.
    pub(crate) size: usize,
}

impl Feature {
    /// Reads and validates the header.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the header cannot be read.
    /// - `EINVAL`: `argsz` is below 8; there are unknown flags; or GET and SET are set without PROBE.
    #[inline]
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        const OPERATIONS: u32 = FLAG_GET | FLAG_SET | FLAG_PROBE;
        let mut head = MaybeUninit::<Layout>::uninit();
        let &mut Layout { argsz, flags } = uaccess::read_into(arg, &mut head)?;
        let size = (argsz as usize)
            .checked_sub(size_of::<Layout>())
            .ok_or(EINVAL)?;
        if flags & !(MASK | OPERATIONS) != 0 || flags & OPERATIONS == FLAG_GET | FLAG_SET {
            return Err(EINVAL);
        }
        Ok(Self {
            flags,
            data: field(arg, size_of::<Layout>()),
            size,
        })
    }

    /// Makes the argument from the parts of a valid one.
    pub(crate) fn from_parts(flags: u32, data: UserPtr, size: usize) -> Self {
        Self { flags, data, size }
    }

    /// Returns the number of the feature.
    pub(crate) fn id(&self) -> u32 {
        self.flags & MASK
    }

    /// Returns the flags, as drivers get them: the number of the feature and the operations.
    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }

    /// Tells whether the GET operation is set.
    pub(crate) fn is_get(&self) -> bool {
        self.flags & FLAG_GET != 0
    }

    /// Checks the operations and the size of the data.  Returns true if the operation is to be executed, and
    /// false for a probe.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: an operation is not in `supported`.
    /// - Without PROBE, `EINVAL`: no operation is set, or the data has less than `size` bytes.
    pub(crate) fn check(&self, supported: u32, size: usize) -> Result<bool> {
        let operations = self.flags & (FLAG_GET | FLAG_SET);
        if operations & !supported != 0 {
            return Err(EINVAL);
        }
        if self.flags & FLAG_PROBE != 0 {
            return Ok(false);
        }
        if operations == 0 || self.size < size {
            return Err(EINVAL);
        }
        Ok(true)
    }

    /// Does the same as [`check`](Self::check), for a feature that only supports GET.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    pub(crate) fn check_get<T>(&self) -> Result<bool> {
        self.check(FLAG_GET, size_of::<T>())
    }

    /// Reads the data.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the data cannot be read.
    pub(crate) fn read_data<T: FromBytes + Copy>(&self) -> Result<T> {
        uaccess::read(self.data)
    }

    /// Writes the data.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the data cannot be written.
    pub(crate) fn write_data<T: IntoBytes + zerocopy::Immutable>(&self, data: &T) -> Result {
        uaccess::write(self.data, data)
    }
}

/// `struct vfio_device_feature_migration`.
#[repr(C)]
#[derive(IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct Migration {
    pub(crate) flags: u64,
}

/// `struct vfio_device_feature_mig_state`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct MigState {
    pub(crate) device_state: u32,
    /// -1 if there is no file.
    pub(crate) data_fd: i32,
}

/// `struct vfio_device_feature_mig_data_size`.
#[repr(C)]
#[derive(IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct MigDataSize {
    pub(crate) stop_copy_length: u64,
}

/// `struct vfio_device_feature_dma_logging_control`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct LoggingControl {
    pub(crate) page_size: u64,
    pub(crate) num_ranges: u32,
    pub(crate) reserved: u32,
    pub(crate) ranges: u64,
}

impl LoggingControl {
    /// The number of ranges that fit into a page.
    const MAX_RANGES: u32 = (kernel::page::PAGE_SIZE / size_of::<LoggingRange>()) as u32;

    /// Returns the number of ranges and the requested page size.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: there are no ranges.
    /// - `E2BIG`: there are more ranges than fit into a page.
    /// - `EINVAL`: the page size is not a power of two.
    pub(crate) fn validate(&self) -> Result<(u32, PageSize)> {
        match self.num_ranges {
            0 => return Err(EINVAL),
            n if n > Self::MAX_RANGES => return Err(E2BIG),
            _ => {}
        }
        Ok((
            self.num_ranges,
            PageSize::new(self.page_size).ok_or(EINVAL)?,
        ))
    }

    /// Reads one of the ranges.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the range cannot be read.
    /// - `EINVAL`: the range is empty, or does not consist of whole pages.
    /// - `EOVERFLOW`: `iova + length` is 2^64 or more.
    pub(crate) fn read_range(&self, index: u32, page: PageSize) -> Result<IovaRange> {
        let base = usize::try_from(self.ranges).map_err(|_| EFAULT)?;
        let at = field(
            UserPtr::from_addr(base),
            index as usize * size_of::<LoggingRange>(),
        );
        let range: LoggingRange = uaccess::read(at)?;
        IovaRange::new(range.iova, range.length, page).map_err(|refused| match refused {
            RangeError::Invalid => EINVAL,
            RangeError::Overflow => EOVERFLOW,
        })
    }
}

/// `struct vfio_device_feature_dma_logging_range`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
pub(crate) struct LoggingRange {
    pub(crate) iova: u64,
    pub(crate) length: u64,
}

/// `struct vfio_device_feature_dma_logging_report`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes)]
pub(crate) struct LoggingReport {
    pub(crate) iova: u64,
    pub(crate) length: u64,
    pub(crate) page_size: u64,
    pub(crate) bitmap: u64,
}

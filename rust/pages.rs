// SPDX-License-Identifier: GPL-2.0-only

//! The DMA of emulated devices: their drivers pin pages of the user's address space, or copy from and to it.
//!
//! C counterpart: `vfio_pin_pages()`, `vfio_unpin_pages()`, `vfio_dma_rw()`.
//!
//! Locks: `State::container`, a leaf, if the device has no `struct iommufd_access`.  The functions release it
//! before they call the container driver.  The core holds the set's lock if the driver calls these functions
//! from `open_device` or `close_device`, or from a `dma_unmap` that an attach, a detach or the unbind causes.
//!
//! A driver may call these functions from the start of its `open_device` to the unbind of the device, which
//! follows `close_device`.  Until the unbind, the `struct iommufd_access` of a device that is bound to an
//! iommufd exists.  During a call, the locks of iommufd keep the IOAS attached to the access.  If the device is open
//! through a container, the call holds a reference on the data of the container driver.

use crate::{
    kapi::{
        buffer::{DriverBuffer, PageArray},
        iommu::WRITE,
        iommufd::Access,
        panic::{warn_on, warn_on_once},
    },
    shared::vfio::Device,
};
use kernel::{
    page::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// `VFIO_PIN_PAGES_MAX_ENTRIES`: the number of page pointers that fit into a page.
const MAX_PAGES: usize = PAGE_SIZE / size_of::<usize>();

/// A range of whole pages in the IOVA space.
#[derive(Clone, Copy)]
struct Range {
    /// The first byte.
    iova: usize,
    /// The length in bytes.
    length: usize,
}

impl Range {
    /// Returns the range of `pages` pages that begins with the page of `iova`, an address in bytes.  The
    /// caller handles the offset in the page.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `E2BIG`: the number of pages is negative.  For a container, the C core compares it as unsigned.
    /// - `EINVAL`: the number of pages is 0.
    /// - `E2BIG`: the number of pages is above [`MAX_PAGES`], 512 with pages of 4 KiB.  The C core has
    ///   this limit only for a container.
    /// - `EINVAL`: `iova` does not fit into `unsigned long`.
    fn new(iova: u64, pages: i32) -> Result<Self> {
        let pages = usize::try_from(pages).map_err(|_| E2BIG)?;
        if pages == 0 {
            return Err(EINVAL);
        }
        if pages > MAX_PAGES {
            return Err(E2BIG);
        }
        let iova = usize::try_from(iova).map_err(|_| EINVAL)?;
        Ok(Self {
            iova: iova & PAGE_MASK,
            length: pages << PAGE_SHIFT,
        })
    }
}

/// Pins pages for a driver, from the page of `iova` on.  `iova` is an address in bytes, and `prot` is a mask
/// of `IOMMU_READ` and `IOMMU_WRITE`.  Returns the number of pinned pages, or the negative errno of a
/// container driver.  May sleep.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`, one of these:
///   - the number of pages is 0;
///   - the device is not open, which also warns;
///   - the driver has no `dma_unmap`;
///   - the device is open without an iommufd access and without a container.
/// - Those of [`Range::new`].
/// - Container: `ENOTTY` if the container driver has no `pin_pages`.
/// - Iommufd: the errno of iommufd.
pub(crate) fn pin(
    device: &Device,
    access: Option<&Access>,
    iova: u64,
    prot: c_int,
    pages: PageArray<'_>,
) -> Result<c_int> {
    let count = pages.count();
    if count == 0 || warn_on!(!device.is_open_unlocked()) || !device.has_dma_unmap() {
        return Err(EINVAL);
    }
    match access {
        Some(access) => {
            let range = Range::new(iova, count)?;
            access.pin(range.iova, pages, prot & WRITE != 0)?;
            Ok(count)
        }
        None => {
            let container = device.state().container().ok_or(EINVAL)?;
            Range::new(iova, count)?;
            Ok(container.attached_group().pin_pages(iova, prot, pages))
        }
    }
}

/// Unpins pages that were pinned with the same arguments.  Warns and has no effect if the device is not open or
/// the driver has no `dma_unmap`.  Also warns if no pin can have had this number of pages or this address.  May
/// sleep.
pub(crate) fn unpin(device: &Device, access: Option<&Access>, iova: u64, pages: i32) {
    if warn_on!(!device.is_open_unlocked()) || warn_on!(!device.has_dma_unmap()) {
        return;
    }
    let range = || Range::new(iova, pages).inspect_err(|_| warn_range());
    if let Some(access) = access {
        if let Ok(range) = range() {
            access.unpin(range.iova, range.length);
        }
    } else if let Some(container) = device.state().container() {
        if range().is_ok() {
            container.data().unpin_pages(iova, pages);
        }
    }
}

/// Warns about an unpin of a range that cannot have been pinned.
#[cold]
fn warn_range() {
    warn_on!(true);
}

/// Copies between the driver's buffer and the user's memory at `iova`, an address in bytes.  If `write`, the
/// user's memory is written.  May sleep.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`, one of these:
///   - the buffer is empty;
///   - the device is not open, which also warns once;
///   - the device is open without an iommufd access and without a container;
///   - the device is bound to an iommufd, and `iova` does not fit into `unsigned long`.
/// - Container: `ENOTTY` if the container driver has no `dma_rw`.
/// - The errno of the container driver, or of iommufd.
pub(crate) fn rw(
    device: &Device,
    access: Option<&Access>,
    iova: u64,
    data: DriverBuffer<'_>,
    write: bool,
) -> Result {
    if data.is_empty() || warn_on_once!(!device.is_open_unlocked()) {
        return Err(EINVAL);
    }
    match access {
        Some(access) => access.rw(usize::try_from(iova).map_err(|_| EINVAL)?, data, write),
        None => {
            let container = device.state().container().ok_or(EINVAL)?;
            container.data().dma_rw(iova, data, write)
        }
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! DMA of emulated devices: their drivers pin pages of the user's address space, or copy from and
//! to it.
//!
//! C counterpart: `vfio_pin_pages()`, `vfio_unpin_pages()`, `vfio_dma_rw()`.
//!
//! Locks: none of the core.  A driver calls between its `open_device` and `close_device`, so the
//! access to an iommufd stays, and iommufd's own locks keep it from being detached during a call;
//! of a container's backend a call holds a reference.

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

/// `VFIO_PIN_PAGES_MAX_ENTRIES`: as many page pointers as a page holds.
const MAX_PAGES: usize = PAGE_SIZE / size_of::<usize>();

/// A range of whole pages in the address space.
#[derive(Clone, Copy)]
struct Range {
    /// First byte.
    iova: usize,
    /// Length in bytes.
    length: usize,
}

impl Range {
    /// The range of `pages` pages from the one that `iova` is in: the offset in the page is the
    /// caller's to remember.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` (none); `E2BIG` (more than 512 pages of 4 KiB, as by a container, to
    /// which a negative number is one of the largest); `EINVAL` (beyond what an address can be).
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

/// Pins pages for a driver; the result is how many, or the errno of the IOMMU driver of a container.
///
/// # Errors
///
/// In this order: `EINVAL` (not open, which warns; the driver cannot be told of an unmap; open by
/// nothing that has memory); those of [`Range::new`]; `ENOTTY` when the container has nothing that
/// maps memory; iommufd's.
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
            let (driver, group) = container.driver()?;
            Ok(driver.pin_pages(group, iova, prot, pages))
        }
    }
}

/// Unpins what was pinned with the same arguments.  What could not have been is warned of.
pub(crate) fn unpin(device: &Device, access: Option<&Access>, iova: u64, pages: i32) {
    if warn_on!(!device.is_open_unlocked()) || warn_on!(!device.has_dma_unmap()) {
        return;
    }
    let container = device.state().container();
    if access.is_none() && container.is_none() {
        return;
    }
    let Ok(range) = Range::new(iova, pages) else {
        warn_on!(true);
        return;
    };
    if let Some(access) = access {
        access.unpin(range.iova, range.length);
    } else if let Some(Ok((driver, _))) = container.as_ref().map(|c| c.driver()) {
        driver.unpin_pages(iova, pages);
    }
}

/// Copies between the driver's buffer and the user's memory.
///
/// # Errors
///
/// `EINVAL` (nothing to copy; not open, which warns once; open by nothing that has memory; an address that cannot
/// be); `ENOTTY` when the IOMMU driver of the container cannot; its errno, or iommufd's.
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
            container.driver()?.0.dma_rw(iova, data, write)
        }
    }
}

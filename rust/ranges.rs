// SPDX-License-Identifier: GPL-2.0-only

//! Ranges of I/O addresses from user space: pure logic.
//!
//! C counterpart: the checks in the DMA logging features of `vfio_main.c`.

/// The smallest page size of a dirty page report, in bytes.
const MIN_REPORT_PAGE: u64 = 4096;

/// A page size: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageSize(u64);

impl PageSize {
    /// Returns the page size of `size` bytes, or None if `size` is not a power of two.
    pub(crate) fn new(size: u64) -> Option<Self> {
        size.is_power_of_two().then_some(Self(size))
    }

    /// Does the same as [`new`](Self::new), for a report.  Also returns None if `size` is below 4 KiB.
    pub(crate) fn for_report(size: u64) -> Option<Self> {
        Self::new(size).filter(|s| s.0 >= MIN_REPORT_PAGE)
    }

    /// Returns the size in bytes.
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

/// The reason for which a range was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RangeError {
    /// The range is empty, or does not consist of whole pages.
    Invalid,
    /// The range ends at the last 64-bit address or beyond it (`start + length` is 2^64 or more).
    Overflow,
}

/// A non-empty range of whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IovaRange {
    start: u64,
    last: u64,
}

impl IovaRange {
    /// Returns the range of `length` bytes from `start` on.  Both must be multiples of the page size.
    pub(crate) fn new(start: u64, length: u64, page: PageSize) -> Result<Self, RangeError> {
        let mask = page.0 - 1;
        if length == 0 || start & mask != 0 || length & mask != 0 {
            return Err(RangeError::Invalid);
        }
        // A range that ends with the last address is refused, too, as in the C core.
        let end = start.checked_add(length).ok_or(RangeError::Overflow)?;
        Ok(Self {
            start,
            last: end - 1,
        })
    }

    /// Returns the first address.
    pub(crate) fn start(self) -> u64 {
        self.start
    }

    /// Returns the last address, which is inside the range.
    pub(crate) fn last(self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_sizes() {
        assert_eq!(PageSize::new(0), None);
        assert_eq!(PageSize::new(3), None);
        assert_eq!(PageSize::new(1).map(PageSize::get), Some(1));
        assert_eq!(PageSize::new(1 << 63).map(PageSize::get), Some(1 << 63));
        assert_eq!(PageSize::for_report(2048), None);
        assert!(PageSize::for_report(4096).is_some());
    }

    #[test]
    fn iova_ranges() {
        let page = PageSize::new(4096).unwrap();
        let range = IovaRange::new(4096, 8192, page).unwrap();
        assert_eq!((range.start(), range.last()), (4096, 12287));
        assert_eq!(IovaRange::new(0, 0, page), Err(RangeError::Invalid));
        assert_eq!(IovaRange::new(1, 4096, page), Err(RangeError::Invalid));
        assert_eq!(IovaRange::new(4096, 1, page), Err(RangeError::Invalid));
        let top = u64::MAX - 4095;
        assert_eq!(IovaRange::new(top, 4096, page), Err(RangeError::Overflow));
        assert_eq!(IovaRange::new(top, 8192, page), Err(RangeError::Overflow));
        assert!(IovaRange::new(top - 4096, 4096, page).is_ok());
        // The alignment is checked first.
        assert_eq!(
            IovaRange::new(u64::MAX, 4096, page),
            Err(RangeError::Invalid)
        );
    }
}

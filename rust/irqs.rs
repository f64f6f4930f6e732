// SPDX-License-Identifier: GPL-2.0-only

//! The validation of `VFIO_DEVICE_SET_IRQS`, which drivers share: pure logic.
//!
//! C counterpart: `vfio_set_irqs_validate_and_prepare()`.

/// `offsetofend(struct vfio_irq_set, count)`.
pub(crate) const HEADER_SIZE: usize = 20;

const DATA_NONE: u32 = 1 << 0;
const DATA_BOOL: u32 = 1 << 1;
const DATA_EVENTFD: u32 = 1 << 2;
const DATA_MASK: u32 = DATA_NONE | DATA_BOOL | DATA_EVENTFD;
const ACTION_MASK: u32 = 7 << 3;

/// The header of `struct vfio_irq_set`.
#[derive(Clone, Copy)]
pub(crate) struct IrqSet {
    /// The size of the whole argument in bytes, from user space.
    pub(crate) argsz: u32,
    /// `VFIO_IRQ_SET_DATA_*` and `VFIO_IRQ_SET_ACTION_*`.
    pub(crate) flags: u32,
    /// The type of interrupt.
    pub(crate) index: u32,
    /// The first interrupt.
    pub(crate) start: u32,
    /// The number of interrupts.
    pub(crate) count: u32,
}

/// The checks that refused an argument.  The C core sets the caller's variable for the size of the data to 0 after the
/// first group of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IrqSetError {
    /// The first checks: the caller's variable for the size must not be written.
    BeforeSize,
    /// The later checks: the caller's variable for the size is set to 0.
    AfterSize,
}

/// Validates an argument.  Returns the size in bytes of the data that follows the header, or None for an argument
/// without data.
///
/// `interrupts` is the number of interrupts of the index, and `indices` is the number of indices.  A negative
/// number from a driver permits no interrupt.
pub(crate) fn data_size(
    set: IrqSet,
    interrupts: i32,
    indices: i32,
) -> Result<Option<usize>, IrqSetError> {
    let indices = u32::try_from(indices).unwrap_or(0);
    let payload = (set.argsz as usize)
        .checked_sub(HEADER_SIZE)
        .ok_or(IrqSetError::BeforeSize)?;
    if set.index >= indices
        || set.count >= u32::MAX - set.start
        || set.flags & !(DATA_MASK | ACTION_MASK) != 0
    {
        return Err(IrqSetError::BeforeSize);
    }
    let interrupts = u32::try_from(interrupts).unwrap_or(0);
    // No overflow: the check above ensures that `start + count` is below `u32::MAX`.
    if set.start >= interrupts || set.start.saturating_add(set.count) > interrupts {
        return Err(IrqSetError::AfterSize);
    }
    let each = match set.flags & DATA_MASK {
        DATA_NONE => return Ok(None),
        DATA_BOOL => size_of::<u8>(),
        DATA_EVENTFD => size_of::<i32>(),
        _ => return Err(IrqSetError::AfterSize),
    };
    let size = (set.count as usize)
        .checked_mul(each)
        .ok_or(IrqSetError::AfterSize)?;
    match payload >= size {
        true => Ok(Some(size)),
        false => Err(IrqSetError::AfterSize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: IrqSet = IrqSet {
        argsz: 20,
        flags: DATA_NONE | 1 << 5,
        index: 0,
        start: 0,
        count: 1,
    };

    fn refused(change: impl FnOnce(&mut IrqSet)) -> IrqSetError {
        let mut set = SET;
        change(&mut set);
        data_size(set, 4, 5).unwrap_err()
    }

    #[test]
    fn sizes() {
        assert_eq!(data_size(SET, 4, 5), Ok(None));
        let bools = IrqSet {
            argsz: 24,
            flags: DATA_BOOL,
            count: 4,
            ..SET
        };
        assert_eq!(data_size(bools, 4, 5), Ok(Some(4)));
        let eventfds = IrqSet {
            argsz: 36,
            flags: DATA_EVENTFD,
            count: 4,
            ..SET
        };
        assert_eq!(data_size(eventfds, 4, 5), Ok(Some(16)));
        assert_eq!(
            data_size(
                IrqSet {
                    argsz: 35,
                    ..eventfds
                },
                4,
                5
            ),
            Err(IrqSetError::AfterSize)
        );
    }

    #[test]
    fn head() {
        assert_eq!(refused(|s| s.argsz = 19), IrqSetError::BeforeSize);
        assert_eq!(refused(|s| s.index = 5), IrqSetError::BeforeSize);
        assert_eq!(refused(|s| s.flags |= 1 << 6), IrqSetError::BeforeSize);
        assert_eq!(refused(|s| s.count = u32::MAX), IrqSetError::BeforeSize);
        assert_eq!(
            refused(|s| (s.start, s.count) = (u32::MAX, 0)),
            IrqSetError::BeforeSize
        );
        assert_eq!(
            refused(|s| (s.start, s.count) = (2, u32::MAX - 2)),
            IrqSetError::BeforeSize
        );
    }

    #[test]
    fn body() {
        assert_eq!(refused(|s| s.start = 4), IrqSetError::AfterSize);
        assert_eq!(refused(|s| s.count = 5), IrqSetError::AfterSize);
        assert_eq!(
            refused(|s| (s.start, s.count) = (2, u32::MAX - 3)),
            IrqSetError::AfterSize
        );
        assert_eq!(refused(|s| s.flags = 0), IrqSetError::AfterSize);
        assert_eq!(
            refused(|s| s.flags = DATA_BOOL | DATA_EVENTFD),
            IrqSetError::AfterSize
        );
    }

    #[test]
    fn an_index_without_interrupts_or_a_negative_number_allows_nothing() {
        assert_eq!(data_size(SET, 0, 5), Err(IrqSetError::AfterSize));
        assert_eq!(data_size(SET, -1, 5), Err(IrqSetError::AfterSize));
        assert_eq!(data_size(SET, 4, -1), Err(IrqSetError::BeforeSize));
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! `irqs::data_size` against the documented conditions, computed in a type that cannot overflow,
//! over a grid of values around every limit.

use crate::irqs::{data_size, IrqSet, IrqSetError};

const VALUES: [u32; 9] = [0, 1, 3, 4, 5, 6, u32::MAX - 5, u32::MAX - 1, u32::MAX];
const FLAGS: [u32; 7] = [0, 1, 2, 4, 3, 1 | 1 << 5, 1 | 1 << 6];

pub(crate) fn expected(
    set: IrqSet,
    interrupts: i32,
    indices: i32,
) -> Result<Option<usize>, IrqSetError> {
    let (start, count) = (i128::from(set.start), i128::from(set.count));
    if set.argsz < 20
        || i128::from(set.index) >= i128::from(indices)
        || count >= i128::from(u32::MAX) - start
        || set.flags > 0x3f
    {
        return Err(IrqSetError::BeforeSize);
    }
    if start >= i128::from(interrupts) || start + count > i128::from(interrupts) {
        return Err(IrqSetError::AfterSize);
    }
    let each = match set.flags & 7 {
        1 => return Ok(None),
        2 => 1,
        4 => 4,
        _ => return Err(IrqSetError::AfterSize),
    };
    let size = count * each;
    if i128::from(set.argsz) - 20 < size {
        return Err(IrqSetError::AfterSize);
    }
    Ok(Some(size as usize))
}

// semantics: 49
#[test]
fn every_combination_of_limits() {
    let mut accepted = 0;
    for argsz in [0, 19, 20, 21, 23, 24, 36, 40, u32::MAX] {
        for flags in FLAGS {
            for index in VALUES {
                for start in VALUES {
                    for count in VALUES {
                        for interrupts in [i32::MIN, -1, 0, 1, 4, 5, i32::MAX] {
                            for indices in [-1, 0, 1, 5, i32::MAX] {
                                let set = IrqSet {
                                    argsz,
                                    flags,
                                    index,
                                    start,
                                    count,
                                };
                                let found = data_size(set, interrupts, indices);
                                assert_eq!(found, expected(set, interrupts, indices));
                                accepted += usize::from(found.is_ok());
                            }
                        }
                    }
                }
            }
        }
    }
    // The grid must reach both sides.
    assert!(accepted > 1000, "{accepted}");
}

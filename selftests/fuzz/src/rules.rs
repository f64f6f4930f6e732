// SPDX-License-Identifier: GPL-2.0-only
//! The documented differences between the cores (`Documentation/differences-from-c.rst`) that a sequence can
//! meet.  A call to which a rule applies counts as equal whatever its result is.  The fuzzer reports how often
//! each result was seen, so that a rule that never comes in, or that hides more than its difference, shows.

use crate::memory::Kind;

/// A call with an argument in memory.
pub struct Case<'a> {
    pub op: &'static str,
    pub bytes: &'a [u8],
    pub kind: Kind,
    pub result: i64,
}

impl Case<'_> {
    /// The 32-bit number at an offset, 0 beyond the end.
    fn word(&self, offset: usize) -> u32 {
        crate::ops::word(self.bytes, offset)
    }
}

pub struct Rule {
    /// The mark of the difference.
    pub name: &'static str,
    pub applies: fn(&Case) -> bool,
}

const PAGE: u32 = 4096;
const ATTACH_PASID: u32 = 1;

pub static RULES: &[Rule] = &[
    // The argument of BIND is longer than a page: EFAULT behind the end of the memory, or E2BIG.
    Rule {
        name: "B12",
        applies: |case| {
            case.op == "bind" && case.word(0) > PAGE && errno(case, &[libc::EFAULT, libc::E2BIG])
        },
    },
    // ATTACH of a number that is no PASID: EINVAL, or whatever the page table and the device make of it.
    Rule {
        name: "D7",
        applies: |case| {
            let pasid = case.word(12);
            let is_none = pasid == 0 || pasid >= 1 << 20;
            case.op == "attach" && case.word(4) == ATTACH_PASID && case.word(0) >= 16 && is_none
        },
    },
];

fn errno(case: &Case, errnos: &[i32]) -> bool {
    errnos.iter().any(|&e| case.result == -i64::from(e))
}

/// Tells whether ATTACH could not write its result.  What is attached afterwards differs (D6), so the caller
/// detaches.
pub fn is_unwritten_attach(case: &Case) -> bool {
    case.op == "attach" && case.kind == Kind::ReadOnly && errno(case, &[libc::EFAULT])
}

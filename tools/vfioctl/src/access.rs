// SPDX-License-Identifier: GPL-2.0-only

//! What the calling process may do.

use rustix::fs::{accessat, Access, AtFlags, CWD};
use rustix::process::{geteuid, getrlimit, Resource};

use crate::sysfs::Sysfs;

/// Below this, no virtual machine of use can be given its memory.
const ENOUGH: u64 = 64 << 20;

/// The limit of memory that may be pinned, where there is one that matters.
pub fn memlock_limit() -> Option<u64> {
    // CAP_IPC_LOCK lifts it, which root has.
    if geteuid().is_root() {
        return None;
    }
    getrlimit(Resource::Memlock)
        .current
        .filter(|&bytes| bytes < ENOUGH)
}

/// May a node be opened for reading and writing?  None: it is not there.  It is not opened.
pub fn may_open(sys: &Sysfs, node: &str) -> Option<bool> {
    let path = sys.at(node);
    match accessat(
        CWD,
        &path,
        Access::READ_OK | Access::WRITE_OK,
        AtFlags::EACCESS,
    ) {
        Ok(()) => Some(true),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => None,
        Err(_) => Some(false),
    }
}

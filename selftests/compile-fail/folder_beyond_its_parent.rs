// SPDX-License-Identifier: GPL-2.0-only

//! A folder that goes with another is not used after it.

use crate::kapi::debugfs::Dir;

fn case(dir: Dir) {
    let folder = dir.folder().subdir(c"below");
    drop(dir); //~ E0505
    folder.subdir(c"deeper");
}

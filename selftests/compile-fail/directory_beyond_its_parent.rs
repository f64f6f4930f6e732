// SPDX-License-Identifier: GPL-2.0-only

//! A directory that goes with another is not used after it.

use crate::kapi::debugfs::Dir;

fn case(dir: Dir) {
    let below = dir.as_dir().subdir(c"below");
    drop(dir); //~ E0505
    below.subdir(c"deeper");
}

// SPDX-License-Identifier: GPL-2.0-only

//! A file that speaks of a device goes before the class device does.

use crate::shared::vfio::{debugfs::ShowDevice, Added, Device, Registered};
use kernel::{prelude::*, seq_file::SeqFile};

struct Nothing;

impl ShowDevice for Nothing {
    fn show(_device: &Device<Registered>, _m: &SeqFile) -> Result {
        Ok(())
    }
}

fn case(added: Added) {
    let root = added.debug_root().map(|root| root.dir());
    let _started = added.remove(); //~ E0505
    if let Some(root) = root {
        root.add_file::<Nothing>(c"nothing");
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! The byte that `noiommu` shares with bits that the set's lock protects is written before
//! registration only.

use crate::shared::vfio::registering::Ready;

fn case(mut ready: Ready<'_>) {
    ready.set_noiommu(false);
    let (owner, started) = ready.start();
    let _ = (&*owner, started);
    ready.set_noiommu(true); //~ E0382
}

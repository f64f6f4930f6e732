// SPDX-License-Identifier: GPL-2.0-only

//! Each device has a state of its own: the lock of its set protects data in the state.

use crate::{device::State, shared::vfio::DeviceMemory};
use kernel::sync::{Arc, UniqueArc};

fn case(memory: DeviceMemory, state: UniqueArc<State>) {
    let state: Arc<State> = state.into();
    let _ = (&memory, &state);
    let _ = memory.into_device(0, state); //~ E0308
}

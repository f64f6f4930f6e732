// SPDX-License-Identifier: GPL-2.0-only

//! Models of the module's state machines, for loom, which runs every interleaving of their threads.
//!
//! The state machines are the module's own files, by path: groups, containers, the registration, the open and the
//! close of a device, the bind of a file, the slot of a virtual machine, the link that unregistration revokes, and
//! bound processes.  The other modules of this crate have the names of the module's own, and stand for the drivers,
//! iommufd, KVM and the kernel.  They do nothing but check what the state machines promise them.

#![cfg(test)]
#![feature(arbitrary_self_types)]

mod bindings;
mod device;
mod file;
mod kapi;
mod models;
mod shared;
mod sva;
mod uapi;
// The module's sources are judged by the kernel's settings (make clippy).
#[allow(clippy::all, dead_code, unused_imports)]
#[path = "../../../rust"]
mod module {
    pub(crate) mod container;
    pub(crate) mod group;
    pub(crate) mod minors;
    pub(crate) mod refusal;
}

// The processes that are bound are models of their own: the models of groups have none.
#[allow(clippy::all, dead_code, unused_imports)]
#[path = "../../../rust"]
mod processes {
    pub(crate) mod sva;
}

use module::{container, group, minors, refusal};

// SPDX-License-Identifier: GPL-2.0-only

//! What `vfio.ko` shares with C code: the structures and callbacks of VFIO drivers and IOMMU drivers,
//! its pseudo file system, its trace events.
//!
//! As in [`kapi`](crate::kapi), `unsafe` is allowed here; unlike there, all of it is VFIO's.

pub(crate) mod fs;
pub(crate) mod trace;
pub(crate) mod vfio;

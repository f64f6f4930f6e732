// SPDX-License-Identifier: GPL-2.0-only

//! What can fail, in one line, with what to do about it.

use std::io;

use crate::address::Address;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}: no such device (vfioctl list --all shows what there is)")]
    NoDevice(Address),
    #[error("{0}: is a bridge, which VFIO does not take; name a device behind it")]
    Bridge(Address),
    #[error("{0}: is not on the PCI bus; its driver alone gives it to VFIO")]
    NotPci(Address),
    #[error("{0}: has no IOMMU; vfioctl doctor says what is missing")]
    NoIommu(Address),
    #[error("{0}: {1}; --force does it anyway")]
    InUse(Address, String),
    #[error("{0}: the driver {1} did not take it{2}; the kernel's log may say why (dmesg)")]
    NotTaken(Address, String, String),
    #[error("{0}: vfioctl did not bind it, and does not know its driver; vfioctl unbind leaves it without one")]
    NotRecorded(Address),
    #[error(
        "{0}: another device is there now than the one that was bound: its record was dropped"
    )]
    OtherDevice(Address),
    #[error("no driver {0} for PCI devices; is its module installed? ({1})")]
    NoDriver(String, String),
    #[error("another vfioctl is changing drivers; try again when it has ended ({0} is locked)")]
    Locked(String),
    #[error("{0}: cannot be read: {1}; remove it if no device is bound")]
    State(String, String),
    #[error("{path}: {error}{}", hint(error))]
    Io { path: String, error: io::Error },
    #[error("{0}; what was changed could not be undone: {1}; vfioctl restore tries again")]
    NotUndone(Box<Error>, String),
    #[error("{0}; nothing was changed")]
    Undone(Box<Error>),
    #[error("{0}")]
    Output(io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; run it as root",
        _ => "",
    }
}

impl Error {
    pub fn io(path: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self::Io {
            path: path.into(),
            error: error.into(),
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

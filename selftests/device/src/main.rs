// SPDX-License-Identifier: GPL-2.0-only
//! vfio-device FEATURE...: a PCI Express device for one QEMU, by the vfio-user protocol.
//!
//! It has what no device has that QEMU emulates by itself: PASIDs, ATS, PRI.  Its standard input is the
//! socket that QEMU connects to, listening already.  It ends when QEMU does, or with the word `again`
//! waits for the device to be plugged in once more.  What it complains of goes to standard error.

mod config;
mod device;
mod memory;

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use device::{Device, Features};
use vfio_user::Server;

/// The crate's errors: something that QEMU asked for and did not get.
struct Complaints;

impl log::Log for Complaints {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{}", record.args());
        }
    }

    fn flush(&self) {}
}

/// What the device has, and whether it is served again.
fn features(words: impl Iterator<Item = String>) -> Result<(Features, bool), String> {
    let mut features = Features::default();
    let mut again = false;
    for word in words {
        match word.as_str() {
            "ats" => features.ats = true,
            "pri" => features.pri = true,
            "pri-without-pasid" => features.pri_without_pasid = true,
            "pasid" => features.pasid = true,
            "acs" => features.acs = true,
            "msix" => features.msix = true,
            "again" => again = true,
            _ => {
                return Err(format!(
                    "{word}: ats, pri, pri-without-pasid, pasid, acs, msix or again"
                ))
            }
        }
    }
    Ok((features, again))
}

fn serve() -> Result<(), String> {
    let (features, again) = features(std::env::args().skip(1))?;
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let socket = socket.map_err(|error| format!("no socket: {error}"))?;
    let server = Server::from_owned_fd(
        socket,
        true,
        Device::interrupts(&features),
        Device::regions(),
    );
    loop {
        // Each time a new device, of one connection.
        server
            .run(&mut Device::new(features))
            .map_err(|error| error.to_string())?;
        if !again {
            return Ok(());
        }
    }
}

fn main() -> ExitCode {
    if log::set_logger(&Complaints).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

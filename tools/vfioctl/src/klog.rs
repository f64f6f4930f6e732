// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel's log says of refused calls.  The core in Rust writes it, the one in C does not.

use rustix::fs::{open, Mode, OFlags};
use rustix::io::{read, Errno};
use serde::Serialize;

use crate::sysfs::Sysfs;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Since the kernel's start.
    pub seconds: u64,
    /// A device's address, or a group's number.
    #[serde(skip)]
    pub whose: Whose,
    pub call: String,
    pub process: String,
    pub pid: u32,
    pub reason: String,
    pub errno: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Device(String),
    Group(u32),
}

/// The log as it is; None where it may not be read.
pub fn text(sys: &Sysfs) -> Option<String> {
    let path = "/dev/kmsg";
    let file = match open(
        sys.at(path),
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(file) => file,
        Err(error) => {
            if matches!(error, Errno::ACCESS | Errno::PERM) {
                sys.not_seen("the kernel's log");
            }
            return None;
        }
    };
    let mut log = Vec::new();
    // One record a read; a longer one cannot come (CONSOLE_EXT_LOG_MAX).
    let mut record = [0_u8; 8192];
    loop {
        match read(&file, &mut record) {
            Ok(0) => break,
            Ok(length) => log.extend_from_slice(record.get(..length).unwrap_or_default()),
            // It was overwritten meanwhile: the next is the oldest that is left.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(Errno::PERM) => {
                sys.not_seen("the kernel's log");
                return None;
            }
            // AGAIN: that was the last one.
            Err(_) => break,
        }
    }
    Some(String::from_utf8_lossy(&log).into_owned())
}

/// Those of the log, the oldest first.
pub fn refusals(log: &str) -> Vec<Refusal> {
    log.lines().filter_map(refusal).collect()
}

fn refusal(line: &str) -> Option<Refusal> {
    let (head, text) = line.split_once(';')?;
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    // The process's name may hold anything: from both ends.
    let (rest, end) = text.rsplit_once(" refused: ")?;
    let (reason, errno) = end.strip_suffix(')')?.rsplit_once(" (")?;
    let (rest, pid) = rest.strip_suffix(')')?.rsplit_once("\" (")?;
    let (rest, process) = rest.split_once(" by \"")?;
    let (whose, call) = rest.rsplit_once(": ")?;
    let whose = match whose.rsplit_once(' ')? {
        ("vfio: group", id) => Whose::Group(id.parse().ok()?),
        (_, address) => Whose::Device(address.to_owned()),
    };
    Some(Refusal {
        seconds: micros / 1_000_000,
        whose,
        call: call.to_owned(),
        process: process.to_owned(),
        pid: pid.parse().ok()?,
        reason: reason.to_owned(),
        errno: errno.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_device_and_a_group() {
        let log = "6,900,5000000,-;vfio-pci 0000:00:04.0: bind by \"qemu\" (812) refused: the group's file is open (-16)\n \
                   SUBSYSTEM=pci\n DEVICE=+pci:0000:00:04.0\n\
                   6,901,6000001,-;vfio: group 7: open by \"a\" refused: \" (1) refused: a device of the group is bound (-16)\n";
        let found = refusals(log);
        assert_eq!(
            found,
            [
                Refusal {
                    seconds: 5,
                    whose: Whose::Device("0000:00:04.0".into()),
                    call: "bind".into(),
                    process: "qemu".into(),
                    pid: 812,
                    reason: "the group's file is open".into(),
                    errno: -16
                },
                Refusal {
                    seconds: 6,
                    whose: Whose::Group(7),
                    call: "open".into(),
                    process: "a\" refused: ".into(),
                    pid: 1,
                    reason: "a device of the group is bound".into(),
                    errno: -16
                }
            ]
        );
    }

    #[test]
    fn other_lines() {
        for line in [
            "",
            ";",
            "6,1,x,-;a: b by \"c\" (1) refused: d (-1)",
            "6,1,2,-; refused: ",
            "6,1,2,-;x refused: )",
            "6,1,2,-;a b: c by \"d\" (e) refused: f (-1)",
            "6,1,2,-;vfio: group x: open by \"a\" (1) refused: b (-1)",
        ] {
            assert!(refusals(line).is_empty(), "{line}");
        }
    }
}

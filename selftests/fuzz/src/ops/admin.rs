// SPDX-License-Identifier: GPL-2.0-only
//! The administrator: drivers that leave devices, mediated devices that come and go, PCI functions that are removed
//! from their bus, parameters of modules.

use crate::files::Kind;
use crate::fuzz::Fuzz;
use crate::random::Random;

/// Tells whether a removal of a device could wait for a file.  The C core waits for unbound files, too.
fn is_held(fuzz: &Fuzz, device: usize) -> bool {
    let group = fuzz.world.devices[device].group;
    fuzz.files.any(|file| match file.kind {
        Kind::Cdev(other) | Kind::GroupDevice(other) => other == device,
        Kind::KvmVfio | Kind::Vm => true,
        Kind::Group(other) => other == group && file.backend.is_some(),
        _ => false,
    })
}

/// A device that can be removed without waiting.
fn removable(fuzz: &Fuzz, random: &mut Random) -> Option<usize> {
    let device = random.below(fuzz.world.devices.len());
    (fuzz.world.devices[device].present && !is_held(fuzz, device)).then_some(device)
}

pub fn remove(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let device = removable(fuzz, random)?;
    let result = fuzz.world.remove(device);
    fuzz.trace.result("remove", result, &[]);
    Some(result)
}

pub fn unplug(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let device = removable(fuzz, random).filter(|&d| fuzz.world.can_be_unplugged(d))?;
    let result = fuzz.world.unplug(device);
    fuzz.trace.result("unplug", result, &[]);
    Some(result)
}

pub fn restore(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let gone: Vec<_> = (0..fuzz.world.devices.len())
        .filter(|&d| !fuzz.world.devices[d].present)
        .collect();
    if gone.is_empty() {
        return None;
    }
    let device = random.of(&gone);
    let result = fuzz.world.restore(device);
    fuzz.trace.result("restore", result, &[]);
    Some(result)
}

pub fn read_sysfs(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let device = random.below(fuzz.world.devices.len());
    let node = fuzz.world.node(device);
    let class = node.replace("/dev/vfio/devices", "/sys/class/vfio-dev");
    let dev = std::fs::read_to_string(format!("{class}/dev")).unwrap_or_default();
    // The major is whatever was free.
    let minor = dev.split(':').nth(1).unwrap_or_default();
    fuzz.trace
        .result("sysfs", 0, format!("{node} {minor}").as_bytes());
    Some(0)
}

pub fn set_parameter(fuzz: &mut Fuzz, random: &mut Random) -> Option<i64> {
    let result = fuzz.world.set_parameter(random)?;
    fuzz.trace.result("parameter", result, &[]);
    Some(result)
}

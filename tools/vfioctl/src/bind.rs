// SPDX-License-Identifier: GPL-2.0-only

//! Gives groups to VFIO and back: drivers are changed through driver_override and drivers_probe.

use serde::Serialize;

use crate::address::Address;
use crate::core::Core;
use crate::device::{is_vfio_driver, Device};
use crate::error::{Error, Result};
use crate::group::Group;
use crate::holders::Files;
use crate::in_use;
use crate::modules;
use crate::state::{Record, State};
use crate::sysfs::Sysfs;

const PROBE: &str = "/sys/bus/pci/drivers_probe";
const NOIOMMU: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
pub const DEFAULT_DRIVER: &str = "vfio-pci";

/// What was done, or would be.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Action {
    Write { path: String, value: String },
    Load { modprobe: String },
}

/// How a change is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Whatever stands on the device.
    pub force: bool,
}

/// What a change came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub dry_run: bool,
    pub actions: Vec<Action>,
    /// What the person should know, though nothing is wrong.
    pub notes: Vec<String>,
}

/// Changes drivers of devices, or notes how it would.
struct Changer<'a> {
    sys: &'a Sysfs,
    how: How,
    report: Report,
}

fn driver_override(sys: &Sysfs, device: &Device) -> Option<String> {
    let text = sys.read(&format!("{}/driver_override", device.folder))?;
    (!text.is_empty() && text != "(null)").then_some(text)
}

fn record(sys: &Sysfs, device: &Device) -> Record {
    Record {
        driver: device.driver.clone(),
        driver_override: driver_override(sys, device),
        ids: device.ids(),
    }
}

impl<'a> Changer<'a> {
    fn new(sys: &'a Sysfs, how: How) -> Self {
        let report = Report {
            dry_run: how.dry_run,
            ..Report::default()
        };
        Self { sys, how, report }
    }

    fn write(&mut self, path: String, value: &str) -> Result<()> {
        if !self.how.dry_run {
            self.sys.write(&path, value)?;
        }
        self.report.actions.push(Action::Write {
            path,
            value: value.trim().to_owned(),
        });
        Ok(())
    }

    /// The driver that a device has now.
    fn driver(&self, device: &Device) -> Option<String> {
        self.sys.link(&format!("{}/driver", device.folder))
    }

    /// Takes the device's driver away.
    fn release(&mut self, device: &Device) -> Result<()> {
        match self.driver(device) {
            Some(driver) => self.write(
                format!("/sys/bus/pci/drivers/{driver}/unbind"),
                &device.address.to_string(),
            ),
            None => Ok(()),
        }
    }

    fn set_override(&mut self, device: &Device, value: Option<&str>) -> Result<()> {
        // What is empty takes the override away.
        self.write(
            format!("{}/driver_override", device.folder),
            &format!("{}\n", value.unwrap_or_default()),
        )
    }

    /// Has the kernel look for a driver, and sees to it that it is this one.
    fn probe(&mut self, device: &Device, driver: &str) -> Result<()> {
        let result = self.write(PROBE.into(), &device.address.to_string());
        if self.how.dry_run || self.driver(device).as_deref() == Some(driver) {
            return Ok(());
        }
        let why = match result {
            Err(Error::Io { error, .. }) => format!(": {error}"),
            _ => String::new(),
        };
        Err(Error::NotTaken(
            device.address.clone(),
            driver.to_owned(),
            why,
        ))
    }

    /// The override is set first, so that no other driver comes in between.
    fn give(&mut self, device: &Device, driver: &str) -> Result<()> {
        self.set_override(device, Some(driver))?;
        self.release(device)?;
        self.probe(device, driver)
    }

    /// As the record has it.
    fn give_back(&mut self, device: &Device, record: &Record) -> Result<()> {
        self.set_override(device, record.driver_override.as_deref())?;
        if self.driver(device) == record.driver {
            return Ok(());
        }
        self.release(device)?;
        let Some(driver) = &record.driver else {
            return Ok(());
        };
        // Another driver may be first with the probe, and be the wrong one: then by name.
        if self.probe(device, driver).is_err() {
            self.release(device)?;
            self.write(
                format!("/sys/bus/pci/drivers/{driver}/bind"),
                &device.address.to_string(),
            )
            .map_err(|error| match error {
                Error::Io { error, .. } => {
                    Error::NotTaken(device.address.clone(), driver.clone(), format!(": {error}"))
                }
                other => other,
            })?;
        }
        Ok(())
    }

    fn is_there(&self, device: &Device) -> bool {
        self.sys.exists(&device.folder)
    }

    /// Does the same with each; if one fails, all are again what they were.
    fn all(
        &mut self,
        devices: &[Device],
        named: &[Address],
        change: impl Fn(&mut Self, &Device) -> Result<()>,
    ) -> Result<()> {
        let mut begun: Vec<(&Device, Record)> = Vec::new();
        for device in devices {
            begun.push((device, record(self.sys, device)));
            if let Err(error) = change(self, device) {
                if !self.is_there(device) {
                    // It was unplugged: only who asked for it has to know.
                    if !named.contains(&device.address) {
                        continue;
                    }
                    return Err(self.undo(&begun, Error::NoDevice(device.address.clone())));
                }
                return Err(self.undo(&begun, error));
            }
        }
        Ok(())
    }

    /// The same, after a note of what the devices were, for restore: whatever ends this process.
    fn recorded(
        mut self,
        state: &mut State<'_>,
        devices: &[Device],
        named: &[Address],
        change: impl Fn(&mut Self, &Device) -> Result<()>,
    ) -> Result<Report> {
        let records = devices
            .iter()
            .map(|d| (d.address.clone(), record(self.sys, d)))
            .collect();
        let added = state.add(records)?;
        match self.all(devices, named, change) {
            Ok(()) => Ok(self.report),
            Err(error @ Error::NotUndone(..)) => Err(error),
            Err(error) => {
                state.remove(&added)?;
                Err(error)
            }
        }
    }

    fn undo(&mut self, begun: &[(&Device, Record)], error: Error) -> Error {
        let mut failures = Vec::new();
        for (device, record) in begun
            .iter()
            .rev()
            .filter(|(device, _)| self.sys.exists(&device.folder))
        {
            if let Err(failure) = self.give_back(device, record) {
                failures.push(failure.to_string());
            }
        }
        if failures.is_empty() {
            Error::Undone(Box::new(error))
        } else {
            Error::NotUndone(Box::new(error), failures.join("; "))
        }
    }
}

/// The devices, each of which must be one that VFIO can have.
fn named(sys: &Sysfs, addresses: &[Address]) -> Result<Vec<Device>> {
    addresses
        .iter()
        .map(|address| {
            let device =
                Device::find(sys, address).ok_or_else(|| Error::NoDevice(address.clone()))?;
            match () {
                () if !device.address.is_pci() => Err(Error::NotPci(address.clone())),
                () if device.is_bridge() => Err(Error::Bridge(address.clone())),
                () => Ok(device),
            }
        })
        .collect()
}

/// Those and all other endpoints of their groups, each once.
fn with_groups(sys: &Sysfs, devices: Vec<Device>) -> Vec<Device> {
    let mut all: Vec<Device> = Vec::new();
    for device in devices {
        let members = match Group::of(sys, &device) {
            Some(group) => group.endpoints().cloned().collect(),
            None => vec![device],
        };
        for member in members {
            if !all.iter().any(|known| known.address == member.address) {
                all.push(member);
            }
        }
    }
    all
}

/// Refuses what somebody needs.
fn check_free(sys: &Sysfs, devices: &[Device], how: How) -> Result<()> {
    if how.force {
        return Ok(());
    }
    let core = Core::loaded(sys);
    let files = Files::read(sys);
    for device in devices {
        let found = in_use::by_machine(sys, device).into_iter().next();
        if let Some(found) = found.or_else(|| in_use::claimed_disk(sys, device)) {
            return Err(Error::InUse(device.address.clone(), found.what));
        }
        let mut holders = files.of_device(sys, core, device);
        if let Some(group) = Group::of(sys, device).filter(|_| device.vfio) {
            holders.extend(files.of_group(&group));
        }
        if let Some(holder) = holders.iter().find(|holder| holder.uses()) {
            return Err(Error::InUse(
                device.address.clone(),
                format!(
                    "{} has it open, and its driver would wait for that",
                    holder.describe()
                ),
            ));
        }
    }
    Ok(())
}

/// The driver by its name, which modprobe loads if it has to.
fn find_driver(changer: &mut Changer<'_>, wanted: &str) -> Result<String> {
    if let Some(driver) = modules::pci_driver(changer.sys, wanted) {
        return Ok(driver);
    }
    changer.report.actions.push(Action::Load {
        modprobe: wanted.to_owned(),
    });
    if changer.how.dry_run {
        return Ok(wanted.to_owned());
    }
    if changer.sys.is_live() {
        modules::load(wanted)?;
    }
    modules::pci_driver(changer.sys, wanted)
        .ok_or_else(|| Error::NoDriver(wanted.to_owned(), "the module has none".into()))
}

fn state(sys: &Sysfs, how: How) -> Result<State<'_>> {
    if how.dry_run {
        State::peek(sys)
    } else {
        State::lock(sys)
    }
}

/// Gives the devices, and all endpoints of their groups, to a VFIO driver.
pub fn bind(sys: &Sysfs, addresses: &[Address], driver: Option<&str>, how: How) -> Result<Report> {
    named(sys, addresses)?;
    let mut state = state(sys, how)?;
    // As they are under the lock.
    let chosen = named(sys, addresses)?;
    for device in chosen.iter().filter(|device| device.group.is_none()) {
        if !sys.flag(NOIOMMU) {
            return Err(Error::NoIommu(device.address.clone()));
        }
    }
    // Who is there already stays, unless another driver was asked for.
    let is_done = |device: &Device| match (driver, &device.driver) {
        (Some(wanted), Some(has)) => modules::module_name(wanted) == modules::module_name(has),
        (None, Some(has)) => device.vfio || is_vfio_driver(has),
        _ => false,
    };
    let devices: Vec<Device> = with_groups(sys, chosen)
        .into_iter()
        .filter(|device| !is_done(device))
        .collect();
    check_free(sys, &devices, how)?;
    let mut changer = Changer::new(sys, how);
    if devices.is_empty() {
        return Ok(changer.report);
    }
    let name = find_driver(&mut changer, driver.unwrap_or(DEFAULT_DRIVER))?;
    for device in devices.iter().filter(|_| driver.is_none()) {
        if let Some(variant) = modules::variant(sys, device) {
            changer.report.notes.push(format!(
                "{}: {variant} is made for this device (migration and the like): bind --driver {variant}",
                device.address
            ));
        }
    }
    changer.recorded(&mut state, &devices, addresses, |changer, device| {
        changer.give(device, &name)
    })
}

/// Takes the groups from their VFIO drivers and leaves them without any.  Drivers of the host stay.
pub fn unbind(sys: &Sysfs, addresses: &[Address], how: How) -> Result<Report> {
    named(sys, addresses)?;
    let mut state = state(sys, how)?;
    let devices: Vec<Device> = with_groups(sys, named(sys, addresses)?)
        .into_iter()
        .filter(|device| device.vfio && device.driver.is_some())
        .collect();
    check_free(sys, &devices, how)?;
    let changer = Changer::new(sys, how);
    let mut overrides = Vec::new();
    for device in &devices {
        let before = state.get(&device.address).filter(|r| r.ids == device.ids());
        overrides.push((
            device.address.clone(),
            before.and_then(|r| r.driver_override.clone()),
        ));
    }
    changer.recorded(&mut state, &devices, addresses, |changer, device| {
        // With VFIO's driver as the override, the next probe would bind it again.
        let before = overrides
            .iter()
            .find(|(a, _)| *a == device.address)
            .and_then(|(_, o)| o.as_deref());
        changer.set_override(device, before)?;
        changer.release(device)
    })
}

/// Gives the devices of the groups back to the drivers that they had.  Without addresses: all that there is a record of.
pub fn restore(sys: &Sysfs, addresses: &[Address], how: How) -> Result<Report> {
    let mut state = state(sys, how)?;
    let mut devices = Vec::new();
    let mut gone = Vec::new();
    if addresses.is_empty() {
        for address in state.addresses() {
            match Device::find(sys, &address) {
                Some(device) => devices.push(device),
                None => gone.push(address),
            }
        }
    } else {
        let chosen = named(sys, addresses)?;
        if let Some(device) = chosen
            .iter()
            .find(|device| state.get(&device.address).is_none())
        {
            return Err(Error::NotRecorded(device.address.clone()));
        }
        devices = with_groups(sys, chosen);
    }
    let mut others = Vec::new();
    let records: Vec<(Device, Record)> = devices
        .into_iter()
        .filter_map(|device| {
            let record = state.get(&device.address)?.clone();
            if record.ids == device.ids() {
                return Some((device, record));
            }
            others.push(device.address);
            None
        })
        .collect();
    let devices: Vec<Device> = records.iter().map(|(device, _)| device.clone()).collect();
    let bound: Vec<Device> = devices
        .iter()
        .filter(|device| device.vfio)
        .cloned()
        .collect();
    check_free(sys, &bound, how)?;
    let mut changer = Changer::new(sys, how);
    changer.all(&devices, addresses, |changer, device| {
        match records
            .iter()
            .find(|(other, _)| other.address == device.address)
        {
            Some((_, record)) => changer.give_back(device, record),
            None => Ok(()),
        }
    })?;
    let done: Vec<Address> = devices
        .into_iter()
        .map(|d| d.address)
        .chain(gone)
        .chain(others.clone())
        .collect();
    state.remove(&done)?;
    match others
        .into_iter()
        .find(|address| addresses.contains(address))
    {
        Some(address) => Err(Error::OtherDevice(address)),
        None => Ok(changer.report),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::tree::Tree;

    const DRY: How = How {
        dry_run: true,
        force: false,
    };

    fn addresses(names: &[&str]) -> Vec<Address> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn machine() -> Tree {
        let tree = Tree::new();
        tree.pci("0000:00:05.0", "0x020000", Some(7), Some("igb"));
        tree.pci("0000:00:05.1", "0x020000", Some(7), None);
        tree.pci("0000:00:1c.0", "0x060400", Some(7), Some("pcieport"));
        tree.folder("/sys/bus/pci/drivers/vfio-pci");
        tree
    }

    fn shown(report: &Report) -> Vec<String> {
        report
            .actions
            .iter()
            .map(|action| match action {
                Action::Write { path, value } => {
                    format!("{value} > {}", path.rsplit("pci0000:00/").next().unwrap())
                }
                Action::Load { modprobe } => format!("modprobe {modprobe}"),
            })
            .collect()
    }

    #[test]
    fn dry_run_takes_the_group_and_no_bridge() {
        let tree = machine();
        let report = bind(&tree.sysfs(), &addresses(&["00:05.1"]), None, DRY).unwrap();
        assert_eq!(
            shown(&report),
            [
                "vfio-pci > 0000:00:05.0/driver_override",
                "0000:00:05.0 > /sys/bus/pci/drivers/igb/unbind",
                "0000:00:05.0 > /sys/bus/pci/drivers_probe",
                "vfio-pci > 0000:00:05.1/driver_override",
                "0000:00:05.1 > /sys/bus/pci/drivers_probe",
            ]
        );
        assert_eq!(tree.read("/sys/bus/pci/drivers_probe"), "");
        assert!(!tree.root().join("run").exists());
    }

    #[test]
    fn a_driver_that_is_missing_is_loaded() {
        let tree = machine();
        let report = bind(
            &tree.sysfs(),
            &addresses(&["00:05.1"]),
            Some("mlx5_vfio_pci"),
            DRY,
        )
        .unwrap();
        assert_eq!(
            shown(&report)[..2],
            [
                "modprobe mlx5_vfio_pci",
                "mlx5_vfio_pci > 0000:00:05.0/driver_override"
            ]
        );
    }

    #[test]
    fn what_fails_is_undone() {
        // Nothing probes on this machine, so that the first device does not get its driver.
        let tree = machine();
        let sys = tree.sysfs();
        let error = bind(
            &sys,
            &addresses(&["00:05.1"]),
            None,
            How {
                force: true,
                ..How::default()
            },
        )
        .unwrap_err();
        assert!(
            matches!(&error, Error::Undone(inner) if matches!(**inner, Error::NotTaken(..))),
            "{error}"
        );
        assert_eq!(
            tree.read("/sys/devices/pci0000:00/0000:00:05.0/driver_override"),
            "\n"
        );
        assert!(State::peek(&sys).unwrap().addresses().is_empty());
    }

    #[test]
    fn refusals() {
        let tree = machine();
        let sys = tree.sysfs();
        let fails = |names: &[&str]| bind(&sys, &addresses(names), None, DRY).unwrap_err();
        assert!(matches!(fails(&["00:09.0"]), Error::NoDevice(_)));
        assert!(matches!(fails(&["00:1c.0"]), Error::Bridge(_)));
        tree.pci("0000:00:06.0", "0x020000", None, None);
        assert!(matches!(fails(&["00:06.0"]), Error::NoIommu(_)));
        tree.file(NOIOMMU, "Y\n");
        assert!(bind(&sys, &addresses(&["00:06.0"]), None, DRY).is_ok());
        // The sibling's disk, too
        tree.file("/sys/devices/pci0000:00/0000:00:05.0/boot_vga", "1\n");
        assert!(matches!(fails(&["00:05.1"]), Error::InUse(..)));
        assert!(bind(
            &sys,
            &addresses(&["00:05.1"]),
            None,
            How { force: true, ..DRY }
        )
        .is_ok());
    }

    #[test]
    fn bound_devices_stay() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:05.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7");
        let sys = tree.sysfs();
        assert!(bind(&sys, &addresses(&["00:05.0"]), None, DRY)
            .unwrap()
            .actions
            .is_empty());
        // Another driver was asked for.
        assert_eq!(
            bind(&sys, &addresses(&["00:05.0"]), Some("x-vfio"), DRY)
                .unwrap()
                .actions
                .len(),
            4
        );
    }

    #[test]
    fn open_devices_are_not_taken() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:05.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7").process(
            812,
            "qemu",
            5,
            "/dev/vfio/devices/vfio0",
            &format!("vfio-device-syspath: {folder}\n"),
        );
        let sys = tree.sysfs();
        let error = unbind(&sys, &addresses(&["00:05.0"]), DRY).unwrap_err();
        assert!(error.to_string().contains("qemu (812)"), "{error}");
        let forced = unbind(&sys, &addresses(&["00:05.0"]), How { force: true, ..DRY }).unwrap();
        assert_eq!(
            shown(&forced),
            [
                " > 0000:00:05.0/driver_override",
                "0000:00:05.0 > /sys/bus/pci/drivers/vfio-pci/unbind"
            ]
        );
    }

    #[test]
    fn restore_wants_a_record() {
        let tree = machine();
        let sys = tree.sysfs();
        assert!(matches!(
            restore(&sys, &addresses(&["00:05.0"]), DRY),
            Err(Error::NotRecorded(_))
        ));
        assert!(restore(&sys, &[], DRY).unwrap().actions.is_empty());
    }

    #[test]
    fn restore_gives_back() {
        let tree = Tree::new();
        let folder = tree.pci("0000:00:05.0", "0x020000", Some(7), Some("vfio-pci"));
        tree.vfio(&folder, "vfio0", "7").file("/sys/bus/pci/drivers/igb/bind", "").file(
            "/run/vfioctl/state.json",
            "{\"0000:00:05.0\": {\"driver\": \"igb\", \"driver_override\": \"mine\", \"ids\": \"8086:10c9\"},
              \"0000:00:06.0\": {\"driver\": \"igb\", \"driver_override\": null, \"ids\": \"8086:10c9\"}}",
        );
        let sys = tree.sysfs();
        let report = restore(&sys, &addresses(&["00:05.0"]), DRY).unwrap();
        assert_eq!(
            shown(&report),
            [
                "mine > 0000:00:05.0/driver_override",
                "0000:00:05.0 > /sys/bus/pci/drivers/vfio-pci/unbind",
                "0000:00:05.0 > /sys/bus/pci/drivers_probe"
            ]
        );
        // One is not there any more: its record goes, and that is all.
        assert_eq!(restore(&sys, &[], DRY).unwrap().actions.len(), 3);
    }

    #[test]
    fn restore_knows_another_device() {
        let tree = machine();
        tree.file("/run/vfioctl/state.json",
                  "{\"0000:00:05.0\": {\"driver\": \"nvme\", \"driver_override\": null, \"ids\": \"1:2\"}}");
        let sys = tree.sysfs();
        let error = restore(&sys, &addresses(&["00:05.0"]), How::default()).unwrap_err();
        assert!(matches!(error, Error::OtherDevice(_)));
        assert!(State::peek(&sys).unwrap().addresses().is_empty());
    }
}

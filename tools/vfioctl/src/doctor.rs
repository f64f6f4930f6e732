// SPDX-License-Identifier: GPL-2.0-only

//! What VFIO needs of the machine, and whether that is there.

use serde::Serialize;

use crate::access;
use crate::core::Core;
use crate::device::{is_vfio_driver, Device};
use crate::modules;
use crate::sysfs::Sysfs;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub verdict: Verdict,
    pub what: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

fn ok(name: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        name,
        verdict: Verdict::Ok,
        what: what.into(),
        remedy: None,
    }
}

fn warn(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        name,
        verdict: Verdict::Warn,
        what: what.into(),
        remedy: Some(remedy.into()),
    }
}

fn fail(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Fail,
        ..warn(name, what, remedy)
    }
}

/// Everything, in the order in which it is mended.
pub fn findings(sys: &Sysfs) -> Vec<Finding> {
    let mut found = vec![iommu(sys), interrupts(sys), core(sys)];
    found.extend(drivers(sys));
    found.push(iommufd(sys));
    found.extend(nodes(sys));
    found.push(memlock());
    found.extend(configuration(sys));
    found.extend(unsafe_settings(sys));
    found
}

/// Groups that an IOMMU made, and not VFIO for want of one.
fn has_iommu(sys: &Sysfs) -> bool {
    sys.list("/sys/kernel/iommu_groups").iter().any(|group| {
        let name = sys.read(&format!("/sys/kernel/iommu_groups/{group}/name"));
        !name.is_some_and(|name| name.starts_with("vfio-"))
    })
}

fn iommu(sys: &Sysfs) -> Finding {
    let units = sys.list("/sys/class/iommu");
    if has_iommu(sys) {
        let groups = sys.list("/sys/kernel/iommu_groups").len();
        return ok(
            "iommu",
            format!(
                "on: {}, {groups} groups",
                if units.is_empty() {
                    "unnamed".into()
                } else {
                    units.join(", ")
                }
            ),
        );
    }
    let table = |name: &str| sys.exists(&format!("/sys/firmware/acpi/tables/{name}"));
    let remedy = match () {
        () if table("DMAR") => "the firmware has VT-d on: boot the kernel with intel_iommu=on",
        () if table("IVRS") => "the firmware has AMD-Vi on: boot the kernel without amd_iommu=off",
        () => "switch VT-d, AMD-Vi or the SMMU on in the firmware, and boot the kernel with intel_iommu=on on Intel's",
    };
    fail(
        "iommu",
        "off: no device has an IOMMU group, and VFIO cannot confine DMA",
        remedy,
    )
}

/// The kernel names interrupt controllers by what is between them and the device.
fn interrupts(sys: &Sysfs) -> Finding {
    const NAME: &str = "interrupt-remapping";
    let text = sys.read("/proc/interrupts").unwrap_or_default();
    let words = || text.split_whitespace();
    if words().any(|word| word.starts_with("IR-")) {
        return ok(NAME, "on");
    }
    if words().any(|word| word.starts_with("ITS-")) {
        return ok(NAME, "an ITS confines interrupts");
    }
    if !words().any(|word| word.contains("IO-APIC")) {
        return warn(
            NAME,
            "cannot be told on this platform",
            "if a bind is refused with EPERM, interrupts are not confined",
        );
    }
    let remedy = "boot without intremap=off, and with interrupt remapping (x2APIC) on in the firmware; iommufd and type1 refuse devices without it";
    fail(
        NAME,
        "off: a device could send interrupts that are not its own",
        remedy,
    )
}

fn core(sys: &Sysfs) -> Finding {
    const NAME: &str = "core";
    match Core::loaded(sys) {
        Core::None => warn(NAME, "vfio is not loaded", "modprobe vfio-pci"),
        Core::Unknown => warn(
            NAME,
            "vfio is loaded, from outside of the kernel's tree; whose it is cannot be told",
            "see whether /proc/kallsyms shows the module's symbols",
        ),
        Core::C => ok(NAME, "vfio is loaded: the kernel's own, in C"),
        Core::Rust => {
            let version = sys
                .read("/sys/module/vfio/version")
                .map(|v| format!(", version {v}"))
                .unwrap_or_default();
            ok(NAME, format!("vfio is loaded: the core in Rust{version}"))
        }
    }
}

/// The modules that a container, or a PCI device, needs.
fn drivers(sys: &Sysfs) -> Vec<Finding> {
    let mut found = Vec::new();
    let has_groups = sys
        .read("/proc/devices")
        .is_none_or(|text| Core::loaded(sys) == Core::None || has_region(&text, "vfio"));
    for (name, module, of_what, wanted) in [
        ("vfio-pci", "vfio_pci", "PCI devices", true),
        ("type1", "vfio_iommu_type1", "containers", has_groups),
    ] {
        if !wanted {
            continue;
        }
        let present = modules::is_loaded(sys, module)
            || (name == "vfio-pci" && modules::pci_driver(sys, name).is_some());
        found.push(match (present, modules::is_installed(sys, module)) {
            (true, _) => ok(name, format!("{module} is loaded")),
            (false, Some(false)) => fail(
                name,
                format!("the kernel has no {module}, which {of_what} need"),
                "install the kernel's modules, or another kernel",
            ),
            (false, _) => warn(
                name,
                format!("{module} is not loaded, which {of_what} need"),
                format!("modprobe {module}"),
            ),
        });
    }
    found
}

fn iommufd(sys: &Sysfs) -> Finding {
    const NAME: &str = "iommufd";
    if sys.exists("/sys/class/misc/iommu") {
        return if sys.exists("/dev/iommu") {
            ok(NAME, "/dev/iommu is there")
        } else {
            warn(
                NAME,
                "the kernel has it, and /dev/iommu is not there",
                "mount devtmpfs on /dev",
            )
        };
    }
    match modules::is_installed(sys, "iommufd") {
        Some(false) => warn(
            NAME,
            "the kernel has none: devices can be used by groups and containers alone",
            "use a kernel with CONFIG_IOMMUFD",
        ),
        _ => warn(NAME, "is not loaded", "modprobe iommufd"),
    }
}

/// Is a range of device numbers taken under that name?
fn has_region(devices: &str, name: &str) -> bool {
    devices
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(name))
}

fn nodes(sys: &Sysfs) -> Vec<Finding> {
    const NAME: &str = "nodes";
    let Some(text) = sys
        .read("/proc/devices")
        .filter(|_| Core::loaded(sys) != Core::None)
    else {
        return Vec::new();
    };
    vec![
        match (has_region(&text, "vfio-dev"), has_region(&text, "vfio")) {
            (true, true) => ok(
                NAME,
                "devices and groups have nodes (/dev/vfio/devices/, /dev/vfio/)",
            ),
            (true, false) => warn(
                NAME,
                "devices have nodes, groups have none (CONFIG_VFIO_GROUP)",
                "use programs that know iommufd",
            ),
            (false, true) => warn(
                NAME,
                "groups have nodes, devices have none (CONFIG_VFIO_DEVICE_CDEV)",
                "use programs that know groups",
            ),
            (false, false) => fail(
                NAME,
                "neither devices nor groups have nodes",
                "use another kernel",
            ),
        },
    ]
}

fn memlock() -> Finding {
    const NAME: &str = "memlock";
    match access::memlock_limit() {
        None => ok(NAME, "this user may pin enough memory"),
        Some(limit) => warn(
            NAME,
            format!(
                "this user may pin {} KiB, and mappings for DMA are pinned",
                limit >> 10
            ),
            "raise it: ulimit -l, LimitMEMLOCK=, or limits.conf(5)",
        ),
    }
}

/// Modules that VFIO stands on.
fn is_ours(name: &str) -> bool {
    is_vfio_driver(name) || modules::module_name(name) == "iommufd"
}

/// A PCI device as ids= matches it: vendor:device, further fields may follow.
fn matches_id(device: &Device, id: &str) -> bool {
    let mut words = id.split(':').map(|word| u32::from_str_radix(word, 16).ok());
    let (vendor, number) = (words.next().flatten(), words.next().flatten());
    let same = |field: Option<u16>, wanted: Option<u32>| {
        wanted == Some(u32::MAX) || (wanted.is_some() && field.map(u32::from) == wanted)
    };
    same(device.vendor, vendor) && same(device.device, number)
}

fn configuration(sys: &Sysfs) -> Vec<Finding> {
    const NAME: &str = "modprobe";
    let mut found = Vec::new();
    let lines = modules::configuration(sys);
    let mut ids: Vec<(String, String)> = Vec::new();
    for line in &lines {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["blacklist", module] if is_ours(module) => found.push(warn(
                NAME,
                format!("{} blacklists {module}: no alias loads it", line.file),
                "remove the line if VFIO is wanted",
            )),
            ["install", module, command @ ..] if is_ours(module) => found.push(warn(
                NAME,
                format!(
                    "{} replaces the loading of {module} by: {}",
                    line.file,
                    command.join(" ")
                ),
                "remove the line if VFIO is wanted",
            )),
            ["options", module, options @ ..] if is_ours(module) => {
                for option in options {
                    if let Some(list) = option.strip_prefix("ids=") {
                        ids.extend(
                            list.trim_matches('"')
                                .split(',')
                                .map(|id| (line.file.clone(), id.to_owned())),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    for word in sys
        .read("/proc/cmdline")
        .unwrap_or_default()
        .split_whitespace()
    {
        if let Some(list) = word.replace('_', "-").strip_prefix("vfio-pci.ids=") {
            ids.extend(
                list.split(',')
                    .map(|id| ("/proc/cmdline".to_owned(), id.to_owned())),
            );
        }
    }
    let devices: Vec<Device> = sys
        .list("/sys/bus/pci/devices")
        .iter()
        .filter_map(|name| Device::at(sys, &format!("/sys/bus/pci/devices/{name}")))
        .collect();
    for (file, id) in ids.iter().filter(|(_, id)| !id.is_empty()) {
        claims(&devices, &lines, file, id, &mut found);
    }
    for line in modules::loaded_at_boot(sys) {
        if let Some(name) = line.words.first().filter(|name| is_ours(name)) {
            if modules::is_installed(sys, name) == Some(false) && !modules::is_loaded(sys, name) {
                found.push(warn(
                    NAME,
                    format!(
                        "{} loads {name}, which this kernel does not have",
                        line.file
                    ),
                    "remove the line (vfio_virqfd has been a part of vfio since Linux 6.2)",
                ));
            }
        }
    }
    if found.is_empty() {
        found.push(ok(NAME, "nothing in the configuration is in the way"));
    }
    found
}

/// Does ids= give vfio-pci what it names?
fn claims(
    devices: &[Device],
    lines: &[modules::Line],
    file: &str,
    id: &str,
    found: &mut Vec<Finding>,
) {
    const NAME: &str = "ids";
    let named: Vec<&Device> = devices
        .iter()
        .filter(|device| matches_id(device, id))
        .collect();
    if named.is_empty() {
        found.push(warn(
            NAME,
            format!("{file}: ids={id} claims nothing: no such device"),
            "compare with lspci -nn",
        ));
    }
    for device in named.iter().filter(|device| !device.vfio) {
        let Some(driver) = &device.driver else {
            continue;
        };
        let ordered = lines.iter().any(|line| {
            line.words.first().is_some_and(|word| word == "softdep")
                && line
                    .words
                    .get(1)
                    .is_some_and(|word| modules::module_name(word) == modules::module_name(driver))
                && line
                    .words
                    .iter()
                    .any(|word| modules::module_name(word) == "vfio_pci")
        });
        let remedy = if ordered {
            "make the initramfs anew: it may have the configuration of before".to_owned()
        } else {
            format!("let vfio-pci be first: softdep {driver} pre: vfio-pci; and make the initramfs anew")
        };
        found.push(warn(
            NAME,
            format!(
                "{file}: ids={id} names {}, which {driver} has",
                device.address
            ),
            remedy,
        ));
    }
}

fn unsafe_settings(sys: &Sysfs) -> Vec<Finding> {
    const NAME: &str = "unsafe";
    let mut found = Vec::new();
    for module in ["iommufd", "vfio_iommu_type1"] {
        if sys.flag(&format!(
            "/sys/module/{module}/parameters/allow_unsafe_interrupts"
        )) {
            found.push(warn(
                NAME,
                format!("{module} takes devices whose interrupts are not confined (allow_unsafe_interrupts)"),
                "switch interrupt remapping on, and the parameter off",
            ));
        }
    }
    if sys.flag("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") {
        found.push(warn(
            NAME,
            "devices without an IOMMU are given away, and reach all memory (enable_unsafe_noiommu_mode)",
            "switch the IOMMU on, and the parameter off",
        ));
    }
    if found.is_empty() {
        found.push(ok(NAME, "no unsafe setting is on"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    /// The verdicts and texts of one name.
    fn of(tree: &Tree, name: &str) -> Vec<(Verdict, String)> {
        findings(&tree.sysfs())
            .into_iter()
            .filter(|f| f.name == name)
            .map(|f| (f.verdict, f.what))
            .collect()
    }

    fn verdict(tree: &Tree, name: &str) -> Verdict {
        of(tree, name)
            .into_iter()
            .map(|(verdict, _)| verdict)
            .max()
            .unwrap_or(Verdict::Ok)
    }

    #[test]
    fn empty_machine() {
        let tree = Tree::new();
        assert_eq!(verdict(&tree, "iommu"), Verdict::Fail);
        assert_eq!(verdict(&tree, "core"), Verdict::Warn);
        assert_eq!(verdict(&tree, "unsafe"), Verdict::Ok);
        assert!(of(&tree, "nodes").is_empty());
    }

    #[test]
    fn groups_without_iommu_do_not_count() {
        let tree = Tree::new();
        tree.file("/sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
        assert_eq!(verdict(&tree, "iommu"), Verdict::Fail);
        tree.folder("/sys/kernel/iommu_groups/1")
            .folder("/sys/class/iommu/dmar0");
        assert_eq!(
            of(&tree, "iommu"),
            [(Verdict::Ok, "on: dmar0, 2 groups".into())]
        );
    }

    #[test]
    fn remapping() {
        let tree = Tree::new();
        assert_eq!(verdict(&tree, "interrupt-remapping"), Verdict::Warn);
        for (text, expected) in [
            ("0: 1 IO-APIC 2-edge timer", Verdict::Fail),
            ("0: 1 IR-IO-APIC 2-edge", Verdict::Ok),
            ("9: 1 ITS-PCI-MSI 0", Verdict::Ok),
        ] {
            tree.file("/proc/interrupts", text);
            assert_eq!(verdict(&tree, "interrupt-remapping"), expected, "{text}");
        }
    }

    #[test]
    fn device_and_group_nodes() {
        let tree = Tree::new();
        tree.file("/sys/module/vfio/initstate", "live\n")
            .file("/sys/module/vfio/taint", "\n");
        for (text, expected) in [
            ("510 vfio\n511 vfio-dev", Verdict::Ok),
            ("510 vfio", Verdict::Warn),
            ("511 vfio-dev", Verdict::Warn),
            ("1 mem", Verdict::Fail),
        ] {
            tree.file("/proc/devices", &format!("Character devices:\n{text}\n"));
            assert_eq!(verdict(&tree, "nodes"), expected, "{text}");
        }
        // Without groups nobody needs type1.
        tree.file("/proc/devices", "Character devices:\n511 vfio-dev\n");
        assert!(of(&tree, "type1").is_empty());
    }

    #[test]
    fn ids_that_claim_nothing() {
        let tree = Tree::new();
        tree.pci("0000:00:03.0", "0x020000", Some(7), Some("igb"));
        tree.file("/etc/modprobe.d/v.conf", "options vfio-pci ids=8086:10c9,1234:5678\nblacklist vfio_pci\ninstall iommufd /bin/false\n");
        let found = of(&tree, "ids");
        assert_eq!(found.len(), 2);
        assert!(
            found
                .iter()
                .any(|(_, what)| what.contains("1234:5678 claims nothing")),
            "{found:?}"
        );
        assert!(
            found
                .iter()
                .any(|(_, what)| what.contains("0000:00:03.0, which igb has")),
            "{found:?}"
        );
        assert_eq!(of(&tree, "modprobe").len(), 2);
    }

    #[test]
    fn modules_that_are_no_more() {
        let tree = Tree::new();
        tree.file("/proc/sys/kernel/osrelease", "7.3\n")
            .file("/lib/modules/7.3/modules.dep", "kernel/vfio-pci.ko:\n")
            .file("/etc/modules-load.d/v.conf", "vfio_virqfd\nvfio-pci\n");
        let found = of(&tree, "modprobe");
        assert_eq!(found.len(), 1);
        assert!(
            found.iter().all(|(_, what)| what.contains("vfio_virqfd")),
            "{found:?}"
        );
        // The kernel lacks it, and not only is it not loaded.
        assert_eq!(verdict(&tree, "type1"), Verdict::Fail);
        assert_eq!(verdict(&tree, "vfio-pci"), Verdict::Warn);
    }

    #[test]
    fn unsafe_parameters() {
        let tree = Tree::new();
        tree.file(
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
            "Y\n",
        )
        .file(
            "/sys/module/iommufd/parameters/allow_unsafe_interrupts",
            "Y\n",
        );
        assert_eq!(of(&tree, "unsafe").len(), 2);
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! Kernel modules: drivers by name, aliases of VFIO's variant drivers, modprobe and its configuration.

use std::process::Command;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::sysfs::Sysfs;

/// Where modprobe looks for configuration, the more important folder first: of files of one name it takes the first.
const CONFIGURATION: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];
const LOADED_AT_BOOT: [&str; 4] = [
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
];

/// The name of a module as the kernel has it.
pub fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Is the module loaded, or built in with parameters?
pub fn is_loaded(sys: &Sysfs, name: &str) -> bool {
    sys.exists(&format!("/sys/module/{}", module_name(name)))
}

/// The release of the running kernel.
pub fn release(sys: &Sysfs) -> Option<String> {
    sys.read("/proc/sys/kernel/osrelease")
}

/// Has the running kernel a module, or is it a part of it?  None: that cannot be told.
pub fn is_installed(sys: &Sysfs, name: &str) -> Option<bool> {
    let folder = format!("/lib/modules/{}", release(sys)?);
    let file = |line: &str| {
        let name = line
            .split(':')
            .next()?
            .rsplit('/')
            .next()?
            .split(".ko")
            .next()?;
        Some(module_name(name))
    };
    let wanted = Some(module_name(name));
    let lists = [
        sys.read(&format!("{folder}/modules.dep")),
        sys.read(&format!("{folder}/modules.builtin")),
    ];
    if lists.iter().all(Option::is_none) {
        return None;
    }
    Some(
        lists
            .iter()
            .flatten()
            .any(|list| list.lines().any(|line| file(line) == wanted)),
    )
}

/// The driver for PCI devices of that name, with whichever of - and _ it is written.
pub fn pci_driver(sys: &Sysfs, name: &str) -> Option<String> {
    sys.list("/sys/bus/pci/drivers")
        .into_iter()
        .find(|driver| module_name(driver) == module_name(name))
        // A driver may be called otherwise than its module.
        .or_else(|| {
            sys.list(&format!("/sys/module/{}/drivers", module_name(name)))
                .iter()
                .find_map(|entry| Some(entry.strip_prefix("pci:")?.to_owned()))
        })
}

/// Has modprobe load a module.
pub fn load(name: &str) -> Result<()> {
    let failed = |why: String| Error::NoDriver(name.to_owned(), why);
    let output = Command::new("modprobe")
        .arg("--")
        .arg(name)
        .output()
        .map_err(|error| failed(format!("modprobe: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(
        words
            .trim()
            .lines()
            .last()
            .unwrap_or("modprobe failed")
            .to_owned(),
    ))
}

/// Does a shell pattern of * and ? match?
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, tail)| matches(pattern, tail))
        }
        (Some((b'?', rest)), Some((_, tail))) => matches(rest, tail),
        (Some((a, rest)), Some((b, tail))) => a == b && matches(rest, tail),
        _ => false,
    }
}

/// The module of a VFIO driver that is made for this device, by the aliases that the kernel's drivers carry.
pub fn variant(sys: &Sysfs, device: &Device) -> Option<String> {
    let alias = sys.read(&format!("{}/modalias", device.folder))?;
    let alias = format!("vfio_pci:{}", alias.strip_prefix("pci:")?);
    let list = sys.read(&format!("/lib/modules/{}/modules.alias", release(sys)?))?;
    list.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("alias ")?.split_whitespace();
            let (pattern, module) = (words.next()?, words.next()?);
            // vfio-pci itself takes everything.
            let special = pattern.starts_with("vfio_pci:") && module_name(module) != "vfio_pci";
            (special && matches(pattern.as_bytes(), alias.as_bytes())).then_some((pattern, module))
        })
        // The one that leaves least open.
        .min_by_key(|(pattern, _)| pattern.matches('*').count())
        .map(|(_, module)| module.to_owned())
}

/// A line of modprobe's configuration, and where it stands.
pub struct Line {
    pub file: String,
    pub words: Vec<String>,
}

fn lines_of(sys: &Sysfs, folders: &[&str]) -> Vec<Line> {
    let mut names = std::collections::BTreeSet::new();
    let mut lines = Vec::new();
    for folder in folders {
        for name in sys.list(folder) {
            if !name.ends_with(".conf") || !names.insert(name.clone()) {
                continue;
            }
            let file = format!("{folder}/{name}");
            let text = sys.read(&file).unwrap_or_default().replace("\\\n", " ");
            lines.extend(
                text.lines()
                    .filter(|line| !line.trim_start().starts_with(['#', ';']))
                    .filter_map(|line| {
                        let words: Vec<String> =
                            line.split_whitespace().map(str::to_owned).collect();
                        (!words.is_empty()).then(|| Line {
                            file: file.clone(),
                            words,
                        })
                    }),
            );
        }
    }
    lines
}

/// What modprobe.d says.
pub fn configuration(sys: &Sysfs) -> Vec<Line> {
    lines_of(sys, &CONFIGURATION)
}

/// What modules-load.d, and Debian's /etc/modules, say.
pub fn loaded_at_boot(sys: &Sysfs) -> Vec<Line> {
    let mut lines = lines_of(sys, &LOADED_AT_BOOT);
    for line in sys.read("/etc/modules").unwrap_or_default().lines() {
        if let Some(name) = line
            .split_whitespace()
            .next()
            .filter(|name| !name.starts_with('#'))
        {
            lines.push(Line {
                file: "/etc/modules".into(),
                words: vec![name.to_owned()],
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            (
                "vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i*",
                "vfio_pci:v000015B3d0000101Esv0sd0bc02sc00i00",
                true,
            ),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn variants() {
        let tree = Tree::new();
        tree.pci("0000:00:03.0", "0x020000", Some(7), None);
        let sys = tree.sysfs();
        let device = Device::find(&sys, &"00:03.0".parse().unwrap()).unwrap();
        assert_eq!(variant(&sys, &device), None);
        let list = "/lib/modules/7.3/modules.alias";
        tree.file("/proc/sys/kernel/osrelease", "7.3\n")
            .file(list, "# x\nalias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\nalias pci:v00008086d000010C9sv*sd*bc*sc*i* igb\nalias\n");
        assert_eq!(variant(&sys, &device), None);
        tree.file(list, "alias vfio_pci:v00008086d*sv*sd*bc*sc*i* wide\nalias vfio_pci:v00008086d000010C9sv*sd*bc*sc*i* igb_vfio_pci\n");
        assert_eq!(variant(&sys, &device).as_deref(), Some("igb_vfio_pci"));
    }

    #[test]
    fn drivers() {
        let tree = Tree::new();
        tree.folder("/sys/bus/pci/drivers/vfio-pci")
            .link(
                "/sys/module/nv_vfio/drivers/pci:other-name",
                "/sys/bus/pci/drivers/other-name",
            )
            .folder("/sys/bus/pci/drivers/other-name");
        let sys = tree.sysfs();
        assert_eq!(pci_driver(&sys, "vfio_pci").as_deref(), Some("vfio-pci"));
        assert_eq!(pci_driver(&sys, "nv-vfio").as_deref(), Some("other-name"));
        assert_eq!(pci_driver(&sys, "missing"), None);
        assert!(is_loaded(&sys, "nv-vfio"));
    }

    #[test]
    fn installed() {
        let tree = Tree::new();
        let sys = tree.sysfs();
        assert_eq!(is_installed(&sys, "vfio-pci"), None);
        tree.file("/proc/sys/kernel/osrelease", "7.3\n")
            .file(
                "/lib/modules/7.3/modules.dep",
                "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/x.ko\n",
            )
            .file(
                "/lib/modules/7.3/modules.builtin",
                "kernel/drivers/vfio/vfio.ko\n",
            );
        assert_eq!(is_installed(&sys, "vfio_pci"), Some(true));
        assert_eq!(is_installed(&sys, "vfio"), Some(true));
        assert_eq!(is_installed(&sys, "vfio_virqfd"), Some(false));
    }

    #[test]
    fn configuration_files() {
        let tree = Tree::new();
        tree.file(
            "/etc/modprobe.d/a.conf",
            "# x\noptions vfio-pci \\\n ids=1:2\n\n",
        )
        .file("/usr/lib/modprobe.d/a.conf", "blacklist vfio\n")
        .file("/usr/lib/modprobe.d/b.conf", "blacklist nvme\n")
        .file("/usr/lib/modprobe.d/c", "blacklist igb\n");
        let lines: Vec<_> = configuration(&tree.sysfs())
            .into_iter()
            .map(|l| l.words.join(" "))
            .collect();
        assert_eq!(lines, ["options vfio-pci ids=1:2", "blacklist nvme"]);
    }
}

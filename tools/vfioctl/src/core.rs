// SPDX-License-Identifier: GPL-2.0-only

//! Which core is loaded: the kernel's own in C, or the one in Rust.

use std::fmt;

use serde::Serialize;

use crate::sysfs::Sysfs;

/// Whose vfio.ko is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Core {
    C,
    Rust,
    /// None is.
    None,
    /// It came from outside of the kernel's tree, and the kernel does not show its symbols.
    Unknown,
}

impl Core {
    pub fn loaded(sys: &Sysfs) -> Self {
        let file = |name: &str| format!("/sys/module/vfio/{name}");
        // What is built into the kernel has a folder only for its parameters.
        if !sys.exists(&file("initstate")) {
            let built_in = sys.exists("/sys/class/vfio-dev") || sys.exists("/sys/class/vfio");
            return if built_in { Self::C } else { Self::None };
        }
        // The core in Rust alone binds processes.  It lacks the parameter on a kernel without CONFIG_IOMMU_SVA.
        if sys.exists(&file("parameters/max_bound_processes")) {
            return Self::Rust;
        }
        // Out of the tree: the core in Rust is, and so is one in C that was built with a set of modules.
        match sys.read(&file("taint")) {
            Some(taint) if !taint.contains('O') => Self::C,
            _ => Self::by_symbols(sys),
        }
    }

    /// By the names that rustc gives to functions.
    fn by_symbols(sys: &Sysfs) -> Self {
        let text = sys.read("/proc/kallsyms").unwrap_or_default();
        let names: Vec<&str> = text
            .lines()
            .filter(|line| line.ends_with("\t[vfio]"))
            .filter_map(|line| line.split_whitespace().nth(2))
            .collect();
        match names.as_slice() {
            [] => Self::Unknown,
            names if names.iter().any(|name| name.starts_with("_R")) => Self::Rust,
            _ => Self::C,
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::C => "C",
            Self::Rust => "Rust",
            Self::None => "not loaded",
            Self::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn module(taint: &str) -> Tree {
        let tree = Tree::new();
        tree.file("/sys/module/vfio/initstate", "live\n")
            .file("/sys/module/vfio/taint", taint);
        tree
    }

    #[test]
    fn not_loaded_or_built_in() {
        let tree = Tree::new();
        assert_eq!(Core::loaded(&tree.sysfs()), Core::None);
        tree.folder("/sys/class/vfio-dev").file(
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
            "N\n",
        );
        assert_eq!(Core::loaded(&tree.sysfs()), Core::C);
    }

    #[test]
    fn by_taint_and_parameter() {
        assert_eq!(Core::loaded(&module("\n").sysfs()), Core::C);
        let tree = module("OE\n");
        tree.file("/sys/module/vfio/parameters/max_bound_processes", "1024\n");
        assert_eq!(Core::loaded(&tree.sysfs()), Core::Rust);
    }

    #[test]
    fn by_symbols() {
        let tree = module("O\n");
        assert_eq!(Core::loaded(&tree.sysfs()), Core::Unknown);
        tree.file(
            "/proc/kallsyms",
            "0 T _RNv4core\n0 t vfio_init\t[vfio]\n0 t vfio_x\t[vfio]\n",
        );
        assert_eq!(Core::loaded(&tree.sysfs()), Core::C);
        tree.file(
            "/proc/kallsyms",
            "0 t vfio_init\t[vfio]\n0 t _RNvCs_4vfio\t[vfio]\n",
        );
        assert_eq!(Core::loaded(&tree.sysfs()), Core::Rust);
    }
}

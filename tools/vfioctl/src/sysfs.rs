// SPDX-License-Identifier: GPL-2.0-only

//! Reads what the kernel shows in files.
//!
//! Whatever vanishes meanwhile is absent, and no error.  What may not be read is absent too, and is noted, so
//! that the output can say what it lacks.  Nothing here opens a device or wakes one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The files of a machine: its own, or those of a made-up one below a folder.
pub struct Sysfs {
    root: PathBuf,
    unseen: RefCell<BTreeSet<String>>,
}

impl Sysfs {
    /// The machine's own, or those below a folder.
    pub fn new(root: Option<&Path>) -> Self {
        Self {
            root: root.unwrap_or(Path::new("/")).to_owned(),
            unseen: RefCell::default(),
        }
    }

    /// Is it this machine?
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the machine really is.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn seen<T>(&self, path: &str, result: std::io::Result<T>) -> Option<T> {
        if let Err(error) = &result {
            if error.kind() == ErrorKind::PermissionDenied {
                self.not_seen(path);
            }
        }
        result.ok()
    }

    /// Notes what could not be seen for want of rights.
    pub fn not_seen(&self, what: &str) {
        self.unseen.borrow_mut().insert(what.to_owned());
    }

    /// All that could not be seen.
    pub fn unseen(&self) -> Vec<String> {
        self.unseen.borrow().iter().cloned().collect()
    }

    /// The contents of a file without the blanks around them.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = self.seen(path, fs::read(self.at(path)))?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The last part of what a link points to.
    pub fn link(&self, path: &str) -> Option<String> {
        let target = self.seen(path, fs::read_link(self.at(path)))?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The whole text of a link, or why there is none.
    pub fn link_text(&self, path: &str) -> std::io::Result<String> {
        Ok(fs::read_link(self.at(path))?.to_string_lossy().into_owned())
    }

    /// The path without links.
    pub fn real(&self, path: &str) -> Option<String> {
        let root = fs::canonicalize(&self.root).ok()?;
        let real = self.seen(path, fs::canonicalize(self.at(path)))?;
        Some(format!(
            "/{}",
            real.strip_prefix(root).ok()?.to_string_lossy()
        ))
    }

    /// The names in a folder, in order.
    pub fn list(&self, path: &str) -> Vec<String> {
        self.entries(path).unwrap_or_default()
    }

    /// The same, or why there are none.
    pub fn entries(&self, path: &str) -> std::io::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.at(path))?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Is there anything?
    pub fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// Is a flag set?
    pub fn flag(&self, path: &str) -> bool {
        self.read(path)
            .is_some_and(|text| text == "Y" || text == "1")
    }

    /// Writes to a file that is there.
    pub fn write(&self, path: &str, value: &str) -> Result<()> {
        fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.at(path))
            .and_then(|mut file| file.write_all(value.as_bytes()))
            .map_err(|error| Error::io(path, error))
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::Tree;

    #[test]
    fn what_is_not_there() {
        let tree = Tree::new();
        let sys = tree.sysfs();
        assert_eq!(sys.read("/sys/nothing"), None);
        assert_eq!(sys.link("/sys/nothing"), None);
        assert_eq!(sys.real("/sys/nothing"), None);
        assert!(sys.list("/sys/nothing").is_empty());
        assert!(sys.write("/sys/nothing", "x").is_err());
        assert!(!sys.exists("/sys/nothing"));
        assert!(sys.unseen().is_empty());
    }

    #[test]
    fn links() {
        let tree = Tree::new();
        tree.file("/sys/devices/a/x", "1\n");
        tree.link("/sys/bus/a", "/sys/devices/a");
        let sys = tree.sysfs();
        assert_eq!(sys.real("/sys/bus/a").as_deref(), Some("/sys/devices/a"));
        assert_eq!(sys.link("/sys/bus/a").as_deref(), Some("a"));
        assert_eq!(sys.read("/sys/bus/a/x").as_deref(), Some("1"));
        assert!(sys.flag("/sys/bus/a/x"));
        assert_eq!(sys.list("/sys/bus"), ["a"]);
    }
}

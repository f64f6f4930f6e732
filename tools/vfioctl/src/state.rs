// SPDX-License-Identifier: GPL-2.0-only

//! What devices were before vfioctl bound them: a file that outlives the process, and not the machine's run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{flock, FlockOperation};
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::sysfs::Sysfs;

const FOLDER: &str = "/run/vfioctl";
const FILE: &str = "/run/vfioctl/state.json";
const SCRATCH: &str = "/run/vfioctl/state.json.new";
const LOCK: &str = "/run/vfioctl/lock";
/// How long another vfioctl may have the lock: a driver's probe takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a device was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub driver: Option<String>,
    pub driver_override: Option<String>,
    /// Vendor and device: after a hot plug another one may be there.
    pub ids: String,
}

/// The records, locked as long as it lives.
pub struct State<'a> {
    sys: &'a Sysfs,
    _lock: Option<File>,
    records: BTreeMap<Address, Record>,
}

impl<'a> State<'a> {
    /// Takes the lock, and makes the folder if there is none.
    pub fn lock(sys: &'a Sysfs) -> Result<Self> {
        fs::create_dir_all(sys.at(FOLDER)).map_err(|error| Error::io(FOLDER, error))?;
        // Nobody else may open it: who can open a file can lock it.
        let lock = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(sys.at(LOCK))
            .map_err(|error| Error::io(LOCK, error))?;
        let begin = Instant::now();
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            if begin.elapsed() > PATIENCE {
                return Err(Error::Locked(LOCK.into()));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(Self {
            records: read(sys)?,
            sys,
            _lock: Some(lock),
        })
    }

    /// The records as they are, for a run that changes nothing.
    pub fn peek(sys: &'a Sysfs) -> Result<Self> {
        Ok(Self {
            records: read(sys)?,
            sys,
            _lock: None,
        })
    }

    pub fn get(&self, address: &Address) -> Option<&Record> {
        self.records.get(address)
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.records.keys().cloned().collect()
    }

    /// Notes what devices are, unless that is known.  Returns those that were not.
    pub fn add(&mut self, devices: Vec<(Address, Record)>) -> Result<Vec<Address>> {
        let mut added = Vec::new();
        for (address, record) in devices {
            // Of another device that was at this address the record is of no use.
            if self
                .records
                .get(&address)
                .is_none_or(|known| known.ids != record.ids)
            {
                self.records.insert(address.clone(), record);
                added.push(address);
            }
        }
        self.write()?;
        Ok(added)
    }

    pub fn remove(&mut self, addresses: &[Address]) -> Result<()> {
        self.records
            .retain(|address, _| !addresses.contains(address));
        self.write()
    }

    /// All at once: a reader sees the old file or the new one.
    fn write(&self) -> Result<()> {
        if self._lock.is_none() {
            return Ok(());
        }
        let text =
            serde_json::to_vec_pretty(&self.records).map_err(|error| Error::io(FILE, error))?;
        File::create(self.sys.at(SCRATCH))
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(self.sys.at(SCRATCH), self.sys.at(FILE)))
            .map_err(|error| Error::io(FILE, error))
    }
}

fn read(sys: &Sysfs) -> Result<BTreeMap<Address, Record>> {
    match fs::read(sys.at(FILE)) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|error| Error::State(FILE.into(), error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Error::io(FILE, error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tree::Tree;

    fn record(driver: &str, ids: &str) -> Record {
        Record {
            driver: Some(driver.into()),
            driver_override: None,
            ids: ids.into(),
        }
    }

    #[test]
    fn the_first_record_stays() {
        let tree = Tree::new();
        let sys = tree.sysfs();
        let address: Address = "00:03.0".parse().unwrap();
        {
            let mut state = State::lock(&sys).unwrap();
            assert_eq!(
                state
                    .add(vec![(address.clone(), record("igb", "1:2"))])
                    .unwrap(),
                [address.clone()]
            );
            assert!(state
                .add(vec![(address.clone(), record("other", "1:2"))])
                .unwrap()
                .is_empty());
        }
        {
            let mut state = State::lock(&sys).unwrap();
            assert_eq!(state.get(&address), Some(&record("igb", "1:2")));
            // Another device
            assert_eq!(
                state
                    .add(vec![(address.clone(), record("nvme", "3:4"))])
                    .unwrap(),
                [address.clone()]
            );
            state.remove(&[address.clone()]).unwrap();
        }
        assert!(State::peek(&sys).unwrap().addresses().is_empty());
        assert!(!sys.exists(SCRATCH));
    }

    #[test]
    fn one_at_a_time() {
        let tree = Tree::new();
        let sys = tree.sysfs();
        let state = State::lock(&sys).unwrap();
        let second = File::open(sys.at(LOCK)).unwrap();
        assert!(flock(&second, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(state);
        assert!(flock(&second, FlockOperation::NonBlockingLockExclusive).is_ok());
    }

    #[test]
    fn a_file_that_makes_no_sense() {
        let tree = Tree::new();
        tree.file(FILE, "{\"0000:00:03.0\": 5}");
        assert!(matches!(State::peek(&tree.sysfs()), Err(Error::State(..))));
    }

    #[test]
    fn peeking_writes_nothing() {
        let tree = Tree::new();
        let sys = tree.sysfs();
        let mut state = State::peek(&sys).unwrap();
        state
            .add(vec![("00:03.0".parse().unwrap(), record("igb", "1:2"))])
            .unwrap();
        assert!(!sys.exists("/run"));
    }
}

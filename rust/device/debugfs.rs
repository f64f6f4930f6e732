// SPDX-License-Identifier: GPL-2.0-only

//! The debugfs files of a device, below `/sys/kernel/debug/vfio/<parent's name>/`.
//!
//! C counterpart: `debugfs.c`.  The file `holders` exists only in this core.
//!
//! Locks: `migration/state` calls the driver with no lock of the core: the driver can wait for a lock of its own,
//! which can be held while user memory is copied.  `holders` prints the lines about files under the lock of the
//! list of files.

use super::{holders::RefsLine, State};
use crate::{
    kapi::debugfs::{self, Dir, DirOf},
    migration,
    shared::{
        vfio::{debugfs::ShowDevice, Added, Device, Registered},
        OwnerModule,
    },
};
use kernel::{prelude::*, seq_file::SeqFile, seq_print, sync::Arc};

/// Makes the directory of a device below `root`, with the file `holders`, and with the directory `migration` if the
/// device supports migration.  Drivers add their own files to the directory of the device.
///
/// C counterpart: `vfio_device_debugfs_init()`.
pub(crate) fn show(device: &mut Added, root: Arc<Dir>) {
    let dir = with_holders(device, root);
    device.set_debug_root(dir);
    if let Some(root) = device.debug_root().filter(|_| device.has_migration()) {
        let migration = root.dir().subdir(c"migration");
        migration.add_file::<MigrationState>(c"state");
        migration.add_file::<MigrationFeatures>(c"features");
    }
}

/// Makes the directory of a device below `root`, with the file `holders` only.  The device need not be
/// registered.
pub(crate) fn with_holders(device: &Device, root: Arc<Dir>) -> DirOf<State> {
    let dir = DirOf::below(root, device.parent().name(), device.state().into());
    dir.add_file::<HoldersFile>(c"holders");
    dir
}

/// The file `holders`: the processes that have files of the device, and the references that its driver holds.
struct HoldersFile;

impl debugfs::Show<State> for HoldersFile {
    type OwnerModule = OwnerModule;

    fn show(state: &State, m: &SeqFile) {
        state.for_each_holder(|holder| seq_print!(m, "{}\n", holder.line(state)));
        RefsLine::all(&state.driver_refs().tally()).for_each(|line| seq_print!(m, "{}\n", line));
    }
}

/// The file `migration/state`.
struct MigrationState;

impl ShowDevice for MigrationState {
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EBUSY`: the driver opens or closes the device.
    /// - `ENOTTY`: the driver does not have the callback.
    /// - The driver's errno.
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result {
        let number = device.migration_state_for_debugfs()?;
        let migration_state = migration::State::ALL.get(number as usize);
        seq_print!(
            m,
            "{}\n",
            migration_state.map_or("Invalid", |state| state.name())
        );
        Ok(())
    }
}

/// The file `migration/features`.
struct MigrationFeatures;

impl ShowDevice for MigrationFeatures {
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result {
        let flags = device.migration_flags();
        let lines = [
            (flags & migration::STOP_COPY != 0, "stop-copy"),
            (flags & migration::P2P != 0, "p2p"),
            (flags & migration::PRE_COPY != 0, "pre-copy"),
            (device.has_logging(), "dirty-tracking"),
        ];
        for (_, line) in lines.iter().filter(|(has, _)| *has) {
            seq_print!(m, "{}\n", line);
        }
        Ok(())
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! What debugfs shows of a device, below `/sys/kernel/debug/vfio/<parent's name>/`.
//!
//! C counterpart: `debugfs.c`; the file `holders` is ours.
//!
//! Locks: the set's, over the driver's callback; that of the list of files, over the printing of
//! the files in `holders`.

use super::{holders::RefsLine, State};
use crate::{
    kapi::debugfs::{self, Dir, DirOf},
    migration,
    shared::{
        vfio::{debugfs::Show, Added, Device, Registered},
        OwnerModule,
    },
};
use kernel::{prelude::*, seq_file::SeqFile, seq_print, sync::Arc};

/// Makes the folder of a device below `root`, with the files of migration if it can migrate.  Drivers
/// add to it.
pub(crate) fn show(device: &mut Added, root: Arc<Dir>) {
    let dir = with_holders(device, root);
    device.show_in(dir);
    if let Some(root) = device.debug_root().filter(|_| device.has_migration()) {
        let migration = root.folder().subdir(c"migration");
        migration.add_file::<MigrationState>(c"state");
        migration.add_file::<MigrationFeatures>(c"features");
    }
}

/// Makes the folder with the one file that does not need the device.
pub(crate) fn with_holders(device: &Device, root: Arc<Dir>) -> DirOf<State> {
    let dir = DirOf::below(root, device.parent().name(), device.state().into());
    dir.add_file::<Holders>(c"holders");
    dir
}

/// `holders`: who has the device's files, and what its driver holds.
struct Holders;

impl debugfs::Show<State> for Holders {
    type OwnerModule = OwnerModule;

    fn show(state: &State, m: &SeqFile) {
        state.for_each_holder(|holder| seq_print!(m, "{}\n", holder.line(state)));
        RefsLine::all(&state.driver_refs().tally()).for_each(|line| seq_print!(m, "{}\n", line));
    }
}

/// `migration/state`.
struct MigrationState;

impl Show for MigrationState {
    /// # Errors
    ///
    /// `EBUSY` while a device of the set is being opened, closed, attached; the driver's.
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result {
        let mut guard = device.try_lock_set().ok_or(EBUSY)?;
        let number = guard.locked().migration_state()?;
        let state = migration::State::ALL.get(number as usize);
        seq_print!(m, "{}\n", state.map_or("Invalid", |state| state.name()));
        Ok(())
    }
}

/// `migration/features`.
struct MigrationFeatures;

impl Show for MigrationFeatures {
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

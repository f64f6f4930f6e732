// SPDX-License-Identifier: GPL-2.0-only

//! Open files.

use crate::sync::aref::{AlwaysRefCounted, Shared};
use std::sync::Arc;

/// An open file.  The drop of the last reference calls its release.
pub struct File {
    shared: Shared<File>,
    release: Box<dyn Fn() + Send + Sync>,
}

impl File {
    /// Opens a file.
    pub fn new(release: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Shared::make(|shared| Self {
            shared,
            release: Box::new(release),
        })
    }
}

impl AlwaysRefCounted for File {
    fn shared(&self) -> &Shared<Self> {
        &self.shared
    }
}

impl Drop for File {
    fn drop(&mut self) {
        (self.release)();
    }
}

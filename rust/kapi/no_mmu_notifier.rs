// SPDX-License-Identifier: GPL-2.0-only

//! The replacement for `mmu_notifier.rs` on a kernel without MMU notifiers (`CONFIG_MMU_NOTIFIER=n`), with
//! the same interface.
//!
//! Such a kernel does not support SVA either.

use super::series::EOPNOTSUPP;
use core::{convert::Infallible, marker::PhantomData};
use kernel::{
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{Arc, ArcBorrow},
};

/// The task that ends an address space.
#[allow(dead_code)] // Never made, because there are no notifications.
pub(crate) enum Releaser {
    MayWait,
    MustNotWait,
}

/// A type that is never notified.
pub(crate) trait Listener: Send + Sync + 'static {
    #[allow(dead_code)] // Never called, because there are no notifications.
    fn mm_release_begins(this: ArcBorrow<'_, Self>, releaser: Releaser);

    #[allow(dead_code)] // Never called.
    fn mm_release_notified(this: ArcBorrow<'_, Self>);
}

/// A watch, which cannot exist.
pub(crate) struct Watch<T: Listener>(Infallible, PhantomData<T>);

impl<T: Listener> Watch<T> {
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: always.
    pub(crate) fn begin(_listener: Arc<T>, _mm: &MmWithUser) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn listener(&self) -> &Arc<T> {
        match self.0 {}
    }

    pub(crate) fn mm(&self) -> &Mm {
        match self.0 {}
    }
}

/// Returns at once: there are no notifiers to wait for.
pub(crate) fn synchronize() {}

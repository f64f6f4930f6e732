// SPDX-License-Identifier: GPL-2.0-only

//! The end of an address space on a kernel that tells nobody (`CONFIG_MMU_NOTIFIER=n`), with the
//! face of `mmu_notifier.rs`.  Such a kernel has no SVA either.

use super::series::EOPNOTSUPP;
use core::{convert::Infallible, marker::PhantomData};
use kernel::{
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{Arc, ArcBorrow},
};

/// Who would end an address space.
#[allow(dead_code)] // There is nobody who tells.
pub(crate) enum Releaser {
    Task,
    Other,
}

/// The one who would be told.
pub(crate) trait Listener: Send + Sync + 'static {
    #[allow(dead_code)] // There is nobody who calls it.
    fn mm_released(this: ArcBorrow<'_, Self>, releaser: Releaser);

    #[allow(dead_code)] // Likewise.
    fn mm_releasing(this: ArcBorrow<'_, Self>);
}

/// Of which there is none.
pub(crate) struct Watch<T: Listener>(Infallible, PhantomData<T>);

impl<T: Listener> Watch<T> {
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
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

/// There is nothing to wait for.
pub(crate) fn synchronize() {}

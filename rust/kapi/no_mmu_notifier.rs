// SPDX-License-Identifier: GPL-2.0-only

//! The end of an address space on a kernel that tells nobody (`CONFIG_MMU_NOTIFIER=n`), with the
//! face of `mmu_notifier.rs`.  Such a kernel has no SVA either.

use core::{convert::Infallible, marker::PhantomData};
use kernel::{
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
};

/// Someone who would be told.
pub(crate) trait Listener: Send + Sync + Sized + 'static {
    #[allow(dead_code)] // There is nobody who calls it.
    fn mm_released(this: ArcBorrow<'_, Self>);
    fn notifier(&self) -> &Notifier<Self>;
}

/// An address space.
#[pin_data]
pub(crate) struct Notifier<T> {
    mm: ARef<Mm>,
    _listener: PhantomData<fn(T)>,
}

impl<T: Listener> Notifier<T> {
    pub(crate) fn new(mm: &Mm) -> impl PinInit<Self> + use<'_, T> {
        pin_init!(Self {
            mm: mm.into(),
            _listener: PhantomData,
        })
    }

    pub(crate) fn mm(&self) -> &Mm {
        &self.mm
    }
}

/// Of which there is none.
pub(crate) struct Watch<T: Listener>(Infallible, PhantomData<T>);

impl<T: Listener> Watch<T> {
    /// # Errors
    ///
    /// `EOPNOTSUPP`.
    pub(crate) fn begin(listener: Arc<T>, _mm: &MmWithUser) -> Result<Self> {
        let _ = listener.notifier();
        Err(EOPNOTSUPP)
    }

    pub(crate) fn listener(&self) -> &Arc<T> {
        match self.0 {}
    }
}

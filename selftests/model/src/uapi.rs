// SPDX-License-Identifier: GPL-2.0-only

//! Arguments of ioctls.

pub(crate) const CHECK_EXTENSION: u32 = 1;

pub(crate) mod sva {
    use kernel::{prelude::*, uaccess::UserPtr};

    pub(crate) const EXTENSION: usize = usize::MAX;

    pub(crate) struct BindProcess;

    impl BindProcess {
        pub(crate) fn read(_: UserPtr) -> Result<Self> {
            Ok(Self)
        }

        pub(crate) fn write_pasid(&self, _: u32) -> Result {
            Ok(())
        }
    }

    pub(crate) fn check_unbind(_: UserPtr) -> Result {
        Ok(())
    }
}

pub(crate) mod bind {
    use crate::shared::vfio::ops::Uuid;
    use kernel::{prelude::*, uaccess::UserPtr};

    /// A valid argument without a token.
    pub(crate) struct BindIommufd {
        pub(crate) iommufd: c_int,
    }

    impl BindIommufd {
        pub(crate) fn read(_: UserPtr) -> Result<Self> {
            Ok(Self { iommufd: 0 })
        }

        pub(crate) fn read_token(&self) -> Option<Result<Uuid>> {
            None
        }

        pub(crate) fn write_devid(&self, _: u32) -> Result {
            Ok(())
        }
    }
}

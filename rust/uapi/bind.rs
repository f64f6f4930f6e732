// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_BIND_IOMMUFD`: `struct vfio_device_bind_iommufd`.

use super::field;
use crate::{kapi::uaccess, shared::vfio::ops::Uuid};
use core::mem::offset_of;
use kernel::{page::PAGE_SIZE, prelude::*, uaccess::UserPtr};
use zerocopy::FromZeros;

/// `VFIO_DEVICE_BIND_FLAG_TOKEN`: `token_uuid_ptr` points to a UUID.
const FLAG_TOKEN: u32 = 1 << 0;

/// The structure.  Its first version ended before `token_uuid_ptr`.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iommufd: i32,
    pub(crate) out_devid: u32,
    pub(crate) token_uuid_ptr: u64,
}

/// The structure without `argsz`, which is read first.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct Body {
    flags: u32,
    iommufd: i32,
    out_devid: u32,
    /// This field is not aligned here.
    token_uuid_ptr: [u8; 8],
}

const _: () = assert!(size_of::<Body>() == size_of::<Layout>() - offset_of!(Layout, flags));

/// The size of the first version.
const MIN_SIZE: usize = offset_of!(Layout, token_uuid_ptr);

/// A valid argument.
pub(crate) struct BindIommufd {
    arg: UserPtr,
    pub(crate) iommufd: c_int,
    /// The address of the token.
    token: Option<u64>,
}

impl BindIommufd {
    /// Reads and validates the argument.  The caller holds no lock.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: `argsz` cannot be read.
    /// - `EINVAL`: `argsz` is below 16.
    /// - `E2BIG`: `argsz` is above the size of a page.
    /// - `EFAULT`, `E2BIG`: the bytes behind the known structure cannot be read, or are not zero.
    /// - `EFAULT`: the structure cannot be read.
    /// - `EINVAL`: the file descriptor is negative, or there are unknown flags.
    #[inline]
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let argsz: u32 = uaccess::read(arg)?;
        let size = argsz as usize;
        if size < MIN_SIZE {
            return Err(EINVAL);
        }
        // All bytes behind the known structure must be checked, and no version of the structure is expected
        // to be larger than a page.
        if size > PAGE_SIZE {
            return Err(E2BIG);
        }
        let known = size_of::<Layout>();
        if size > known && !uaccess::check_zeroed(field(arg, known), size - known)? {
            return Err(E2BIG);
        }

        // Fields that a smaller `argsz` omits are zero.
        let mut body = Body::new_zeroed();
        let start = offset_of!(Layout, flags);
        uaccess::read_bytes(
            field(arg, start),
            body.as_mut_bytes()
                .get_mut(..size.min(known) - start)
                .ok_or(EINVAL)?,
        )?;
        let Body { flags, iommufd, .. } = body;
        let token_uuid_ptr = u64::from_ne_bytes(body.token_uuid_ptr);

        if iommufd < 0 || flags & !FLAG_TOKEN != 0 {
            return Err(EINVAL);
        }
        let token = (flags & FLAG_TOKEN != 0).then_some(token_uuid_ptr);
        Ok(Self {
            arg,
            iommufd,
            token,
        })
    }

    /// Reads the token, if one was given.  The caller holds no lock.  The result of the read is used later, at
    /// its place in the order of errors.
    #[inline]
    pub(crate) fn read_token(&self) -> Option<Result<Uuid>> {
        let read = |address: u64| {
            let address = usize::try_from(address).map_err(|_| EFAULT)?;
            uaccess::read(UserPtr::from_addr(address))
        };
        self.token.map(read)
    }

    /// Writes the id of the device.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the id cannot be written.
    pub(crate) fn write_devid(&self, devid: u32) -> Result {
        uaccess::write(field(self.arg, offset_of!(Layout, out_devid)), &devid)
    }
}

// SPDX-License-Identifier: GPL-2.0-only

//! A class device is made only of a class that is registered.

use crate::kapi::class::{Class, ClassDevice, ClassRegistration};
use kernel::{prelude::*, sync::Arc};

fn case(class: &'static Class, registered: &Arc<ClassRegistration>) -> Result {
    ClassDevice::create(registered, 0, c"", 0)?;
    ClassDevice::create(class, 0, c"", 0)?; //~ E0308
    Ok(())
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A core of the module set has this symbol, and no other has.  Drivers of the set refer to it
 * (guard.h), so that the kernel does not load them on another core.
 */
#include <linux/export.h>

extern const char rust_vfio_set[];
const char rust_vfio_set[] = "";
EXPORT_SYMBOL_GPL(rust_vfio_set);

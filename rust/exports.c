// SPDX-License-Identifier: GPL-2.0-only
// The symbols that other modules link against.  exports/ lists them with their prototypes, by the
// C files of the in-tree core that define them there; rust/abi/ has the functions.
//
// If the kernel checks versions of symbols, those of exports/ become these symbols' (see Kbuild).

#include <linux/export.h>
#include <linux/vfio.h>

#include "vfio_container.h"

/* The compiler compares each prototype with that of the kernel's headers. */
#define FUNCTION(export, type, name, ...) \
	type name(__VA_ARGS__); export(name)

#include "exports/vfio_main.h"
#if IS_ENABLED(CONFIG_VFIO_GROUP)
#include "exports/group.h"
#endif
#if IS_ENABLED(CONFIG_VFIO_CONTAINER)
#include "exports/container.h"
#endif
#if IS_ENABLED(CONFIG_IOMMUFD)
#include "exports/iommufd.h"
#endif
#if IS_ENABLED(CONFIG_VFIO_VIRQFD)
#include "exports/virqfd.h"
#endif

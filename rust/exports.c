// SPDX-License-Identifier: GPL-2.0-only
// The exports of the module.  exports/ lists the symbols with their prototypes, with one header for
// each C file of the in-tree core that exports symbols.  rust/abi/ defines the functions.
//
// If the kernel checks symbol versions, the C files in exports/ give the versions of these symbols
// (see Kbuild and exports/version.h).

#include <linux/export.h>
#include <linux/vfio.h>

#include "vfio_container.h"

/* The compiler compares each prototype with the one in the kernel's headers. */
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

// SPDX-License-Identifier: GPL-2.0-only
// The versions of the symbols that iommufd.c of the in-tree core exports; see version.h.

#include <linux/iommufd.h>
#include <linux/vfio.h>
#include "vfio.h"

#include "version.h"
#include "iommufd.h"

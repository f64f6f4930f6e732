// SPDX-License-Identifier: GPL-2.0-only
// Versions of what iommufd.c of the in-tree core exports: see version.h.

#include <linux/iommufd.h>
#include <linux/vfio.h>
#include "vfio.h"

#include "version.h"
#include "iommufd.h"

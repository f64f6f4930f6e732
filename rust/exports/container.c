// SPDX-License-Identifier: GPL-2.0-only
// The versions of the symbols that container.c of the in-tree core exports; see version.h.

#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <uapi/linux/vfio.h>
#include "vfio.h"

#include "version.h"
#include "container.h"

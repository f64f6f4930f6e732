// SPDX-License-Identifier: GPL-2.0-only
// The versions of the symbols that virqfd.c of the in-tree core exports; see version.h.

#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include "vfio.h"

#include "version.h"
#include "virqfd.h"

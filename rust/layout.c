// SPDX-License-Identifier: GPL-2.0-only
// Compares the layout of shared structures in rustc with the layout in the C compiler.

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/vfio.h>

#include "layout_generated.h"

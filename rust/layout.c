// SPDX-License-Identifier: GPL-2.0-only
// Compares the layout of shared structures in Rust with the layout in C.

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/vfio.h>

#include "layout_generated.h"

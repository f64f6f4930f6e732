// SPDX-License-Identifier: GPL-2.0-only
// The C helpers of the kernel crate, to be inlined (see Kbuild).

#include <linux/module.h>

/*
 * Headers of other subsystems, which the helpers include, say what a module needs that uses them: pwm.h
 * imports a namespace.  This module does not use them.
 */
#undef MODULE_INFO
#define MODULE_INFO(...)	struct module

#include <helpers.c>

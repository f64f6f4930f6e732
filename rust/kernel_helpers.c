// SPDX-License-Identifier: GPL-2.0-only
// The C helpers of the kernel crate, to be inlined (see Kbuild).

#include <linux/module.h>

/*
 * The helpers include headers of other subsystems.  Some of these headers add modinfo to each module that includes
 * them: pwm.h imports a namespace.  This module does not use these subsystems, so MODULE_INFO() adds nothing here.
 */
#undef MODULE_INFO
#define MODULE_INFO(...)	struct module

#include <helpers.c>

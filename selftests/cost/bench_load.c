// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the load of vfio.ko costs, and its unload, for "make bench".  The module is loaded, and nothing uses it.
 *
 * Argument: the file of the module.
 */
#include <sys/syscall.h>

#include "bench.h"
#include "count.h"

static int file;

static int load(void)
{
	return syscall(SYS_finit_module, file, "", 0);
}

static int unload(void)
{
	return syscall(SYS_delete_module, "vfio", O_NONBLOCK);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: bench_load MODULE\n");
		return 1;
	}
	file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		fail(argv[1]);
	if (unload())
		fail("unload");
	OPERATION("load", 1, ({ MEASURE(1, MUST(!load())); MUST(!unload()); }));
	OPERATION("unload", 2, ({ MUST(!load()); MEASURE(2, MUST(!unload())); }));
	return end();
}

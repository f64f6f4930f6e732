// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "steps.h"
#include "sysfs.h"

static int steps, failures;

void step(bool ok, const char *call, const char *fmt, ...)
{
	char result[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(result, sizeof(result), fmt, ap);
	va_end(ap);
	printf("%2d  %-44s %-40s %s\n", ++steps, call, result,
	       ok ? "ok" : "WRONG");
	fflush(stdout);
	failures += !ok;
}

static const char *outcome(int ret)
{
	return ret < 0 ? strerrorname_np(-ret) ?: "?" : "success";
}

int expect(int want, int ret, const char *call)
{
	bool ok = want ? ret == want : ret >= 0;

	if (ok && want)
		step(ok, call, "refused: %s", outcome(ret));
	else if (ok)
		step(ok, call, "%s", outcome(ret));
	else
		step(ok, call, "%s, wanted %s", outcome(ret), outcome(want));
	return ret;
}

void note(const char *fmt, ...)
{
	va_list ap;

	printf("    ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

int verdict(const char *meaning)
{
	if (failures)
		printf("\nFAILED: %d of %d steps had another result.\n",
		       failures, steps);
	else
		printf("\nPASSED: all %d steps had the expected result: %s.\n", steps, meaning);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const char * const stack[] = { "iommufd", "vfio", "vfio_pci_core", "vfio_pci" };

void insert_stack(void)
{
	char text[64];
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stack) && !ret; i++)
		ret = module_load(stack[i]);
	expect(0, ret, "insert iommufd, vfio, vfio-pci-core, vfio-pci");
	if (sysfs_read("/sys/module/vfio/version", text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "?");
	note("vfio.ko, version %s, the core written in %s", text,
	     core_is_rust() ? "Rust" : "C");
}

void remove_stack(void)
{
	int ret = 0;

	module_unload("vfio_iommu_type1");
	for (size_t i = ARRAY_SIZE(stack) - 1; i && !ret; i--)
		ret = module_unload(stack[i]);
	if (!ret && module_loaded("vfio"))
		ret = -EEXIST;
	expect(0, ret, "rmmod vfio-pci, vfio-pci-core, vfio");
}

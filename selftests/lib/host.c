// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

int host_bind(const struct pci *pci, const char *driver)
{
	char path[128];
	int ret = pci_attr_set(pci, "driver_override", driver);

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	return sysfs_write(path, pci->bdf);
}

static bool has_driver(const struct pci *pci, const char *driver)
{
	char is[64];

	pci_driver(pci, is, sizeof(is));
	return !strcmp(is, driver);
}

/* One attempt, of which nothing is left; @refusal is what a refusal looks like. */
static int attempt(const struct pci *pci, const char *driver, int ret, int refusal)
{
	if (ret)
		return ret == refusal && has_driver(pci, "") ? -EBUSY : -EPROTO;
	return !has_driver(pci, driver) || pci_unbind(pci) ? -EPROTO : 0;
}

int host_may_have(const struct pci *pci, const char *driver)
{
	int bound, probed;

	if (!has_driver(pci, ""))
		return -EPROTO;
	bound = attempt(pci, driver, host_bind(pci, driver), -EBUSY);
	/* Here sysfs keeps the reason to itself. */
	probed = pci_attr_set(pci, "driver_override", driver);
	if (!probed)
		probed = sysfs_write("/sys/bus/pci/drivers_probe", pci->bdf);
	probed = attempt(pci, driver, probed, -EINVAL);
	/* Whatever probes next shall not find it. */
	pci_unbind(pci);
	return bound == probed ? bound : -EPROTO;
}

// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <linux/pci_regs.h>

#include "sva_test.h"
#include "sva_setup.h"
#include "viommu.h"
#include "pasid_probe.h"

#define CONFIG_SIZE 4096

static uint32_t config_read(const uint8_t *config, int offset)
{
	uint32_t value;

	memcpy(&value, config + offset, sizeof(value));
	return le32toh(value);
}

/* Where an extended capability is; 0 if the device has none. */
static int find_capability(const uint8_t *config, int id)
{
	int offset = PCI_CFG_SPACE_SIZE;

	/* No more than there is room for, so that a ring of them ends. */
	for (int left = CONFIG_SIZE / 8; offset >= PCI_CFG_SPACE_SIZE && left; left--) {
		uint32_t header = config_read(config, offset);

		if (PCI_EXT_CAP_ID(header) == id)
			return offset;
		offset = PCI_EXT_CAP_NEXT(header);
	}
	return 0;
}

/* It has all three, and page requests are answered with the PASID: others Linux leaves off. */
static bool has_capabilities(const struct pci *pci)
{
	uint8_t config[CONFIG_SIZE + 1] = { 0 };
	int pri;

	if (pci_attr(pci, "config", (char *)config, sizeof(config)) < CONFIG_SIZE)
		return false;
	pri = find_capability(config, PCI_EXT_CAP_ID_PRI);
	return pri && find_capability(config, PCI_EXT_CAP_ID_ATS) &&
	       find_capability(config, PCI_EXT_CAP_ID_PASID) &&
	       config_read(config, pri + PCI_PRI_CTRL) >> 16 & PCI_PRI_STATUS_PASID;
}

static bool is_free(const struct pci *pci)
{
	char driver[64];

	pci_driver(pci, driver, sizeof(driver));
	return !driver[0] || !strcmp(driver, "vfio-pci");
}

static const char *named(int n)
{
	char name[16];

	snprintf(name, sizeof(name), "SVA%d", n);
	return getenv(name);
}

bool sva_named(void)
{
	return named(0);
}

int sva_find(struct pci *list, int max)
{
	int n = 0;

	if (sva_named()) {
		while (n < max && named(n) && !pci_alone(named(n), &list[n]))
			n++;
		return n;
	}
	for (int i = 0; n < max && !pci_find_alone(i, &list[n]); i++)
		n += has_capabilities(&list[n]) && is_free(&list[n]);
	return n;
}

/* Of what was found a lack is no failure; of what was named it is. */
static int lacks(struct sva_setup *s, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->why, sizeof(s->why), format, args);
	va_end(args);
	return sva_named() ? ret : 1;
}

/*
 * Whether the IOMMU core binds a process, without VFIO.  Another process than the caller, which
 * would have a PASID from then on.
 */
static int try_device(int control, const struct pci *pci)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int pasid = sva_test_bind(control, pci);

		_exit(pasid < 0 ? -pasid : -sva_test_unbind(control, pci));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* Devices and the SVA test module, in which nothing has been tried yet. */
static int find_all(struct sva_setup *s, int count)
{
	int found;

	*s = SVA_NONE;
	found = sva_find(s->pci, count);
	if (found < count && sva_named())
		return lacks(s, -ENODEV, "SVA%d: no PCI device that is alone in its IOMMU group", found);
	if (found < count)
		return lacks(s, -ENODEV, "no %d devices with PASIDs, ATS and PRI", count);
	/* Tests past VFIO would be the end of the machine, too. */
	for (int i = 0; i < count; i++) {
		if (viommu_of(&s->pci[i]) == VIOMMU_AMD) {
			lacks(s, 0, "AMD-Vi's driver frees the PASIDs in use with the device's own table");
			return 1;
		}
	}
	s->control = sva_test_open();
	if (s->control < 0)
		return lacks(s, s->control, "no module sva_test: %s", strerror(-s->control));
	s->count = count;
	/* Where there is nothing to pretend, Linux believes in the IOMMU, or is right not to. */
	sva_test_capable(true);
	pasid_probe_call(&s->pci[0], s->control);
	return 0;
}

int sva_set_up(struct sva_setup *s, int count)
{
	int ret = find_all(s, count);

	for (int i = 0; i < count && !ret; i++) {
		ret = pci_to_vfio(&s->pci[i]);
		if (ret)
			return lacks(s, ret, "%s: vfio-pci: %s", s->pci[i].bdf, strerror(-ret));
		ret = try_device(s->control, &s->pci[i]);
		if (ret)
			return lacks(s, ret, "%s: the IOMMU core binds no process: %s",
				     s->pci[i].bdf, strerror(-ret));
	}
	return ret;
}

int sva_devices(struct pci *a, struct pci *b)
{
	struct sva_setup s;
	int ret = find_all(&s, 2);

	if (ret)
		return -ENODEV;
	*a = s.pci[0];
	*b = s.pci[1];
	return s.control;
}

int sva_tear_down(struct sva_setup *s)
{
	int ret = 0;

	if (s->control >= 0)
		sva_test_close(s->control);
	for (int i = 0; i < s->count; i++)
		if (!entries_are(&s->pci[i], 0))
			ret = -EBUSY;
	return ret;
}

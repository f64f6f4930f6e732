// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "sysfs.h"

#define PCI_DEVICES "/sys/bus/pci/devices"

int sysfs_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0) {
		n = -errno;
	} else {
		if (n && buf[n - 1] == '\n')
			n--;
		buf[n] = '\0';
	}
	close(fd);
	return n;
}

int sysfs_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int sysfs_link(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(buf, size, "%s", base ? base + 1 : target);
	return 0;
}

int sysfs_group(const char *device)
{
	char path[PATH_MAX], name[16];
	int ret;

	snprintf(path, sizeof(path), "%s/iommu_group", device);
	ret = sysfs_link(path, name, sizeof(name));
	return ret ? ret : atoi(name);
}

static int by_name(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int sysfs_entry(const char *path, int nth, char *buf, size_t size)
{
	struct dirent **list;
	int n = scandir(path, &list, by_name, alphasort), ret = -ENOENT;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (i == nth) {
			snprintf(buf, size, "%s", list[i]->d_name);
			ret = 0;
		}
		free(list[i]);
	}
	free(list);
	return ret;
}

int pci_attr(const struct pci *pci, const char *name, char *buf, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", pci->bdf, name);
	return sysfs_read(path, buf, size);
}

int pci_attr_set(const struct pci *pci, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", pci->bdf, name);
	return sysfs_write(path, value);
}

static int pci_fill(const char *bdf, struct pci *pci)
{
	char path[256], buf[PATH_MAX], *parent;
	int group;

	memset(pci, 0, sizeof(*pci));
	snprintf(pci->bdf, sizeof(pci->bdf), "%s", bdf);
	if (pci_attr(pci, "vendor", buf, sizeof(buf)) < 0)
		return -ENODEV;
	pci->id = strtoul(buf, NULL, 16) << 16;
	if (pci_attr(pci, "device", buf, sizeof(buf)) < 0)
		return -ENODEV;
	pci->id |= strtoul(buf, NULL, 16);

	snprintf(path, sizeof(path), PCI_DEVICES "/%s", bdf);
	group = sysfs_group(path);
	pci->group = group < 0 ? -1 : group;

	/* .../pci0000:00/0000:00:03.0/0000:01:00.0 */
	if (!realpath(path, buf))
		return -ENODEV;
	*strrchr(buf, '/') = '\0';
	parent = strrchr(buf, '/') + 1;
	pci->behind_port = strncmp(parent, "pci", 3);
	if (pci->behind_port)
		snprintf(pci->port, sizeof(pci->port), "%.31s", parent);
	return 0;
}

static int group_members(int group, struct pci *list, int max)
{
	char path[128], bdf[32];
	int n = 0;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices",
		 group);
	while (n < max && !sysfs_entry(path, n, bdf, sizeof(bdf)))
		if (pci_fill(bdf, &list[n++]))
			return -ENODEV;
	return n;
}

/* The @nth function with this ID. */
static int find_id(uint32_t id, int nth, struct pci *pci)
{
	char bdf[32];

	for (int i = 0; !sysfs_entry(PCI_DEVICES, i, bdf, sizeof(bdf)); i++)
		if (!pci_fill(bdf, pci) && pci->id == id && !nth--)
			return 0;
	return -ENODEV;
}

static bool is_alone(const struct pci *pci)
{
	struct pci members[2];

	return group_members(pci->group, members, 2) == 1;
}

int pci_find(uint32_t id, int nth, struct pci *pci)
{
	for (int i = 0; !find_id(id, i, pci); i++)
		if (is_alone(pci) && !nth--)
			return 0;
	return -ENODEV;
}

int pci_alone(const char *bdf, struct pci *pci)
{
	return pci_fill(bdf, pci) || !is_alone(pci) ? -ENODEV : 0;
}

int pci_find_alone(int nth, struct pci *pci)
{
	char bdf[32];

	for (int i = 0; !sysfs_entry(PCI_DEVICES, i, bdf, sizeof(bdf)); i++)
		if (!pci_alone(bdf, pci) && !nth--)
			return 0;
	return -ENODEV;
}

int pci_find_bare(uint32_t id, int nth, struct pci *pci)
{
	char path[256], bdf[32];

	for (int i = 0; !sysfs_entry(PCI_DEVICES, i, bdf, sizeof(bdf)); i++) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/iommu", bdf);
		if (!pci_fill(bdf, pci) && pci->id == id &&
		    access(path, F_OK) && !nth--)
			return 0;
	}
	return -ENODEV;
}

int pci_find_at(uint32_t id, bool behind_port, struct pci *pci)
{
	for (int i = 0; !pci_find(id, i, pci); i++)
		if (pci->behind_port == behind_port)
			return 0;
	return -ENODEV;
}

/* The @nth group of two. */
static int find_group(int nth, struct pci *list)
{
	char group[16];

	for (int i = 0; !sysfs_entry("/sys/kernel/iommu_groups", i, group,
				     sizeof(group)); i++)
		if (group_members(atoi(group), list, 3) == 2 && !nth--)
			return 0;
	return -ENODEV;
}

int pci_find_pair(uint32_t id, struct pci *a, struct pci *b)
{
	struct pci list[3];

	for (int i = 0; !find_group(i, list); i++) {
		if (list[0].id == id && list[1].id == id &&
		    !list[0].behind_port) {
			*a = list[0];
			*b = list[1];
			return 0;
		}
	}
	return -ENODEV;
}

int pci_find_mixed(uint32_t id, struct pci *pci, struct pci *host)
{
	struct pci list[3];

	for (int i = 0; !find_group(i, list); i++) {
		for (int j = 0; j < 2; j++) {
			char driver[64];

			*pci = list[j];
			*host = list[!j];
			pci_driver(host, driver, sizeof(driver));
			if (pci->id == id && host->id != id && driver[0])
				return 0;
		}
	}
	return -ENODEV;
}

int pci_find_siblings(uint32_t id, struct pci *a, struct pci *b)
{
	char bdf[32], other[32];

	for (int i = 0; !sysfs_entry(PCI_DEVICES, i, bdf, sizeof(bdf)); i++) {
		if (pci_fill(bdf, a) || a->id != id || !a->behind_port)
			continue;
		/* Function 1 of the same slot. */
		snprintf(other, sizeof(other), "%.11s1", bdf);
		if (strcmp(other, bdf) && !pci_fill(other, b) && b->id == id)
			return 0;
	}
	return -ENODEV;
}

uint64_t pci_bar(const struct pci *pci, int bar)
{
	char text[2048], *line = text;

	if (pci_attr(pci, "resource", text, sizeof(text)) < 0)
		return 0;
	/* One line a BAR: start, end, flags. */
	while (bar-- && line) {
		line = strchr(line, '\n');
		line += !!line;
	}
	return line ? strtoull(line, NULL, 16) : 0;
}

int pci_virtual(const struct pci *physical, int nth, struct pci *pci)
{
	char path[256], bdf[32];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn%d", physical->bdf, nth);
	return sysfs_link(path, bdf, sizeof(bdf)) ?: pci_fill(bdf, pci);
}

void pci_driver(const struct pci *pci, char *buf, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", pci->bdf);
	if (sysfs_link(path, buf, size))
		buf[0] = '\0';
}

int pci_unbind(const struct pci *pci)
{
	char driver[64];

	pci_attr_set(pci, "driver_override", "none");
	pci_driver(pci, driver, sizeof(driver));
	if (!driver[0])
		return 0;
	return pci_attr_set(pci, "driver/unbind", pci->bdf);
}

int pci_to_driver(const struct pci *pci, const char *name)
{
	char driver[64];
	int ret;

	pci_driver(pci, driver, sizeof(driver));
	if (!strcmp(driver, name))
		return 0;
	if (driver[0]) {
		ret = pci_attr_set(pci, "driver/unbind", pci->bdf);
		if (ret)
			return ret;
	}
	ret = pci_attr_set(pci, "driver_override", name);
	if (ret)
		return ret;
	ret = sysfs_write("/sys/bus/pci/drivers_probe", pci->bdf);
	if (ret)
		return ret;
	pci_driver(pci, driver, sizeof(driver));
	return strcmp(driver, name) ? -ENXIO : 0;
}

int pci_to_vfio(const struct pci *pci)
{
	return pci_to_driver(pci, "vfio-pci");
}

int pci_await_vfio(const struct pci *pci)
{
	int ret = -ENODEV;

	for (int ms = 0; ms < EVENT_MS && ret; ms += 20) {
		ret = pci_to_vfio(pci);
		/*
		 * A driver is the device's while it still probes.  "enable" refuses a device that has a
		 * driver, but takes the device's lock first, and so waits for the probe.
		 */
		if (!ret && pci_attr_set(pci, "enable", "1") != -EBUSY)
			ret = -EAGAIN;
		if (ret)
			poll(NULL, 0, 20);
	}
	return ret;
}

bool pci_in_slot(const struct pci *pci, bool want)
{
	char path[128];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s", pci->bdf);
	for (int ms = 0; ms < EVENT_MS; ms += 20) {
		if (!access(path, F_OK) == want)
			return true;
		poll(NULL, 0, 20);
	}
	return false;
}

int pci_vfio_name(const struct pci *pci, char *buf, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev", pci->bdf);
	return sysfs_entry(path, 0, buf, size);
}

int pci_cdev_path(const struct pci *pci, char *buf, size_t size)
{
	char name[64];
	int ret = pci_vfio_name(pci, name, sizeof(name));

	if (!ret)
		snprintf(buf, size, "/dev/vfio/devices/%s", name);
	return ret;
}

void pci_group_path(const struct pci *pci, char *buf, size_t size)
{
	snprintf(buf, size, "/dev/vfio/%d", pci->group);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices of the programs of "make test-costs": the crowd of drivers/soft_iommu.c, all in one group, on
 * drivers/vfio_bare.c.  Both modules are loaded, without devices.
 */
#ifndef CROWD_H
#define CROWD_H

#include "bench.h"

#define PARAMETER(module, name) "/sys/module/" module "/parameters/" name
#define DRIVER "/sys/bus/platform/drivers/vfio-bare/"
#define DEVICE "/sys/devices/platform/vfio-bare.%d"

static inline void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

static inline void crowd(int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	put(PARAMETER("soft_iommu", "crowd"), text);
}

/* Opens the node of a device. */
static inline int device_open(int number)
{
	char folder[64], node[64], group[64];

	snprintf(folder, sizeof(folder), DEVICE, number);
	find_nodes(folder, node, group);
	return must_open(node);
}

#endif

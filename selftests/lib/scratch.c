// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include "cdev.h"
#include "core.h"
#include "scratch.h"

/* igb: the first entry of the VLAN filter.  nvme: sizes of queue entries in the configuration. */
#define IGB_VFTA	0x5600
#define NVME_CC		0x14

static int place(int fd, uint32_t id, uint64_t *offset, uint32_t *value)
{
	struct vfio_region_info info;
	int ret = cdev_region(fd, VFIO_PCI_BAR0_REGION_INDEX, &info);

	*offset = info.offset + (id == NVME ? NVME_CC : IGB_VFTA);
	*value = id == NVME ? 0x00460000 : 0x5a5a1234;
	return ret;
}

int scratch_set(int fd, uint32_t id)
{
	uint64_t offset;
	uint32_t value;
	int ret = place(fd, id, &offset, &value);

	if (!ret)
		ret = cdev_enable_dma(fd);
	if (!ret && pwrite64(fd, &value, 4, offset) != 4)
		ret = -errno;
	return ret;
}

int scratch_there(int fd, uint32_t id)
{
	uint32_t value, seen;
	uint64_t offset;
	int ret = place(fd, id, &offset, &value);

	if (!ret && pread64(fd, &seen, 4, offset) != 4)
		ret = -errno;
	return ret ? ret : seen == value;
}

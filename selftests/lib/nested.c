// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/iommufd.h>

#include "cdev.h"
#include "core.h"
#include "iommufd.h"
#include "nested.h"

#define PAGE 4096
#define FOR_PASIDS IOMMU_HWPT_ALLOC_PASID
#define PARENT (IOMMU_HWPT_ALLOC_NEST_PARENT | FOR_PASIDS)

const uint32_t nested_iotlb[2] = { 0x1070, 0x1071 };

int nested_open(struct nested *n)
{
	int ret;

	/* Before the devices' files: at the end of a test it goes after them. */
	n->ifd = iommufd_open();
	if (n->ifd < 0)
		return n->ifd;
	ret = mock_bind(n->ifd, MOCK_FLAGS_DEVICE_PASID, &n->a);
	if (ret)
		return ret;
	n->page = pages_alloc(PAGE);
	ret = mock_bind(n->ifd, MOCK_FLAGS_DEVICE_PASID, &n->b);
	if (!ret)
		ret = ioas_alloc(n->ifd, &n->ioas);
	if (!ret)
		ret = ioas_map(n->ifd, n->ioas, n->page, PAGE, NESTED_IOVA);
	if (!ret)
		ret = hwpt_alloc(n->ifd, n->a.devid, n->ioas, PARENT, &n->parent);
	for (int i = 0; i < 2 && !ret; i++)
		ret = mock_nested(n->ifd, n->a.devid, n->parent, FOR_PASIDS, 0, nested_iotlb[i],
				  &n->nested[i]);
	/* The mock IOMMU is there. */
	return ret == -ENOENT ? -ENODEV : ret;
}

int nested_close(struct nested *n)
{
	close(n->a.fd);
	close(n->b.fd);
	close(n->ifd);
	return mock_unload();
}

int nested_attach(const struct mock *mock, uint32_t hwpt)
{
	uint32_t pt = hwpt;
	int ret = cdev_attach(mock->fd, &pt);

	return !ret && pt != hwpt ? -EBADE : ret;
}

int nested_attach_pasid(const struct mock *mock, uint32_t pasid, uint32_t hwpt)
{
	uint32_t pt = hwpt;
	int ret = cdev_attach_pasid(mock->fd, pasid, &pt);

	return !ret && pt != hwpt ? -EBADE : ret;
}

bool nested_has(int ifd, const struct mock *mock, const struct tables *want)
{
	for (uint32_t pasid = 0; pasid < NESTED_PASIDS; pasid++) {
		uint32_t hwpt = want->of[pasid];

		if (hwpt ? mock_has(ifd, mock, pasid, hwpt) : mock_has_none(ifd, mock, pasid))
			continue;
		printf("# %s: PASID %u has another table than %u\n", mock->path, pasid, hwpt);
		return false;
	}
	return true;
}

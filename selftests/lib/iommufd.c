// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>

#include "core.h"
#include "iommufd.h"

int iommufd_open(void)
{
	return open_node("/dev/iommu");
}

int iommufd_destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return xioctl(iommufd, IOMMU_DESTROY, &arg);
}

int ioas_alloc(int iommufd, uint32_t *id)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int ret = xioctl(iommufd, IOMMU_IOAS_ALLOC, &arg);

	if (!ret)
		*id = arg.out_ioas_id;
	return ret;
}

static int map(int iommufd, uint32_t ioas, uint32_t rights, void *va, size_t size, uint64_t iova)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = size,
		.iova = iova,
	};

	return xioctl(iommufd, IOMMU_IOAS_MAP, &arg);
}

int ioas_map(int iommufd, uint32_t ioas, void *va, size_t size, uint64_t iova)
{
	return map(iommufd, ioas, IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE, va, size,
		   iova);
}

int ioas_map_op(void *op)
{
	const struct map_op *m = op;

	return ioas_map(m->iommufd, m->ioas, m->va, m->size, m->iova);
}

int ioas_map_readable(int iommufd, uint32_t ioas, void *va, size_t size, uint64_t iova)
{
	return map(iommufd, ioas, IOMMU_IOAS_MAP_READABLE, va, size, iova);
}

int ioas_map_file(int iommufd, uint32_t ioas, int fd, uint64_t start, uint64_t size,
		  uint64_t iova)
{
	struct iommu_ioas_map_file arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = size,
		.iova = iova,
	};

	return xioctl(iommufd, IOMMU_IOAS_MAP_FILE, &arg);
}

int ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = size,
	};

	return xioctl(iommufd, IOMMU_IOAS_UNMAP, &arg);
}

int hwpt_alloc(int iommufd, uint32_t devid, uint32_t ioas, uint32_t flags,
	       uint32_t *id)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = devid,
		.pt_id = ioas,
	};
	int ret = xioctl(iommufd, IOMMU_HWPT_ALLOC, &arg);

	if (!ret)
		*id = arg.out_hwpt_id;
	return ret;
}

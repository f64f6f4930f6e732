/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/iommu: address spaces, mappings, page tables. */
#ifndef LIB_IOMMUFD_H
#define LIB_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>

int iommufd_open(void);
int iommufd_destroy(int iommufd, uint32_t id);
int ioas_alloc(int iommufd, uint32_t *id);
/* Readable and writeable, at a fixed address. */
int ioas_map(int iommufd, uint32_t ioas, void *va, size_t size, uint64_t iova);
/* The same for a call that another task makes. */
struct map_op {
	int iommufd;
	uint32_t ioas;
	void *va;
	size_t size;
	uint64_t iova;
};

int ioas_map_op(void *op);
/* Not writeable. */
int ioas_map_readable(int iommufd, uint32_t ioas, void *va, size_t size, uint64_t iova);
/* The same of a file's contents, a dma-buf's for one. */
int ioas_map_file(int iommufd, uint32_t ioas, int fd, uint64_t start, uint64_t size,
		  uint64_t iova);
int ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size);
/* @flags: IOMMU_HWPT_ALLOC_*. */
int hwpt_alloc(int iommufd, uint32_t devid, uint32_t ioas, uint32_t flags,
	       uint32_t *id);

#endif

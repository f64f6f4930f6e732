/* SPDX-License-Identifier: GPL-2.0-only */
/* Two devices of the mock IOMMU (mock.h), and page tables of the user's for them. */
#ifndef LIB_NESTED_H
#define LIB_NESTED_H

#include "mock.h"

#define NESTED_IOVA ((uint64_t)MOCK_APERTURE_START)
#define NESTED_MAX_PASID ((1u << MOCK_PASID_WIDTH) - 1)

/* Two bound devices, a table that others nest in, and two that do. */
struct nested {
	int ifd;
	struct mock a, b;
	uint32_t ioas, parent, nested[2];
	void *page;		/* at NESTED_IOVA */
};

/* What the caches of the two tables hold at first. */
extern const uint32_t nested_iotlb[2];

/* As mock_make(). */
int nested_open(struct nested *n);
/* Closes all files, and removes the driver. */
int nested_close(struct nested *n);

/* A page table comes out as it goes in, or the result is -EBADE. */
int nested_attach(const struct mock *mock, uint32_t hwpt);
int nested_attach_pasid(const struct mock *mock, uint32_t pasid, uint32_t hwpt);

/* The table of the device (PASID 0) and of each PASID; 0: none. */
#define NESTED_PASIDS 8
struct tables {
	uint32_t of[NESTED_PASIDS];
};

/* Has the device exactly these tables?  If not, it says which is another. */
bool nested_has(int ifd, const struct mock *mock, const struct tables *want);

#endif

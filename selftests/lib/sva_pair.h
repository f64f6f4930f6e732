/* SPDX-License-Identifier: GPL-2.0-only */
/* Two devices that processes can be bound to, and the SVA test module, for a test of both devices. */
#ifndef LIB_SVA_PAIR_H
#define LIB_SVA_PAIR_H

#include "sva_setup.h"

struct sva_pair {
	struct pci a, b;
	int control;
};

/* Finds the devices and opens the SVA test module.  NULL, or the reason to skip the test. */
const char *sva_pair_open(struct sva_pair *sva);
/* The same for a test that needs the core in Rust. */
const char *sva_pair_open_rust(struct sva_pair *sva);
/* Closes the SVA test module; -EBUSY if a device has entries left in the IOMMU's table. */
int sva_pair_close(struct sva_pair *sva);

#endif

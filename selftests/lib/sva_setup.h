/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of bound processes stand on, in the SVA test module and on hardware: devices that
 * can be bound to, and the module sva_test, which asks the IOMMU core past VFIO.
 *
 * SVA0, SVA1 and so on in the environment name the devices (0000:6a:01.0).  Without SVA0,
 * each PCI device will do that is alone in its IOMMU group, has PASIDs, ATS and page
 * requests, and no driver of the host.
 */
#ifndef LIB_SVA_SETUP_H
#define LIB_SVA_SETUP_H

#include <errno.h>
#include <stdbool.h>

#include "sysfs.h"

#define SVA_DEVICES 3

struct sva_setup {
	struct pci pci[SVA_DEVICES];
	int count, control;
	char why[128];		/* what is lacking */
};

#define SVA_NONE ((struct sva_setup){ .control = -1 })

/* Why a case is skipped: the core in C; devices that only the SVA test module has. */
#define NO_PROCESSES "the core in C does not bind processes"
#define NO_SVA_TEST "devices of the SVA test module, which lack something"

/* The first @max of them; how many there are. */
int sva_find(struct pci *list, int max);
/* Whether somebody has named them, and with that says that they can. */
bool sva_named(void);

/*
 * Gives the first @count devices to vfio-pci and sees that the IOMMU core binds processes to
 * them.  0; 1 if there is nothing to test here, which is a reason to skip; -errno if what
 * was named cannot.
 */
int sva_set_up(struct sva_setup *s, int count);
/*
 * The end of it; -EBUSY if a device has entries left in the IOMMU's table.  Harmless after
 * any return of sva_set_up().
 */
int sva_tear_down(struct sva_setup *s);

/*
 * Two devices and the SVA test module, for a program that is about these alone, bound or not: the
 * SVA test module, which is the caller's to close, or -ENODEV.
 */
int sva_devices(struct pci *a, struct pci *b);
#define NO_SVA_DEVICES "no two devices with PASIDs, ATS and PRI, or no module sva_test"
#define no_sva_devices(control) ((control) == -ENODEV)

#endif

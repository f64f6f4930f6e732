/* SPDX-License-Identifier: GPL-2.0-only */
/* Failing allocations: the kernel's fault injection, by /proc/PID/task/TID/fail-nth. */
#ifndef LIB_FAULT_H
#define LIB_FAULT_H

#include <stdbool.h>

#include "sysfs.h"

/* For the calling thread; -ENOENT if the kernel has no fault injection. */
int fault_open(void);
#define NO_FAULTS "no fault injection in this kernel"
/* From now on, the @n-th allocation of the thread fails. */
void fault_arm(int fault, unsigned int n);
/* None fails any more.  True if the @n-th was reached and failed. */
bool fault_disarm(int fault);

/* The same call again and again; in the n-th, the n-th allocation fails. */
struct sweep {
	int fault;
	unsigned int n, failures;
	bool hit;		/* the n-th allocation was there to fail */
	int core, driver;	/* users of vfio and vfio-pci before the first call */
};

/*
 * For the calling thread and a device, which goes to vfio-pci.  It shall have no interrupt
 * pin: the kernel would look for its line by interpreting ACPI's tables, and that does not
 * survive a lack of memory.  0 or -errno; @fault is negative without fault injection.
 */
int sweep_open(struct sweep *s, const struct pci *pci);
/*
 * Have the calls left nothing behind?  0 if the modules have the users that they had, and
 * the driver lets the device go and takes it again; else -errno.
 */
int sweep_close(struct sweep *s, const struct pci *pci);
/* Once more; what @fn returned. */
int sweep_call(struct sweep *s, int (*fn)(void *arg), void *arg);
/* The same of close(). */
int sweep_close_fd(struct sweep *s, int fd);
/* From the beginning, with another call. */
void sweep_again(struct sweep *s);
/* What a call may say: that it had no memory, if so, or that it did without. */
bool sweep_fine(const struct sweep *s, int ret);
/* iommufd has places of its own to fail at, with -ENOENT, -EINVAL, -EFAULT. */
bool sweep_fine_iommufd(const struct sweep *s, int ret);

/*
 * While files of devices are closed: the IOMMU's driver says so when it cannot give a device
 * its default domain back.  Begins to expect its warnings; the log from here on.
 */
int iommu_may_warn(void);
/* No more; false, and a line to see, if somebody else has warned. */
bool iommu_alone_warned(int log);

#endif

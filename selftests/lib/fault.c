// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "fault.h"
#include "task.h"
#include "kmsg.h"

#define DEBUGFS "/sys/kernel/debug"

/* Allocations that may sleep fail too, and the log stays readable. */
static int set_up(void)
{
	int ret = sysfs_write(DEBUGFS "/failslab/ignore-gfp-wait", "N");

	if (ret)
		return ret;
	sysfs_write(DEBUGFS "/failslab/verbose", "0");
	sysfs_write(DEBUGFS "/fail_iommufd/verbose", "0");
	sysfs_write(DEBUGFS "/fail_page_alloc/verbose", "0");
	sysfs_write(DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N");
	sysfs_write(DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N");
	sysfs_write(DEBUGFS "/fail_usercopy/verbose", "0");
	return 0;
}

int fault_open(void)
{
	int ret = set_up();

	return ret ? ret : open_node("/proc/thread-self/fail-nth");
}

static void set(int fault, unsigned int n)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u", n);

	/* Where user copies can fail, this one may, once. */
	if (pwrite(fault, text, size, 0) != size &&
	    pwrite(fault, text, size, 0) != size)
		abort();
}

void fault_arm(int fault, unsigned int n)
{
	set(fault, n);
}

bool fault_disarm(int fault)
{
	char left[16] = "";
	/* If it is this read that fails, the operation was through. */
	bool hit = pread(fault, left, sizeof(left) - 1, 0) > 0 && !atoi(left);

	set(fault, 0);
	return hit;
}

int sweep_open(struct sweep *s, const struct pci *pci)
{
	int ret;

	s->fault = fault_open();
	if (s->fault < 0)
		return s->fault;
	ret = pci_to_vfio(pci);
	s->core = module_users("vfio");
	s->driver = module_users("vfio_pci");
	return ret;
}

int sweep_close(struct sweep *s, const struct pci *pci)
{
	int core = module_users("vfio"), driver = module_users("vfio_pci");
	int ret = pci_unbind(pci);

	close(s->fault);
	if (!ret)
		ret = pci_to_vfio(pci);
	if (core == s->core && driver == s->driver)
		return ret;
	printf("# users of vfio: %d, before: %d; of vfio-pci: %d, before: %d\n", core, s->core,
	       driver, s->driver);
	return -EBUSY;
}

int sweep_call(struct sweep *s, int (*fn)(void *arg), void *arg)
{
	int ret;

	/* More than any call makes. */
	if (++s->n > 5000)
		abort();
	fault_arm(s->fault, s->n);
	ret = fn(arg);
	s->hit = fault_disarm(s->fault);
	s->failures += ret < 0;
	/* Read by the suite. */
	if (!s->hit)
		printf("# failing allocations: %u, failed calls: %u\n", s->n - 1, s->failures);
	return ret;
}

int sweep_close_fd(struct sweep *s, int fd)
{
	return sweep_call(s, close_op, &fd);
}

void sweep_again(struct sweep *s)
{
	s->n = 0;
	s->failures = 0;
}

bool sweep_fine(const struct sweep *s, int ret)
{
	if (ret >= 0 || (s->hit && ret == -ENOMEM))
		return true;
	printf("# allocation %u: %d\n", s->n, ret);
	return false;
}

bool sweep_fine_iommufd(const struct sweep *s, int ret)
{
	if (s->hit && (ret == -ENOENT || ret == -EINVAL || ret == -EFAULT))
		return true;
	return sweep_fine(s, ret);
}

int iommu_may_warn(void)
{
	int log = kmsg_open();

	kmsg_expect_warning(true, NULL);
	return log;
}

bool iommu_alone_warned(int log)
{
	bool alone = true;
	char line[256];

	kmsg_expect_warning(false, NULL);
	while (kmsg_wait(log, "WARNING: ", 0, line, sizeof(line))) {
		if (strstr(line, "WARNING: drivers/iommu/"))
			continue;
		printf("# %s\n", line);
		alone = false;
	}
	close(log);
	return alone;
}

// SPDX-License-Identifier: GPL-2.0-only
/* What our core shows of a device without an IOMMU, and the core in C does not. */
#include <stdlib.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/noiommu.h"
#include "lib/task.h"
#include "lib/test.h"

FIXTURE(introspect_noiommu) {
	struct pci pci;
	char node[128], group[128], sysfs[256];
	int kmsg, iommufd;
};

FIXTURE_SETUP(introspect_noiommu)
{
	char path[128], real[4096];

	if (pci_find_bare(EDU, 0, &self->pci))
		SKIP(return, "no edu device without an IOMMU");
	if (!set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	noiommu_group_path(&self->pci, self->group, sizeof(self->group));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", self->pci.bdf);
	ASSERT_NE(NULL, realpath(path, real));
	snprintf(self->sysfs, sizeof(self->sysfs), "%.255s", real);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(introspect_noiommu)
{
	close(self->iommufd);
	close(self->kmsg);
	pci_unbind(&self->pci);
	set_noiommu("N");
}

TEST_F(introspect_noiommu, fdinfo)
{
	char lines[256];
	uint32_t devid;
	int fd;

	if (!noiommu_has_nodes())
		SKIP(return, NO_NOIOMMU_NODES);
	fd = open_node(self->node);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ(core_lines_of(self->sysfs, "vfio-type: noiommu\nvfio-access: cdev\n"
						"vfio-bound: no"), core_lines(fd));
	ASSERT_EQ(0, cdev_bind(fd, self->iommufd, &devid));
	snprintf(lines, sizeof(lines), "vfio-type: noiommu\nvfio-access: cdev\n"
		 "vfio-bound: yes\nvfio-iommufd-devid: %u", devid);
	EXPECT_STREQ(core_lines_of(self->sysfs, lines), core_lines(fd));
	close(fd);
}

/* Through the group it is in no iommufd. */
TEST_F(introspect_noiommu, fdinfo_by_group)
{
	struct by_group by = { open_node(self->group), self->pci.bdf };
	int fd;

	ASSERT_GE(by.group, 0);
	ASSERT_EQ(0, group_set(by.group, self->iommufd));
	fd = open_by_group(&by);
	ASSERT_GE(fd, 0);
	EXPECT_STREQ(core_lines_of(self->sysfs, "vfio-type: noiommu\nvfio-access: group\n"
						"vfio-bound: yes"), core_lines(fd));
	close(fd);
	close(by.group);
}

static int do_open(void *arg)
{
	int fd = drop_rawio();

	if (!fd)
		fd = open_node(arg);
	return fd < 0 ? fd : 0;
}

/* In a child, which has not got the capability. */
static int refused_open(struct refused *r)
{
	struct task task;
	int ret = task_start(&task, do_open, (void *)r->arg);

	r->by = task.pid;
	return ret ? ret : task_join(&task);
}

/* semantics: 98, 144, 187.  Why an open was refused is in the log. */
TEST_F(introspect_noiommu, open)
{
	struct refused r = { refused_open, -EPERM, self->pci.bdf, "open",
			     "no IOMMU, which needs CAP_SYS_RAWIO", .arg = self->node };
	char name[32];

	if (noiommu_has_nodes())
		EXPECT_TRUE(has_reason(&r, self->kmsg));
	snprintf(name, sizeof(name), "vfio: group %d", noiommu_group_of(&self->pci));
	r.whose = name;
	r.arg = self->group;
	EXPECT_TRUE(has_reason(&r, self->kmsg));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out, at every place where it can, one after the other: the call says
 * so, what there was before is still there, and the call can be made again.
 */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/fault.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/test.h"
#include "lib/testdev.h"
#include "lib/viommu.h"

#define DRIVER "/sys/bus/pci/drivers/vfio-pci"
#define IOVA 0x10000000ULL
#define PASID 5

/* A device with its driver. */
FIXTURE(fail_nth) {
	struct pci pci;
	struct sweep sweep;
	int iommufd;
};

FIXTURE_SETUP(fail_nth)
{
	int ret;

	self->iommufd = -1;
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ret = sweep_open(&self->sweep, &self->pci);
	if (self->sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	ASSERT_EQ(0, ret);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
}

/* Nothing that failed has left a file, a reference or a driver's module behind. */
FIXTURE_TEARDOWN(fail_nth)
{
	int fd = cdev_open(&self->pci);

	EXPECT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
	close(fd);
	EXPECT_TRUE(group_is_free(&self->pci));
	EXPECT_EQ(0, sweep_close(&self->sweep, &self->pci));
	close(self->iommufd);
}

static int op_open(void *path)
{
	return open_node(path);
}

static void open_and_close(struct __test_metadata *_metadata, struct sweep *sweep, char *path)
{
	do {
		int fd = sweep_call(sweep, op_open, path);

		EXPECT_TRUE(sweep_fine(sweep, fd));
		close(fd);
	} while (sweep->hit);
	EXPECT_GT(sweep->failures, 0);
}

/* semantics: 98 */
TEST_F(fail_nth, open)
{
	char path[128];

	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	open_and_close(_metadata, &self->sweep, path);
}

/* semantics: 144.  Who could not open the group does not keep others out. */
TEST_F(fail_nth, open_group)
{
	char path[128];

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	pci_group_path(&self->pci, path, sizeof(path));
	open_and_close(_metadata, &self->sweep, path);
}

/* semantics: 94, 103, 192.  A file that could not be bound can be bound. */
TEST_F(fail_nth, bind)
{
	struct bind_op op = { .iommufd = self->iommufd };

	do {
		int ret;

		op.fd = cdev_open(&self->pci);
		ASSERT_GE(op.fd, 0);
		ret = sweep_call(&self->sweep, cdev_bind_op, &op);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		if (ret) {
			EXPECT_EQ(-EINVAL, device_info(op.fd));
			EXPECT_TRUE(group_is_free(&self->pci));
			EXPECT_EQ(0, cdev_bind_op(&op));
		}
		EXPECT_EQ(0, device_info(op.fd));
		EXPECT_TRUE(group_is_busy(&self->pci));
		close(op.fd);
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
}

/* semantics: 109.  Closing cannot fail; only the IOMMU's driver may have something to say. */
TEST_F(fail_nth, close)
{
	int log = iommu_may_warn();

	ASSERT_GE(log, 0);
	do {
		uint32_t pt;
		int fd = cdev_open(&self->pci);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, cdev_bind(fd, self->iommufd, NULL));
		ASSERT_EQ(0, ioas_alloc(self->iommufd, &pt));
		ASSERT_EQ(0, cdev_attach(fd, &pt));
		EXPECT_EQ(0, sweep_close_fd(&self->sweep, fd));
	} while (self->sweep.hit);
	EXPECT_TRUE(iommu_alone_warned(log));
}

struct op_fdinfo {
	char path[64], text[4096];
};

static int op_fdinfo(void *arg)
{
	struct op_fdinfo *op = arg;

	op->text[0] = '\0';
	return sysfs_read(op->path, op->text, sizeof(op->text));
}

/* semantics: 124.  The line is there or it is not, and the others are. */
TEST_F(fail_nth, fdinfo)
{
	int fd = cdev_open(&self->pci), omitted = 0, ret;
	struct op_fdinfo op;

	ASSERT_GE(fd, 0);
	snprintf(op.path, sizeof(op.path), "/proc/self/fdinfo/%d", fd);
	do {
		ret = sweep_call(&self->sweep, op_fdinfo, &op);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		if (ret < 0)
			continue;
		EXPECT_NE(NULL, strstr(op.text, "mnt_id:"));
		if (!strstr(op.text, "vfio-device-syspath: /sys/devices/")) {
			EXPECT_EQ(NULL, strstr(op.text, "vfio-device-syspath"));
			EXPECT_TRUE(self->sweep.hit);
			omitted++;
		}
	} while (self->sweep.hit);
	EXPECT_GT(omitted, 0);
	close(fd);
}

struct op_pt {
	int fd;
	uint32_t pt;
};

static int op_region(void *arg)
{
	struct {
		struct vfio_region_info info;
		char caps[256];
	} region = {
		.info.argsz = sizeof(region),
		.info.index = ((struct op_pt *)arg)->pt,
	};
	int ret = xioctl(((struct op_pt *)arg)->fd, VFIO_DEVICE_GET_REGION_INFO,
			 &region);

	return ret ? ret : region.info.flags;
}

/* semantics: 46, 48, 127.  Regions with capabilities, which take memory. */
TEST_F(fail_nth, region_info)
{
	int capabilities = 0;
	struct session s;
	struct pci igb;

	if (pci_find(IGB, 0, &igb))
		SKIP(return, "no igb device");
	ASSERT_EQ(0, session_open(&igb, &s));
	for (int i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		struct op_pt op = { s.fd, i };
		int flags = op_region(&op), ret;

		sweep_again(&self->sweep);
		do {
			ret = sweep_call(&self->sweep, op_region, &op);
			if (ret != flags)
				EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		} while (self->sweep.hit);
		EXPECT_EQ(flags, ret);
		if (flags > 0 && (flags & VFIO_REGION_INFO_FLAG_CAPS)) {
			EXPECT_GT(self->sweep.failures, 0);
			capabilities++;
		}
	}
	EXPECT_GT(capabilities, 0);
	session_close(&s);
	EXPECT_EQ(0, pci_unbind(&igb));
}

struct op_irqs {
	int fd, event;
	uint32_t flags;
};

static int op_irqs(void *arg)
{
	struct op_irqs *op = arg;

	return cdev_set_irqs(op->fd, VFIO_PCI_INTX_IRQ_INDEX, op->flags, 0, 1,
			     &op->event);
}

/*
 * semantics: 173, 176; defect: B17.  Eventfds in both directions.  What could not be
 * set is not set, and what is set works.
 */
TEST_F(fail_nth, set_irqs)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int unmask = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct op_irqs trigger = {
		.event = event,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
	}, act = {
		.event = unmask,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
	};
	struct session s;
	volatile void *bar;
	uint64_t n = 1;
	struct pci edu;
	size_t size;
	int ret;

	if (pci_find_at(EDU, false, &edu))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open(&edu, &s));
	ASSERT_EQ(0, cdev_enable_dma(s.fd));
	bar = cdev_map_bar(s.fd, 0, &size);
	ASSERT_NE(NULL, bar);
	trigger.fd = s.fd;
	act.fd = s.fd;
	do {
		ret = sweep_call(&self->sweep, op_irqs, &trigger);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		if (ret)
			EXPECT_EQ(0, op_irqs(&trigger));
		EXPECT_EQ(0, cdev_set_irqs(s.fd, VFIO_PCI_INTX_IRQ_INDEX,
					   VFIO_IRQ_SET_DATA_NONE |
					   VFIO_IRQ_SET_ACTION_TRIGGER,
					   0, 0, NULL));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);

	EXPECT_EQ(0, op_irqs(&trigger));
	edu_write(bar, EDU_IRQ_RAISE, 1);
	sweep_again(&self->sweep);
	do {
		/* Masked by the event, and unmasked by the other eventfd alone. */
		ASSERT_TRUE(wait_readable(event, EVENT_MS));
		ASSERT_EQ(sizeof(n), read(event, &n, sizeof(n)));
		ret = sweep_call(&self->sweep, op_irqs, &act);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		if (ret) {
			n = 1;
			EXPECT_EQ(sizeof(n), write(unmask, &n, sizeof(n)));
			EXPECT_EQ(sizeof(n), read(unmask, &n, sizeof(n)));
			EXPECT_EQ(0, op_irqs(&act));
		}
		n = 1;
		EXPECT_EQ(sizeof(n), write(unmask, &n, sizeof(n)));
		ASSERT_TRUE(wait_readable(event, EVENT_MS));
		EXPECT_EQ(0, cdev_set_irqs(s.fd, VFIO_PCI_INTX_IRQ_INDEX,
					   act.flags, 0, 1,
					   (int32_t []){ -1 }));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 0);
	edu_write(bar, EDU_IRQ_ACK, edu_read(bar, EDU_IRQ_STATUS));

	munmap((void *)bar, size);
	session_close(&s);
	close(event);
	close(unmask);
}

struct op_driver {
	const struct pci *pci;
	int fd;
};

static int op_driver(void *arg)
{
	struct op_driver *op = arg;
	const char *bdf = op->pci->bdf;

	return pwrite(op->fd, bdf, strlen(bdf), 0) < 0 ? -errno : 0;
}

/*
 * semantics: 75, 77; defects: B4, B5.  The driver's probe.  The device that was not
 * registered is not there, and can be registered.  vfio-pci assigns its own device
 * set and looks at the result, so that the core in C lives; it warns of its own group.
 */
TEST_F(fail_nth, probe)
{
	struct op_driver op = { .pci = &self->pci };
	char name[64], first[64], path[128], node[128];

	op.fd = open(DRIVER "/bind", O_WRONLY | O_CLOEXEC);
	ASSERT_GE(op.fd, 0);
	/* The lowest number that is free now. */
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, first, sizeof(first)));
	pci_group_path(&self->pci, node, sizeof(node));
	snprintf(path, sizeof(path), "/sys/class/vfio/%d", self->pci.group);
	kmsg_expect_warning(true, "c");
	do {
		int ret;

		ASSERT_EQ(0, sysfs_write(DRIVER "/unbind", self->pci.bdf));
		ret = sweep_call(&self->sweep, op_driver, &op);
		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		pci_driver(&self->pci, name, sizeof(name));
		EXPECT_STREQ(ret ? "" : "vfio-pci", name);
		EXPECT_EQ(!ret && has_groups(), !access(path, F_OK));
		if (ret) {
			EXPECT_NE(0, pci_vfio_name(&self->pci, name,
						   sizeof(name)));
			ASSERT_EQ(0, op_driver(&op));
		}
		/* No index and no minor is lost. */
		ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		EXPECT_STREQ(first, name);
		EXPECT_EQ(has_groups(), !access(path, F_OK));
		/* The driver core does not mind a node that cannot be made. */
		if (ret || !self->sweep.hit)
			EXPECT_EQ(has_groups(), !access(node, F_OK));
	} while (self->sweep.hit);
	kmsg_expect_warning(false, "c");
	EXPECT_GT(self->sweep.failures, 20);
	close(op.fd);
}

/* semantics: 86, 92.  Unregistering cannot fail, only the word of it get lost. */
TEST_F(fail_nth, unbind)
{
	struct op_driver op = { .pci = &self->pci };
	char name[64];

	op.fd = open(DRIVER "/unbind", O_WRONLY | O_CLOEXEC);
	ASSERT_GE(op.fd, 0);
	do {
		int ret = sweep_call(&self->sweep, op_driver, &op);

		EXPECT_TRUE(sweep_fine(&self->sweep, ret));
		pci_driver(&self->pci, name, sizeof(name));
		EXPECT_STREQ(ret ? "vfio-pci" : "", name);
		EXPECT_EQ(!ret, !!pci_vfio_name(&self->pci, name, sizeof(name)));
		if (!ret)
			ASSERT_EQ(0, sysfs_write(DRIVER "/bind", self->pci.bdf));
	} while (self->sweep.hit);
	close(op.fd);
}

/* A device that tells where its DMA goes, and two address spaces. */
FIXTURE(fail_nth_dma) {
	struct pci pci;
	struct sweep sweep;
	struct session s;
	void *bar;
	size_t size;
	uint32_t ioas[2], *page[2];
};

FIXTURE_SETUP(fail_nth_dma)
{
	self->s = SESSION_NONE;
	self->sweep.fault = fault_open();
	if (self->sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	if (pci_find(TESTDEV, 0, &self->pci))
		SKIP(return, "no iommu-testdev");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	self->bar = cdev_map_bar(self->s.fd, 0, &self->size);
	ASSERT_NE(NULL, self->bar);
	self->ioas[0] = self->s.ioas;
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &self->ioas[1]));
	for (int i = 0; i < 2; i++) {
		self->page[i] = pages_alloc(4096);
		ASSERT_EQ(0, ioas_map(self->s.iommufd, self->ioas[i],
				      self->page[i], 4096, IOVA));
	}
}

FIXTURE_TEARDOWN(fail_nth_dma)
{
	munmap(self->bar, self->size);
	session_close(&self->s);
	EXPECT_EQ(0, pci_unbind(&self->pci));
	close(self->sweep.fault);
}

/* Which of the two pages the device writes to at IOVA; -1 for none. */
static int dma_goes_to(void *bar, uint32_t **page)
{
	page[0][0] = 0;
	page[1][0] = 0;
	for (int i = 0; i < 2; i++)
		if (testdev_dma(bar, IOVA, page[i], 16) == TESTDEV_OK)
			return page[i][0] == TESTDEV_PATTERN ? i : -EIO;
	return -1;
}

static int op_attach(void *arg)
{
	struct op_pt *op = arg;
	uint32_t pt = op->pt;

	return cdev_attach(op->fd, &pt);
}

static int op_detach(void *arg)
{
	return cdev_detach(((struct op_pt *)arg)->fd);
}

/* semantics: 65, 112.  Not attached before, not attached after a failure. */
TEST_F(fail_nth_dma, attach)
{
	struct op_pt op = { self->s.fd, self->ioas[1] };

	do {
		int ret;

		ASSERT_EQ(0, cdev_detach(op.fd));
		ret = sweep_call(&self->sweep, op_attach, &op);
		EXPECT_TRUE(sweep_fine_iommufd(&self->sweep, ret));
		EXPECT_EQ(ret ? -1 : 1, dma_goes_to(self->bar, self->page));
		if (ret)
			EXPECT_EQ(0, op_attach(&op));
		EXPECT_EQ(1, dma_goes_to(self->bar, self->page));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 5);
}

/*
 * semantics: 65, 114.  After a failure the old page table is still attached, or the
 * IOMMU's driver lets nothing through; the new one is not.
 */
TEST_F(fail_nth_dma, replace)
{
	struct op_pt op = { self->s.fd };
	int now = 0;

	do {
		int ret, to;

		op.pt = self->ioas[!now];
		ret = sweep_call(&self->sweep, op_attach, &op);
		EXPECT_TRUE(sweep_fine_iommufd(&self->sweep, ret));
		if (!ret)
			now = !now;
		to = dma_goes_to(self->bar, self->page);
		EXPECT_TRUE(to == now || (ret && to == -1));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 5);
}

/* semantics: 66, 115 */
TEST_F(fail_nth_dma, detach)
{
	struct op_pt op = { self->s.fd, self->ioas[0] };

	if (viommu_of(&self->pci) == VIOMMU_VIRTIO)
		SKIP(return, "virtio-iommu's driver wants memory to detach, and warns when it has none");
	do {
		int ret = sweep_call(&self->sweep, op_detach, &op);

		EXPECT_EQ(0, ret);
		EXPECT_EQ(-1, dma_goes_to(self->bar, self->page));
		EXPECT_EQ(0, op_attach(&op));
		EXPECT_EQ(0, dma_goes_to(self->bar, self->page));
	} while (self->sweep.hit);
}

static int op_attach_pasid(void *arg)
{
	struct op_pt *op = arg;
	uint32_t pt = op->pt;

	return cdev_attach_pasid(op->fd, PASID, &pt);
}

static int op_detach_pasid(void *arg)
{
	return cdev_detach_pasid(((struct op_pt *)arg)->fd, PASID);
}

/*
 * semantics: 67, 68.  A PASID: attached, replaced, detached.  That a failure did not
 * attach the page table shows in that it can be destroyed.
 */
TEST_F(fail_nth_dma, pasid)
{
	struct op_pt op = { self->s.fd };
	uint32_t rid, pt;
	int ret;

	if (pasid_tables(&self->s) == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid, self->ioas[0],
				IOMMU_HWPT_ALLOC_PASID, &rid));
	pt = rid;
	ASSERT_EQ(0, cdev_attach(op.fd, &pt));
	do {
		ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid,
					self->ioas[1], IOMMU_HWPT_ALLOC_PASID,
					&op.pt));
		ret = sweep_call(&self->sweep, op_attach_pasid, &op);
		EXPECT_TRUE(sweep_fine_iommufd(&self->sweep, ret));
		if (!ret) {
			EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd,
							  op.pt));
			EXPECT_EQ(0, op_detach_pasid(&op));
		}
		EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, op.pt));
	} while (self->sweep.hit);
	EXPECT_GT(self->sweep.failures, 2);

	/* Replaced: after a failure it is the old one that cannot be destroyed. */
	sweep_again(&self->sweep);
	do {
		pt = rid;
		ASSERT_EQ(0, cdev_attach_pasid(op.fd, PASID, &pt));
		ASSERT_EQ(0, hwpt_alloc(self->s.iommufd, self->s.devid,
					self->ioas[1], IOMMU_HWPT_ALLOC_PASID,
					&op.pt));
		ret = sweep_call(&self->sweep, op_attach_pasid, &op);
		EXPECT_TRUE(sweep_fine_iommufd(&self->sweep, ret));
		EXPECT_EQ(ret ? 0 : -EBUSY,
			  iommufd_destroy(self->s.iommufd, op.pt));
		EXPECT_EQ(0, op_detach_pasid(&op));
		if (!ret)
			EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, op.pt));
	} while (self->sweep.hit);

	sweep_again(&self->sweep);
	do {
		pt = rid;
		ASSERT_EQ(0, cdev_attach_pasid(op.fd, PASID, &pt));
		ret = sweep_call(&self->sweep, op_detach_pasid, &op);
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, op_detach_pasid(&op));
	} while (self->sweep.hit);
}

TEST_HARNESS_MAIN

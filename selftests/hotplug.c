// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that is pulled out while somebody has it open.  The host's monitor pulls
 * it; it is out when the guest has let it go.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kmsg.h"
#include "lib/qmp.h"
#include "lib/removal.h"
#include "lib/test.h"


FIXTURE(hotplug) {
	struct pci pci;
	char id[32], port[32], node[128], name[64];
	int fd, iommufd, kmsg;
};

FIXTURE_SETUP(hotplug)
{
	if (pci_find_at(EDU, true, &self->pci))
		SKIP(return, "no edu device behind a port");
	if (qmp_device_id(self->pci.bdf, self->id, sizeof(self->id)) ||
	    qmp_device_id(self->pci.port, self->port, sizeof(self->port)))
		SKIP(return, "the monitor's name of the device is unknown");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, self->name, sizeof(self->name)));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	self->fd = cdev_open(&self->pci);
	ASSERT_GE(self->fd, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(hotplug)
{
	close(self->fd);
	close(self->iommufd);
	close(self->kmsg);
}

/* Puts a device back into the slot, onto vfio-pci, and sees that it works. */
static int plug_again(const struct pci *pci, const char *id, const char *port)
{
	struct session s;
	int ret = qmp_plug_edu(id, port, 0);

	if (ret)
		return ret;
	ret = pci_await_vfio(pci);
	if (ret)
		return ret;
	ret = session_open(pci, &s);
	if (!ret)
		ret = device_info(s.fd);
	session_close(&s);
	return ret;
}

/* semantics: 24, 86 */
TEST_F(hotplug, nobody_has_it)
{
	char name[64];

	close_fd(&self->fd);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, qmp_unplug(self->id));
		ASSERT_EQ(0, qmp_wait_deleted(self->id));
		EXPECT_TRUE(pci_in_slot(&self->pci, false));
		EXPECT_EQ(-1, access(self->node, F_OK));
		ASSERT_EQ(0, plug_again(&self->pci, self->id, self->port));
		ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		EXPECT_STREQ(self->name, name);
	}
}

/*
 * semantics: 87, 89, 90; defect: B23 (D8).  Open but not bound: the core in C keeps
 * the device in its slot until the file is closed, ours does not.
 */
TEST_F(hotplug, unbound)
{
	ASSERT_EQ(0, qmp_unplug(self->id));
	if (!core_is_rust()) {
		EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
		EXPECT_TRUE(pci_in_slot(&self->pci, true));
		close_fd(&self->fd);
	}
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	EXPECT_EQ(-1, access(self->node, F_OK));
	if (core_is_rust()) {
		EXPECT_EQ(-ENODEV, device_info(self->fd));
		EXPECT_EQ(-ENODEV, cdev_bind(self->fd, self->iommufd, NULL));
	}
	ASSERT_EQ(0, plug_again(&self->pci, self->id, self->port));
	if (core_is_rust()) {
		/* The new device is not the old file's. */
		EXPECT_EQ(-ENODEV, device_info(self->fd));
	}
}

/* semantics: 88, 89, 90.  Bound: it is asked for, used on, and then let go. */
TEST_F(hotplug, bound)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	volatile void *bar;
	size_t size;

	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, cdev_set_irqs(self->fd, VFIO_PCI_REQ_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				   &request));
	ASSERT_EQ(0, cdev_enable_dma(self->fd));
	bar = cdev_map_bar(self->fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_EQ(0, device_info(self->fd));
	EXPECT_EQ(-1, open(self->node, O_RDWR));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_TRUE(pci_in_slot(&self->pci, true));
	close_fd(&self->fd);
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_TRUE(pci_in_slot(&self->pci, true));
	ASSERT_EQ(0, munmap((void *)bar, size));
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	close(request);
	ASSERT_EQ(0, plug_again(&self->pci, self->id, self->port));
}

/* semantics: 89, 90, 197.  Nobody to ask, and then killed. */
TEST_F(hotplug, killed)
{
	pid_t pid;

	close_fd(&self->fd);
	ASSERT_EQ(0, holder_start(&self->pci, &pid));
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	ASSERT_EQ(0, plug_again(&self->pci, self->id, self->port));
}

/* semantics: 86, 87.  Taken off the bus by hand, and found again. */
TEST_F(hotplug, removed_by_sysfs)
{
	ASSERT_EQ(0, cdev_bind(self->fd, self->iommufd, NULL));
	close_fd(&self->fd);
	for (int i = 0; i < 10; i++) {
		struct session s;

		ASSERT_EQ(0, pci_attr_set(&self->pci, "remove", "1"));
		EXPECT_EQ(-1, access(self->node, F_OK));
		ASSERT_EQ(0, sysfs_write("/sys/bus/pci/rescan", "1"));
		ASSERT_EQ(0, pci_await_vfio(&self->pci));
		ASSERT_EQ(0, session_open(&self->pci, &s));
		session_close(&s);
	}
}

TEST_HARNESS_MAIN

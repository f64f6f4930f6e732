// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that is pulled out while somebody has it open.  The host's monitor pulls
 * it; it is out when the guest has let it go.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/group.h"
#include "lib/kmsg.h"
#include "lib/open_path.h"
#include "lib/qmp.h"
#include "lib/removal.h"
#include "lib/space.h"
#include "lib/test.h"


FIXTURE(hotplug) {
	struct pci pci;
	char id[32], port[32], name[64];
	char node[128];		/* its own, or the group's where it has none */
	struct opened o;
	int kmsg;
};

FIXTURE_SETUP(hotplug)
{
	if (pci_find_at(EDU, true, &self->pci))
		SKIP(return, "no edu device behind a port");
	if (qmp_device_id(self->pci.bdf, self->id, sizeof(self->id)) ||
	    qmp_device_id(self->pci.port, self->port, sizeof(self->port)))
		SKIP(return, "the monitor's name of the device is unknown");
	/* So that its number is the lowest that is free now, as it will be when it is plugged in. */
	ASSERT_EQ(0, pci_unbind(&self->pci));
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_EQ(0, pci_vfio_name(&self->pci, self->name, sizeof(self->name)));
	pci_group_path(&self->pci, self->node, sizeof(self->node));
	if (has_iommufd())
		ASSERT_EQ(0, pci_cdev_path(&self->pci, self->node, sizeof(self->node)));
	ASSERT_EQ(0, access(self->node, F_OK));
	self->o = OPENED_NONE;
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(hotplug)
{
	open_path_close(&self->o);
	close(self->kmsg);
}

/* vfio-pci says EAGAIN as long as the one who plugs has the device's lock. */
static int open_when_plugged(const struct pci *pci, struct opened *o)
{
	int ret = -EAGAIN;

	for (int ms = 0; ret == -EAGAIN && ms < EVENT_MS; ms += 20) {
		ret = open_path_open_vfio(open_path_usual(), pci, o);
		if (ret == -EAGAIN)
			poll(NULL, 0, 20);
	}
	return ret;
}

/* Puts a device back into the slot, onto vfio-pci, and sees that it works. */
static int plug_again(const struct pci *pci, const char *id, const char *port)
{
	struct opened o;
	int ret = qmp_plug_edu(id, port, 0);

	if (ret)
		return ret;
	ret = pci_await_vfio(pci);
	if (ret)
		return ret;
	ret = open_when_plugged(pci, &o);
	if (!ret)
		ret = device_info(o.fd);
	open_path_close(&o);
	return ret;
}

/* semantics: 24, 86 */
TEST_F(hotplug, nobody_has_it)
{
	char name[64];

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
	struct session s;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, session_open_unbound(&self->pci, &s));
	ASSERT_EQ(0, qmp_unplug(self->id));
	if (!core_is_rust()) {
		EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
		EXPECT_TRUE(pci_in_slot(&self->pci, true));
		close_fd(&s.fd);
	}
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	EXPECT_EQ(-1, access(self->node, F_OK));
	if (core_is_rust()) {
		EXPECT_EQ(-ENODEV, device_info(s.fd));
		EXPECT_EQ(-ENODEV, cdev_bind(s.fd, s.iommufd, NULL));
	}
	ASSERT_EQ(0, plug_again(&self->pci, self->id, self->port));
	/* The new device is not the old file's. */
	if (core_is_rust())
		EXPECT_EQ(-ENODEV, device_info(s.fd));
	session_close(&s);
}

/* semantics: 88, 89, 90.  Bound: it is asked for, used on, and then let go. */
TEST_F(hotplug, bound)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	volatile void *bar;
	size_t size;

	ASSERT_EQ(0, open_path_open(open_path_usual(), &self->pci, NULL, NULL, &self->o));
	ASSERT_EQ(0, cdev_set_irqs(self->o.fd, VFIO_PCI_REQ_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				   &request));
	ASSERT_EQ(0, cdev_enable_dma(self->o.fd));
	bar = cdev_map_bar(self->o.fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_EQ(0, device_info(self->o.fd));
	/* It cannot be opened any more. */
	EXPECT_EQ(BY_SPACE(-ENOENT, -EBUSY), open_node(self->node));
	if (!has_iommufd())
		EXPECT_EQ(-ENODEV, group_device(self->o.group, self->pci.bdf));
	EXPECT_TRUE(pci_in_slot(&self->pci, true));
	open_path_close(&self->o);
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
	ASSERT_EQ(0, open_path_open(open_path_usual(), &self->pci, NULL, NULL, &self->o));
	open_path_close(&self->o);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, pci_attr_set(&self->pci, "remove", "1"));
		EXPECT_EQ(-1, access(self->node, F_OK));
		ASSERT_EQ(0, sysfs_write("/sys/bus/pci/rescan", "1"));
		ASSERT_EQ(0, pci_await_vfio(&self->pci));
		ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
		open_path_close(&self->o);
	}
}

TEST_HARNESS_MAIN

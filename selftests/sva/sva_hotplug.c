// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that is pulled out while processes are bound to it: whoever has it is asked,
 * the processes stay bound until it is let go, and the next device is as good.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "lib/bound.h"
#include "lib/container.h"
#include "lib/kmsg.h"
#include "lib/pasid_table.h"
#include "lib/qmp.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/svadev.h"
#include "lib/test.h"

#define BLOCKED "No device request channel registered, blocked until released"

FIXTURE(sva_hotplug) {
	struct sva_pair sva;
	struct pci pci;
	char id[32];
	struct session s;
	struct boxed box;
	struct bound_child other;
	int kmsg;
};

FIXTURE_SETUP(sva_hotplug)
{
	const char *lacks;

	self->s = SESSION_NONE;
	self->box = BOXED_NONE;
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (pci_find_at(SVADEV, true, &self->pci) ||
	    qmp_device_id(self->pci.bdf, self->id, sizeof(self->id)))
		SKIP(return, "no device with PASIDs behind a port");
	lacks = sva_pair_open(&self->sva);
	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(sva_hotplug)
{
	if (self->other.pid > 0)
		EXPECT_EQ(0, bound_kill(&self->other));
	session_close(&self->s);
	boxed_close(&self->box);
	close_fd(&self->kmsg);
	EXPECT_EQ(0, sva_pair_close(&self->sva));
	EXPECT_EQ(0, pasid_entries(&self->pci));
}

/* The device is out; another is put in, to which a process can be bound. */
static int gone_and_back(int control, const struct pci *pci, const char *id)
{
	struct session s;
	uint32_t pasid;
	int ret = qmp_wait_deleted(id);

	if (ret)
		return ret;
	if (!pci_in_slot(pci, false))
		return -EBUSY;
	ret = qmp_plug(id);
	if (!ret)
		ret = pci_await_vfio(pci);
	if (ret)
		return ret;
	ret = session_open(pci, &s);
	if (!ret)
		ret = process_bind(s.fd, &pasid);
	if (!ret && (!is_mine(control, pci, pasid) || pasid_entries(pci) != 1))
		ret = -EPROTO;
	session_close(&s);
	return ret ? ret : pasid_entries(pci);
}

static int request_by(int fd)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	int ret = cdev_set_irqs(fd, VFIO_PCI_REQ_IRQ_INDEX,
				VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &request);

	return ret ? ret : request;
}

/* Who has the device is asked; until it closes the file all is as it was. */
TEST_F(sva_hotplug, closed)
{
	uint32_t pasid, again;
	int request, its;

	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	request = request_by(self->s.fd);
	ASSERT_GE(request, 0);
	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	/* With the caller's files: it does not keep open what the caller closes. */
	ASSERT_EQ(0, bound_fork(&self->other, self->s.fd, self->sva.control, &self->pci, true));
	its = bound_call(&self->other, BOUND_BIND);
	ASSERT_GT(its, 0);
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));

	EXPECT_TRUE(is_mine(self->sva.control, &self->pci, pasid));
	EXPECT_EQ(0, entry_of(&self->pci, its));
	EXPECT_EQ(2, pasid_entries(&self->pci));
	/* While it waits, processes may still come and go. */
	EXPECT_EQ(0, bound_call(&self->other, BOUND_UNBIND));
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, its));
	EXPECT_EQ(its, bound_call(&self->other, BOUND_BIND));
	EXPECT_EQ(0, process_unbind(self->s.fd));
	EXPECT_EQ(0, process_bind(self->s.fd, &again));
	EXPECT_EQ(pasid, again);
	EXPECT_EQ(2, pasid_entries(&self->pci));
	EXPECT_TRUE(pci_in_slot(&self->pci, true));

	close_fd(&self->s.fd);
	EXPECT_EQ(0, pasid_entries(&self->pci));
	EXPECT_EQ(0, gone_and_back(self->sva.control, &self->pci, self->id));
	close(request);
}

/* Nobody is asked, and who has it is killed: the end of its memory comes before the close. */
TEST_F(sva_hotplug, killed)
{
	struct bound_child child;
	int its;

	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	its = bound_start(&child, self->s.fd, self->sva.control, &self->pci);
	ASSERT_GT(its, 0);
	/* The child has the only copy. */
	session_close(&self->s);
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	EXPECT_EQ(0, entry_of(&self->pci, its));
	EXPECT_TRUE(pci_in_slot(&self->pci, true));
	ASSERT_EQ(0, bound_kill(&child));
	EXPECT_EQ(-ENOENT, entry_of(&self->pci, its));
	EXPECT_EQ(0, gone_and_back(self->sva.control, &self->pci, self->id));
}

/* A process is bound to two devices, and the other one stays. */
TEST_F(sva_hotplug, other_device_stays)
{
	struct session s;
	uint32_t pasid;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
	ASSERT_EQ(0, process_bind(self->s.fd, &pasid));
	ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(kmsg_wait(self->kmsg, BLOCKED, EVENT_MS, NULL, 0));
	session_close(&self->s);
	EXPECT_EQ(0, gone_and_back(self->sva.control, &self->pci, self->id));
	/* The same address space, by the same PASID. */
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, pasid));
	EXPECT_EQ(1, pasid_entries(&self->sva.a));
	session_close(&s);
}

/* Of a container: the device's file is what is waited for, not the container's. */
TEST_F(sva_hotplug, container)
{
	uint32_t pasid;
	int request;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->pci, &self->box));
	request = request_by(self->box.fd);
	ASSERT_GE(request, 0);
	ASSERT_EQ(0, process_bind(self->box.container, &pasid));
	ASSERT_EQ(0, qmp_unplug(self->id));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	EXPECT_TRUE(is_mine(self->sva.control, &self->pci, pasid));
	EXPECT_TRUE(pci_in_slot(&self->pci, true));
	close_fd(&self->box.fd);
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	EXPECT_EQ(0, pasid_entries(&self->pci));
	/* The group has left the container, and was the last one. */
	EXPECT_EQ(-EINVAL, process_unbind(self->box.container));
	EXPECT_EQ(-ENODEV, group_flags(self->box.group));
	boxed_close(&self->box);
	close(request);
	ASSERT_EQ(0, qmp_plug(self->id));
	ASSERT_EQ(0, pci_await_vfio(&self->pci));
	ASSERT_EQ(0, boxed_open(&self->pci, &self->box));
	ASSERT_EQ(0, process_bind(self->box.container, &pasid));
	EXPECT_TRUE(is_mine(self->sva.control, &self->pci, pasid));
}

/* No file of the device is open: nothing is waited for, and the bond ends all the same. */
TEST_F(sva_hotplug, container_without_device)
{
	struct boxed second = BOXED_NONE;
	uint32_t pasid;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->pci, &self->box));
	ASSERT_EQ(0, boxed_join(&self->sva.a, self->box.container, &second));
	close_fd(&self->box.fd);
	ASSERT_EQ(0, process_bind(self->box.container, &pasid));
	EXPECT_EQ(1, pasid_entries(&self->pci));
	ASSERT_EQ(0, qmp_unplug(self->id));
	ASSERT_EQ(0, qmp_wait_deleted(self->id));
	EXPECT_TRUE(pci_in_slot(&self->pci, false));
	EXPECT_EQ(0, pasid_entries(&self->pci));
	/* The container's other group, and the process with it, stay. */
	EXPECT_TRUE(is_mine(self->sva.control, &self->sva.a, pasid));
	close_fd(&self->box.group);
	ASSERT_EQ(0, qmp_plug(self->id));
	ASSERT_EQ(0, pci_await_vfio(&self->pci));
	self->box.group = group_open(&self->pci);
	ASSERT_GE(self->box.group, 0);
	ASSERT_EQ(0, group_set(self->box.group, self->box.container));
	EXPECT_TRUE(is_mine(self->sva.control, &self->pci, pasid));
	close_fd(&second.fd);
	close_fd(&second.group);
	EXPECT_EQ(0, process_unbind(self->box.container));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a container: files of devices, groups and the container are closed in every
 * order, devices are taken away, processes are killed.  What is open works until its own
 * file is closed, and its DMA stays where it was confined to.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "lib/container.h"
#include "lib/qmp.h"
#include "lib/removal.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdev.h"

#define PAGE 4096u
#define IOVA 0x10000000ULL

enum { BOX, GROUP_A, DEVICE_A, GROUP_B, DEVICE_B, FILES };

typedef FIXTURE_DATA(container_close) container_close_t;

/* Two DMA probes in groups of their own. */
FIXTURE(container_close) {
	struct pci pci[2];
	uint32_t *page;
	struct task task;
};

FIXTURE_SETUP(container_close)
{
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	for (int i = 0; i < 2; i++)
		if (pci_find(TESTDEV, i, &self->pci[i]))
			SKIP(return, "no two iommu-testdev");
	self->page = pages_alloc(PAGE);
}

/* Whatever a test did, both devices are free at its end. */
FIXTURE_TEARDOWN(container_close)
{
	struct boxed b;

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, boxed_open(&self->pci[i], &b));
		boxed_close(&b);
	}
}

/* The device's DMA goes to the page that is mapped, and nowhere else. */
static bool confined(volatile void *bar, uint32_t *page)
{
	page[0] = 0;
	if (testdev_dma(bar, IOVA, page, 16) != TESTDEV_OK || page[0] != TESTDEV_PATTERN)
		return false;
	page[0] = 0;
	return testdev_dma(bar, IOVA + PAGE, page, 16) == TESTDEV_FAULT && !page[0] &&
	       testdev_dma(bar, phys_of(page), page, 16) != TESTDEV_OK && !page[0];
}

static volatile void *bar_of(int fd)
{
	return cdev_enable_dma(fd) ? NULL : cdev_map_bar(fd, 0, NULL);
}

/* The @n-th of the orders of FILES things. */
static void order_of(int n, int *order)
{
	int left[FILES];

	for (int i = 0; i < FILES; i++)
		left[i] = i;
	for (int i = 0; i < FILES; i++) {
		int at = n % (FILES - i);

		n /= FILES - i;
		order[i] = left[at];
		for (int j = at; j < FILES - i - 1; j++)
			left[j] = left[j + 1];
	}
}

static void close_in_order(struct __test_metadata *_metadata,
			   container_close_t *self, const int *order)
{
	const int device[2] = { DEVICE_A, DEVICE_B }, group[2] = { GROUP_A, GROUP_B };
	volatile void *bar[2];
	struct boxed a, b;
	int fd[FILES];

	ASSERT_EQ(0, boxed_open(&self->pci[0], &a));
	ASSERT_EQ(0, boxed_join(&self->pci[1], a.container, &b));
	ASSERT_EQ(0, compat_map(a.container, self->page, PAGE, IOVA));
	fd[BOX] = a.container;
	fd[GROUP_A] = a.group;
	fd[DEVICE_A] = a.fd;
	fd[GROUP_B] = b.group;
	fd[DEVICE_B] = b.fd;
	for (int i = 0; i < 2; i++) {
		bar[i] = bar_of(fd[device[i]]);
		ASSERT_NE(NULL, bar[i]);
	}
	for (int i = 0; i < FILES; i++) {
		for (int j = 0; j < 2; j++)
			if (order[i] == device[j])
				munmap((void *)bar[j], PAGE);
		close_fd(&fd[order[i]]);
		for (int j = 0; j < 2; j++) {
			if (fd[device[j]] >= 0) {
				EXPECT_TRUE(confined(bar[j], self->page));
				EXPECT_EQ(0, device_info(fd[device[j]]));
				/* It holds its group's file. */
				EXPECT_EQ(-EBUSY, group_open(&self->pci[j]));
			}
			if (fd[group[j]] >= 0)
				EXPECT_EQ(GROUP_SET, group_flags(fd[group[j]]));
		}
		if (fd[BOX] >= 0) {
			bool set = fd[DEVICE_A] >= 0 || fd[GROUP_A] >= 0 ||
				   fd[DEVICE_B] >= 0 || fd[GROUP_B] >= 0;

			EXPECT_EQ(set ? -ENOTTY : -EINVAL, container_unknown(fd[BOX]));
		}
	}
	/* All is free. */
	for (int i = 0; i < 2; i++) {
		int again = group_open(&self->pci[i]);

		ASSERT_GE(again, 0);
		EXPECT_EQ(GROUP_VIABLE, group_flags(again));
		close(again);
	}
}

/* semantics: 126, 152, 155, 164, 165 */
TEST_F(container_close, every_order)
{
	int order[FILES];

	for (int n = 0; n < 2 * 3 * 4 * 5; n++) {
		order_of(n, order);
		close_in_order(_metadata, self, order);
	}
}

/* semantics: 152, 165.  Two files of one device count both. */
TEST_F(container_close, two_files_of_a_device)
{
	struct boxed b;
	int other;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, boxed_open(&self->pci[0], &b));
		other = group_device(b.group, self->pci[0].bdf);
		ASSERT_GE(other, 0);
		close_fd(&b.group);
		close(i ? b.fd : other);
		EXPECT_EQ(0, device_info(i ? other : b.fd));
		EXPECT_EQ(-EBUSY, group_open(&self->pci[0]));
		EXPECT_EQ(-ENOTTY, container_unknown(b.container));
		close(i ? other : b.fd);
		EXPECT_EQ(-EINVAL, container_unknown(b.container));
		close(b.container);
	}
}

/* semantics: 152, 165, 198.  A mapping of the device's memory is a hold as well. */
TEST_F(container_close, only_a_mapping_is_left)
{
	volatile void *bar;
	struct boxed b;

	ASSERT_EQ(0, boxed_open(&self->pci[0], &b));
	ASSERT_EQ(0, compat_map(b.container, self->page, PAGE, IOVA));
	bar = bar_of(b.fd);
	ASSERT_NE(NULL, bar);
	boxed_close(&b);
	EXPECT_TRUE(confined(bar, self->page));
	EXPECT_EQ(-EBUSY, group_open(&self->pci[0]));
	munmap((void *)bar, PAGE);
	b.group = group_open(&self->pci[0]);
	EXPECT_GE(b.group, 0);
	close(b.group);
}

struct held {
	const struct pci *pci;
	int ready;
};

static int hold_all(void *arg)
{
	const struct held *held = arg;
	struct boxed b;
	int ret = boxed_open(held->pci, &b);

	if (ret)
		return ret;
	if (compat_map(b.container, pages_alloc(PAGE), PAGE, IOVA))
		return -EIO;
	if (write(held->ready, "", 1) != 1)
		return -EPIPE;
	pause();
	return 0;
}

/* semantics: 165, 197.  A killed process leaves nothing behind. */
TEST_F(container_close, killed)
{
	struct held held = { .pci = &self->pci[0] };
	int ends[2], group;
	char byte;

	ASSERT_EQ(0, pipe(ends));
	held.ready = ends[1];
	ASSERT_EQ(0, task_start(&self->task, hold_all, &held));
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	EXPECT_EQ(-EBUSY, group_open(&self->pci[0]));
	kill(self->task.pid, SIGKILL);
	EXPECT_EQ(-EPIPE, task_join(&self->task));
	group = group_open(&self->pci[0]);
	ASSERT_GE(group, 0);
	EXPECT_EQ(GROUP_VIABLE, group_flags(group));
	close(group);
	close(ends[0]);
	close(ends[1]);
}

static int receive_and_ask(void *sock)
{
	int fd = fd_receive(*(int *)sock);

	return fd < 0 ? fd : container_unknown(fd);
}

/* semantics: 194.  What maps may be another process than what opened. */
TEST_F(container_close, passed_container)
{
	volatile void *bar;
	struct task task;
	struct boxed b;
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, boxed_open(&self->pci[0], &b));
	ASSERT_EQ(0, compat_map(b.container, self->page, PAGE, IOVA));
	bar = bar_of(b.fd);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, fd_send(sock[0], b.container));
	close_fd(&b.container);
	/* In flight, it is open. */
	EXPECT_TRUE(confined(bar, self->page));
	ASSERT_EQ(0, task_start(&task, receive_and_ask, &sock[1]));
	EXPECT_EQ(-ENOTTY, task_join(&task));
	EXPECT_TRUE(confined(bar, self->page));
	munmap((void *)bar, PAGE);
	boxed_close(&b);
	close(sock[0]);
	close(sock[1]);
}

/* ---- devices that go ---- */

/* semantics: 86, 87, 90, 200.  A device waits for its files, by container as well. */
TEST_F(container_close, unbind)
{
	struct pci *pci = &self->pci[0];
	volatile void *bar;
	struct boxed b;

	ASSERT_EQ(0, boxed_open(pci, &b));
	ASSERT_EQ(0, compat_map(b.container, self->page, PAGE, IOVA));
	bar = bar_of(b.fd);
	ASSERT_NE(NULL, bar);
	/* A child has no copy of a mapping that holds the device. */
	ASSERT_EQ(0, madvise((void *)bar, PAGE, MADV_DONTFORK));
	ASSERT_EQ(0, unbind_start(&self->task, pci));
	ASSERT_TRUE(task_waits_for_users(&self->task));
	EXPECT_EQ(-ENODEV, group_device(b.group, pci->bdf));
	EXPECT_EQ(0, device_info(b.fd));
	EXPECT_TRUE(confined(bar, self->page));
	EXPECT_EQ(-EBUSY, group_unset(b.group));
	/* Neither of these is what it waits for. */
	close_fd(&b.group);
	close_fd(&b.container);
	EXPECT_FALSE(task_ended(&self->task, 0));
	EXPECT_TRUE(confined(bar, self->page));
	munmap((void *)bar, PAGE);
	EXPECT_FALSE(task_ended(&self->task, 0));
	close_fd(&b.fd);
	EXPECT_EQ(0, task_join(&self->task));
	ASSERT_EQ(0, pci_to_vfio(pci));
}

/* semantics: 91, 146, 147, 149, 164.  The last device gone, the group is in no container. */
TEST_F(container_close, unbind_without_a_device_open)
{
	struct pci *pci = &self->pci[0];
	struct boxed b;
	int group;

	ASSERT_EQ(0, boxed_open(pci, &b));
	close_fd(&b.fd);
	ASSERT_EQ(0, unbind_start(&self->task, pci));
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_EQ(-ENODEV, group_flags(b.group));
	EXPECT_EQ(-EINVAL, group_unset(b.group));
	EXPECT_EQ(-ENODEV, group_set(b.group, b.container));
	EXPECT_EQ(-ENODEV, group_device(b.group, pci->bdf));
	EXPECT_EQ(-EINVAL, container_unknown(b.container));
	EXPECT_EQ(-EINVAL, container_set_iommu(b.container, VFIO_TYPE1_IOMMU));

	/* The container takes the group that comes back, while the old file is open. */
	ASSERT_EQ(0, pci_to_vfio(pci));
	group = group_open(pci);
	ASSERT_GE(group, 0);
	EXPECT_EQ(0, group_set(group, b.container));
	EXPECT_EQ(0, container_set_iommu(b.container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENODEV, group_flags(b.group));
	close_fd(&b.group);
	EXPECT_EQ(-ENOTTY, container_unknown(b.container));
	close(group);
	boxed_close(&b);
}

/* As boxed_join(); vfio-pci says EAGAIN as long as the one who plugs has the device's lock. */
static int join_when_plugged(const struct pci *pci, int container, struct boxed *b)
{
	int ret = pci_await_vfio(pci);

	for (int ms = 0; !ret && ms < EVENT_MS; ms += 20) {
		ret = boxed_join(pci, container, b);
		if (ret != -EAGAIN)
			return ret;
		close_fd(&b->group);
		poll(NULL, 0, 20);
		ret = 0;
	}
	return ret ? ret : -ETIMEDOUT;
}

/* semantics: 87, 88, 90.  The same for a device that is pulled out of its slot. */
TEST(unplugged)
{
	int32_t request = eventfd(0, EFD_CLOEXEC);
	char id[32], port[32];
	struct boxed b;
	struct pci pci;

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find_at(EDU, true, &pci))
		SKIP(return, "no edu device behind a port");
	if (qmp_device_id(pci.bdf, id, sizeof(id)) ||
	    qmp_device_id(pci.port, port, sizeof(port)))
		SKIP(return, "the monitor's name of the device is unknown");
	ASSERT_EQ(0, boxed_open(&pci, &b));
	ASSERT_EQ(0, cdev_set_irqs(b.fd, VFIO_PCI_REQ_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &request));
	ASSERT_EQ(0, qmp_unplug(id));
	EXPECT_TRUE(wait_readable(request, EVENT_MS));
	EXPECT_EQ(-ENODEV, group_device(b.group, pci.bdf));
	EXPECT_EQ(0, device_info(b.fd));
	EXPECT_EQ(-EBUSY, group_unset(b.group));
	EXPECT_EQ(-ENOTTY, container_unknown(b.container));
	close_fd(&b.group);
	close_fd(&b.fd);
	ASSERT_EQ(0, qmp_wait_deleted(id));
	EXPECT_EQ(-EINVAL, container_unknown(b.container));

	/* The next one in the slot can have the same container. */
	ASSERT_EQ(0, qmp_plug_edu(id, port, 0));
	ASSERT_EQ(0, join_when_plugged(&pci, b.container, &b));
	EXPECT_EQ(0, device_info(b.fd));
	boxed_close(&b);
	close(request);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a device as events of eventfds, and events of eventfds as acts on
 * a device: INTx and MSI of edu, MSI-X of igb, the core's virqfd.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/event.h"
#include "lib/open_path.h"
#include "lib/test.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

#define NONE VFIO_IRQ_SET_DATA_NONE
#define BOOL VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK VFIO_IRQ_SET_ACTION_MASK
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK

#define IRQ_SET_SIZE sizeof(struct vfio_irq_set)

FIXTURE(irq_edu) {
	struct pci pci;
	struct opened o;
	volatile void *bar;
	int32_t event, act;
};

FIXTURE_SETUP(irq_edu)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	ASSERT_EQ(0, cdev_enable_dma(self->o.fd));
	self->bar = cdev_map_bar(self->o.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	self->act = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(self->event, 0);
	ASSERT_GE(self->act, 0);
}

FIXTURE_TEARDOWN(irq_edu)
{
	open_path_close(&self->o);
	close(self->event);
	close(self->act);
}

static void give(int event)
{
	uint64_t one = 1;

	if (write(event, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void edu_raise(volatile void *bar)
{
	edu_write(bar, EDU_IRQ_RAISE, 1);
}

static void edu_ack(volatile void *bar)
{
	edu_write(bar, EDU_IRQ_ACK, edu_read(bar, EDU_IRQ_STATUS));
}

/* semantics: 49, 120.  A line that stays down until told otherwise. */
TEST_F(irq_edu, intx)
{
	int fd = self->o.fd;
	struct vfio_irq_info info;

	ASSERT_EQ(0, cdev_irq_info(fd, INTX, &info));
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
		  VFIO_IRQ_INFO_AUTOMASKED, info.flags);
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	for (int i = 0; i < 5; i++) {
		edu_raise(self->bar);
		EXPECT_EQ(1, event_wait(self->event));
		edu_ack(self->bar);
		ASSERT_EQ(0, cdev_set_irqs(fd, INTX, NONE | UNMASK, 0, 1, NULL));
	}
	/* Not acknowledged: it comes again as soon as it is unmasked. */
	edu_raise(self->bar);
	EXPECT_EQ(1, event_wait(self->event));
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, NONE | UNMASK, 0, 1, NULL));
	EXPECT_EQ(1, event_wait(self->event));
	edu_ack(self->bar);
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, NONE | TRIGGER, 0, 0, NULL));
}

/* semantics: 173, 176.  Unmasking by an eventfd, which is drained. */
TEST_F(irq_edu, unmask_by_eventfd)
{
	int fd = self->o.fd;
	uint64_t n;

	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   &self->act));
	edu_raise(self->bar);
	EXPECT_EQ(1, event_wait(self->event));
	for (int i = 0; i < 10; i++) {
		/* The line is still up: unmasking is seen as the next event. */
		give(self->act);
		EXPECT_EQ(1, event_wait(self->event));
		EXPECT_EQ(-1, read(self->act, &n, sizeof(n)));
		EXPECT_EQ(EAGAIN, errno);
	}
	edu_ack(self->bar);
	give(self->act);

	/* Switched off, the eventfd is an eventfd like any other. */
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   (int32_t []){ -1 }));
	give(self->act);
	EXPECT_EQ(sizeof(n), read(self->act, &n, sizeof(n)));
	EXPECT_EQ(1, n);
}

/* semantics: 173.  The slot takes one eventfd, and nothing else. */
TEST_F(irq_edu, virqfd_errors)
{
	int32_t other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int fd = self->o.fd;
	uint64_t n;

	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	EXPECT_EQ(-EBADF, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					(int32_t []){ 1000 }));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					 &self->o.space));
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   &self->act));
	EXPECT_EQ(-EBUSY, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					&self->act));
	/* One that is refused keeps what is in it. */
	for (int i = 0; i < 5; i++)
		give(other);
	EXPECT_EQ(-EBUSY, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					&other));
	EXPECT_EQ(sizeof(n), read(other, &n, sizeof(n)));
	EXPECT_EQ(5, n);
	/* ... and is not listened to. */
	give(other);
	EXPECT_EQ(1, event_wait(other));
	close(other);
	/* A bad descriptor, before a slot in use. */
	EXPECT_EQ(-EBADF, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					(int32_t []){ 1000 }));
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   (int32_t []){ -1 }));
	/* Empty already: no error. */
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   (int32_t []){ -1 }));
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   &self->act));
}

/* semantics: 174; defect: B17.  An event that was there first counts, undrained. */
TEST_F(irq_edu, virqfd_pending)
{
	int fd = self->o.fd;
	uint64_t n;

	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	edu_raise(self->bar);
	EXPECT_EQ(1, event_wait(self->event));
	give(self->act);
	give(self->act);
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   &self->act));
	EXPECT_EQ(1, event_wait(self->event));
	EXPECT_EQ(sizeof(n), read(self->act, &n, sizeof(n)));
	EXPECT_EQ(2, n);
	edu_ack(self->bar);
}

/* semantics: 175, 178.  Closing the eventfd frees the slot. */
TEST_F(irq_edu, virqfd_closed)
{
	int fd = self->o.fd;

	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
					   &self->act));
		close(self->act);
		self->act = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | UNMASK, 0, 1,
				   &self->act));
	edu_raise(self->bar);
	EXPECT_EQ(1, event_wait(self->event));
	give(self->act);
	EXPECT_EQ(1, event_wait(self->event));
	edu_ack(self->bar);
	/* Closing the device with the slot in use cleans up too. */
	ASSERT_EQ(0, munmap((void *)self->bar, 1 << 20));
	open_path_close(&self->o);
	give(self->act);
	EXPECT_EQ(1, event_wait(self->act));
}

/* semantics: 173.  An eventfd that writes to a register of the device. */
TEST_F(irq_edu, ioeventfd)
{
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_IOEVENTFD_32,
		.offset = EDU_LIVE,
		.data = 0xabcd1234,
		.fd = self->act,
	};
	int fd = self->o.fd;

	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg));
	EXPECT_EQ(-EEXIST, xioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg));
	for (int i = 0; i < 5; i++) {
		edu_write(self->bar, EDU_LIVE, 0);
		give(self->act);
		for (int ms = 0; ms < EVENT_MS; ms++) {
			if (edu_read(self->bar, EDU_LIVE) == ~0xabcd1234)
				break;
			poll(NULL, 0, 1);
		}
		EXPECT_EQ(~0xabcd1234, edu_read(self->bar, EDU_LIVE));
	}
	arg.fd = -1;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg));
	EXPECT_EQ(-ENODEV, xioctl(fd, VFIO_DEVICE_IOEVENTFD, &arg));
	give(self->act);
	EXPECT_EQ(1, event_wait(self->act));
}

/* semantics: 49, 120 */
TEST_F(irq_edu, msi)
{
	int fd = self->o.fd;

	ASSERT_EQ(0, cdev_set_irqs(fd, MSI, EVENTFD | TRIGGER, 0, 1,
				   &self->event));
	for (int i = 0; i < 5; i++) {
		edu_raise(self->bar);
		EXPECT_EQ(1, event_wait(self->event));
		edu_ack(self->bar);
	}
	/* By hand. */
	ASSERT_EQ(0, cdev_set_irqs(fd, MSI, NONE | TRIGGER, 0, 1, NULL));
	EXPECT_EQ(1, event_wait(self->event));
	/* Another eventfd in its place. */
	ASSERT_EQ(0, cdev_set_irqs(fd, MSI, EVENTFD | TRIGGER, 0, 1,
				   &self->act));
	edu_raise(self->bar);
	EXPECT_EQ(1, event_wait(self->act));
	EXPECT_FALSE(wait_readable(self->event, 0));
	edu_ack(self->bar);
	ASSERT_EQ(0, cdev_set_irqs(fd, MSI, NONE | TRIGGER, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, MSI, NONE | TRIGGER, 0, 1, NULL));
	EXPECT_FALSE(wait_readable(self->act, 0));
}

/* semantics: 49; defect: B21.  Each refusal, with the one that must lose to it. */
TEST_F(irq_edu, set_irqs_errors)
{
	struct {
		struct vfio_irq_set set;
		int32_t data[4];
	} arg;
	static const struct {
		const char *what;
		int err;
		struct vfio_irq_set set;
	} cases[] = {
		{ "size", -EINVAL, { 19, NONE | TRIGGER, INTX, 0, 1 } },
		{ "index", -EINVAL, { 20, NONE | TRIGGER, 99, 0, 1 } },
		{ "count", -EINVAL, { 20, NONE | TRIGGER, INTX, 0, ~0u } },
		{ "count and start", -EINVAL,
			{ 20, NONE | TRIGGER, INTX, 1, ~0u - 1 } },
		{ "flag", -EINVAL, { 20, 0x40 | NONE | TRIGGER, INTX, 0, 1 } },
		{ "high flag", -EINVAL,
			{ 20, 1u << 31 | NONE | TRIGGER, INTX, 0, 1 } },
		{ "start", -EINVAL, { 20, NONE | TRIGGER, INTX, 1, 0 } },
		{ "range", -EINVAL, { 20, NONE | TRIGGER, INTX, 0, 2 } },
		{ "no type", -EINVAL, { 20, TRIGGER, INTX, 0, 1 } },
		{ "two types", -EINVAL,
			{ 24, NONE | BOOL | TRIGGER, INTX, 0, 1 } },
		{ "no room for bool", -EINVAL,
			{ 20, BOOL | TRIGGER, INTX, 0, 1 } },
		{ "no room for fd", -EINVAL,
			{ 23, EVENTFD | TRIGGER, INTX, 0, 1 } },
		{ "no room, wrong range", -EINVAL,
			{ 20, EVENTFD | TRIGGER, INTX, 0, 2 } },
		{ "no action", -ENOTTY, { 20, NONE, INTX, 0, 1 } },
		{ "size of nothing", -EINVAL, { 0, 0, 0, 0, 0 } },
	};
	int fd = self->o.fd;

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_SET_IRQS, NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.set = cases[i].set;
		EXPECT_EQ(cases[i].err, xioctl(fd, VFIO_DEVICE_SET_IRQS, &arg))
			TH_LOG("%s", cases[i].what);
	}
	/* The data is copied whole or not at all. */
	struct vfio_irq_set *set = edge_alloc(IRQ_SET_SIZE + 3);

	*set = (struct vfio_irq_set){ IRQ_SET_SIZE + 4, EVENTFD | TRIGGER,
				      INTX, 0, 1 };
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_SET_IRQS, set));
}

/* igb: ten vectors, fired by a register. */
FIXTURE(irq_igb) {
	struct pci pci;
	struct opened o;
	volatile void *bar;
	int32_t events[10];
};

#define IGB_GPIE 0x1514
#define IGB_EICS 0x1520
#define IGB_EIMS 0x1524

FIXTURE_SETUP(irq_igb)
{
	if (pci_find(IGB, 0, &self->pci))
		SKIP(return, "no igb");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &self->pci, &self->o));
	ASSERT_EQ(0, cdev_enable_dma(self->o.fd));
	self->bar = cdev_map_bar(self->o.fd, 0, NULL);
	ASSERT_NE(NULL, self->bar);
	for (int i = 0; i < 10; i++)
		self->events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

FIXTURE_TEARDOWN(irq_igb)
{
	open_path_close(&self->o);
	for (int i = 0; i < 10; i++)
		close(self->events[i]);
}

/* semantics: 49, 120 */
TEST_F(irq_igb, msix)
{
	struct vfio_irq_info info;
	int fd = self->o.fd;

	ASSERT_EQ(0, cdev_irq_info(fd, MSIX, &info));
	ASSERT_EQ(10, info.count);
	ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, EVENTFD | TRIGGER, 0, 10,
				   self->events));
	edu_write(self->bar, IGB_GPIE, 0x10);
	edu_write(self->bar, IGB_EIMS, 0x1ff);
	for (int i = 0; i < 9; i++) {
		edu_write(self->bar, IGB_EICS, 1 << i);
		EXPECT_EQ(1, event_wait(self->events[i]))
			TH_LOG("vector %d", i);
		for (int j = 0; j < 10; j++)
			EXPECT_FALSE(wait_readable(self->events[j], 0));
		edu_write(self->bar, IGB_EIMS, 0x1ff);
	}
	/* One by one, by hand. */
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, NONE | TRIGGER, i, 1,
					   NULL));
		EXPECT_EQ(1, event_wait(self->events[i]));
	}
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, MSIX, NONE | TRIGGER, 5, 6, NULL));
	ASSERT_EQ(0, cdev_set_irqs(fd, MSIX, NONE | TRIGGER, 0, 0, NULL));
}

TEST_HARNESS_MAIN

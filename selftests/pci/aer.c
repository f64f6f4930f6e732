// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors that a device reports by PCI Express (AER), to the eventfd that its user gave.
 * The host's monitor injects them.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/event.h"
#include "lib/group.h"
#include "lib/kmsg.h"
#include "lib/open_path.h"
#include "lib/qmp.h"
#include "lib/test.h"

#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define NONE (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BOOL (VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER)
#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

/* One of each severity, as QEMU calls it. */
#define NONFATAL	"COMP_TIME"
#define FATAL		"DLP"
#define CORRECTABLE	"RCVR"

#define RECOVERED "device recovery successful"

FIXTURE(aer) {
	struct pci pci;
	struct opened u;
	char id[32];
	int event, kmsg;
};

FIXTURE_VARIANT(aer) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(aer, cdev) { .open_path = OPEN_CDEV };
FIXTURE_VARIANT_ADD(aer, group) { .open_path = OPEN_GROUP };
FIXTURE_VARIANT_ADD(aer, container) { .open_path = OPEN_CONTAINER };

/* How many errors of that severity the kernel has seen: the total, in the last line. */
static long errors(const struct pci *pci, const char *severity)
{
	char name[32], text[4096], *last;

	snprintf(name, sizeof(name), "aer_dev_%s", severity);
	if (pci_attr(pci, name, text, sizeof(text)) <= 0)
		return -1;
	last = strrchr(text, ' ');
	return last ? atol(last) : -1;
}

/* Waits until the kernel has seen one more than @before. */
static bool is_seen(const struct pci *pci, const char *severity, long before)
{
	for (int ms = 0; ms < EVENT_MS; ms += 20) {
		if (errors(pci, severity) == before + 1)
			return true;
		poll(NULL, 0, 20);
	}
	return false;
}

static int set_event(int fd, int32_t event)
{
	return cdev_set_irqs(fd, ERR, EVENTFD, 0, 1, &event);
}

/* Is it the device that it was?  Its driver still is, and it answers. */
static bool works(const struct pci *pci, int fd)
{
	uint32_t id = 0;

	return !device_info(fd) && config_read(fd, PCI_VENDOR_ID, &id, 4) == 4 &&
	       id == (pci->id << 16 | pci->id >> 16);
}

FIXTURE_SETUP(aer)
{
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find_at(VIRTIO_RNG, true, &self->pci) || errors(&self->pci, "fatal") < 0)
		SKIP(return, "no virtio-rng device that reports errors");
	if (qmp_device_id(self->pci.bdf, self->id, sizeof(self->id)))
		SKIP(return, "the monitor's name of the device is unknown");
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(self->event, 0);
	self->kmsg = kmsg_open();
	ASSERT_GE(self->kmsg, 0);
}

FIXTURE_TEARDOWN(aer)
{
	open_path_close(&self->u);
	close(self->event);
	close(self->kmsg);
}

/* semantics: 120.  As often as there is one; the device goes on. */
TEST_F(aer, nonfatal)
{
	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	for (int i = 0; i < 3; i++) {
		long before = errors(&self->pci, "nonfatal");

		ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
		EXPECT_TRUE(wait_readable(self->event, EVENT_MS));
		EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
		EXPECT_EQ(1, event_take(self->event));
		EXPECT_EQ(before + 1, errors(&self->pci, "nonfatal"));
		EXPECT_TRUE(works(&self->pci, self->u.fd));
	}
}

/* semantics: 120.  What the hardware has put right is nobody's business. */
TEST_F(aer, correctable)
{
	long before = errors(&self->pci, "correctable");

	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	ASSERT_EQ(0, qmp_inject_error(self->id, CORRECTABLE));
	ASSERT_TRUE(is_seen(&self->pci, "correctable", before));
	/* The kernel takes one after the other: had it told of that, it would be two. */
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	ASSERT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(1, event_take(self->event));
}

/* semantics: 95, 120.  The kernel resets the bus; the next user finds a device that works. */
TEST_F(aer, fatal)
{
	char before[PCI_STD_HEADER_SIZEOF + 1], after[PCI_STD_HEADER_SIZEOF + 1];

	open_path_close(&self->u);
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(PCI_STD_HEADER_SIZEOF,
		  pci_attr(&self->pci, "config", before, sizeof(before)));
	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	ASSERT_EQ(0, qmp_inject_error(self->id, FATAL));
	EXPECT_TRUE(wait_readable(self->event, EVENT_MS));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, device_info(self->u.fd));
	open_path_close(&self->u);

	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(PCI_STD_HEADER_SIZEOF,
		  pci_attr(&self->pci, "config", after, sizeof(after)));
	EXPECT_EQ(0, memcmp(before, after, PCI_STD_HEADER_SIZEOF));
	EXPECT_TRUE(works(&self->pci, self->u.fd));
	/* The eventfd was the old user's. */
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	ASSERT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(0, event_take(self->event));
}

/* semantics: 120.  None is told who has not asked, nor later. */
TEST_F(aer, unasked)
{
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_TRUE(works(&self->pci, self->u.fd));
	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	EXPECT_EQ(0, event_take(self->event));
	/* Asked, and taken back, by both calls. */
	ASSERT_EQ(0, set_event(self->u.fd, -1));
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	ASSERT_EQ(0, cdev_set_irqs(self->u.fd, ERR, NONE, 0, 0, NULL));
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(0, event_take(self->event));
	EXPECT_TRUE(works(&self->pci, self->u.fd));
}

/* semantics: 120.  The event is the device's, whoever has its eventfd open still. */
TEST_F(aer, eventfd_closed)
{
	int copy = dup(self->event);

	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	close(self->event);
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(wait_readable(copy, EVENT_MS));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(1, event_take(copy));
	close(copy);
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_TRUE(works(&self->pci, self->u.fd));
	self->event = -1;
}

/* semantics: 95, 109.  Closed before the error: the driver has it again, nobody is told. */
TEST_F(aer, device_closed)
{
	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	open_path_close(&self->u);
	/* Awake, or it would not be there to report. */
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "on"));
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(0, event_take(self->event));
	ASSERT_EQ(0, pci_attr_set(&self->pci, "power/control", "auto"));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	EXPECT_TRUE(works(&self->pci, self->u.fd));
}

/*
 * semantics: 100, 151, 191.  A second file: by the device's own node it is not bound and has
 * no say; by the group's it is as good as the first.
 */
TEST_F(aer, two_files)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), second, group;
	bool by_cdev = variant->open_path == OPEN_CDEV;

	ASSERT_EQ(0, set_event(self->u.fd, self->event));
	if (by_cdev) {
		second = cdev_open(&self->pci);
	} else {
		group = self->u.group;
		second = group_device(group, self->pci.bdf);
	}
	ASSERT_GE(second, 0);
	EXPECT_EQ(by_cdev ? -EINVAL : 0, set_event(second, event));
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(by_cdev, event_take(self->event));
	EXPECT_EQ(!by_cdev, event_take(event));
	/* What the one has set outlives it. */
	close(second);
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(by_cdev, event_take(self->event));
	EXPECT_EQ(!by_cdev, event_take(event));
	close(event);
}

/* semantics: 49, 120.  Triggered by hand, and arguments that are none. */
TEST_F(aer, by_hand)
{
	struct {
		struct vfio_irq_set set;
		uint8_t yes;
	} arg = {
		.set = {
			.argsz = sizeof(arg.set) + 1,
			.flags = BOOL,
			.index = ERR,
			.count = 1,
		},
	};
	struct vfio_irq_info info;
	int fd = self->u.fd;

	ASSERT_EQ(0, cdev_irq_info(fd, ERR, &info));
	EXPECT_EQ(1, info.count);
	EXPECT_EQ(VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, info.flags);

	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, ERR, NONE, 0, 1, NULL));
	ASSERT_EQ(0, set_event(fd, self->event));
	EXPECT_EQ(0, cdev_set_irqs(fd, ERR, NONE, 0, 1, NULL));
	EXPECT_EQ(1, event_take(self->event));
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_SET_IRQS, &arg));
	EXPECT_EQ(0, event_take(self->event));
	arg.yes = 1;
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_SET_IRQS, &arg));
	EXPECT_EQ(1, event_take(self->event));

	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, ERR, NONE, 1, 1, NULL));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, ERR, NONE, 0, 2, NULL));
	EXPECT_EQ(-ENOTTY, cdev_set_irqs(fd, ERR, VFIO_IRQ_SET_DATA_NONE |
					 VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL));
	EXPECT_EQ(-EBADF, set_event(fd, 1000));
	EXPECT_EQ(-EINVAL, set_event(fd, fd));
	EXPECT_EQ(-EINVAL, set_event(fd, -2));
	/* None of that has taken the event away. */
	ASSERT_EQ(0, qmp_inject_error(self->id, NONFATAL));
	EXPECT_TRUE(wait_readable(self->event, EVENT_MS));
	EXPECT_TRUE(kmsg_wait(self->kmsg, RECOVERED, EVENT_MS, NULL, 0));
	EXPECT_EQ(1, event_take(self->event));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_DEVICE_RESET: by whatever open path the user came, the device forgets what was written to
 * it, and what the driver set up for the user is there again.
 */
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/scratch.h"
#include "lib/task.h"
#include "lib/test.h"

#define IGB_GPIE 0x1514
#define IGB_EICS 0x1520
#define IGB_EIMS 0x1524

static int device_reset(int fd)
{
	return xioctl(fd, VFIO_DEVICE_RESET, NULL);
}

/* Whether the device is said to have a reset, or -errno. */
static int says_reset(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = xioctl(fd, VFIO_DEVICE_GET_INFO, &info);

	return ret ? ret : !!(info.flags & VFIO_DEVICE_FLAGS_RESET);
}

/* Which of its resets the kernel is to use; a new line: none. */
static int set_method(const struct pci *pci, const char *name)
{
	return pci_attr_set(pci, "reset_method", name);
}

/* An igb that is alone on its bus: it has every kind of reset. */
FIXTURE(device_reset) {
	struct pci pci;
	struct opened u;
};

FIXTURE_VARIANT(device_reset) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(device_reset, cdev) { .open_path = OPEN_CDEV };
FIXTURE_VARIANT_ADD(device_reset, group) { .open_path = OPEN_GROUP };
FIXTURE_VARIANT_ADD(device_reset, container) { .open_path = OPEN_CONTAINER };

FIXTURE_SETUP(device_reset)
{
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find(IGB, 0, &self->pci) || set_method(&self->pci, "bus"))
		SKIP(return, "no igb on a bus that can be reset");
	ASSERT_EQ(0, set_method(&self->pci, "default"));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(0, scratch_set(self->u.fd, IGB));
}

FIXTURE_TEARDOWN(device_reset)
{
	open_path_close(&self->u);
	set_method(&self->pci, "default");
}

/* The host's view of the device's header, past what VFIO shows of it. */
static bool read_header(const struct pci *pci, char *header)
{
	return pci_attr(pci, "config", header, PCI_STD_HEADER_SIZEOF + 1) ==
	       PCI_STD_HEADER_SIZEOF;
}

/* semantics: 17, 99, 120.  Each kind of reset: registers are cleared, the header is kept. */
TEST_F(device_reset, forgets)
{
	/* QEMU's igb does not do what the last power state is to do to registers. */
	static const struct {
		const char *name;
		bool clears;
	} methods[] = { { "flr", true }, { "pm", false }, { "bus", true } };
	char before[PCI_STD_HEADER_SIZEOF + 1], after[PCI_STD_HEADER_SIZEOF + 1];
	int fd = self->u.fd;
	volatile void *bar;
	uint16_t command;
	size_t size;

	bar = cdev_map_bar(fd, 0, &size);
	ASSERT_NE(NULL, bar);
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		ASSERT_EQ(0, set_method(&self->pci, methods[i].name));
		ASSERT_EQ(0, scratch_set(fd, IGB));
		ASSERT_EQ(1, scratch_there(fd, IGB));
		ASSERT_TRUE(bar_answers(bar));
		ASSERT_TRUE(read_header(&self->pci, before));
		EXPECT_EQ(0, device_reset(fd)) TH_LOG("%s", methods[i].name);
		EXPECT_EQ(!methods[i].clears, scratch_there(fd, IGB))
			TH_LOG("%s", methods[i].name);
		ASSERT_TRUE(read_header(&self->pci, after));
		EXPECT_EQ(0, memcmp(before, after, PCI_STD_HEADER_SIZEOF))
			TH_LOG("%s", methods[i].name);
		ASSERT_EQ(2, config_read(fd, PCI_COMMAND, &command, 2));
		EXPECT_EQ(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
			  command & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
		/* Mapped before, and taken away for the time of the reset. */
		EXPECT_TRUE(bar_answers(bar));
	}
	munmap((void *)bar, size);
}

/* semantics: 120.  An interrupt that was set up before comes after. */
TEST_F(device_reset, interrupts)
{
	int32_t event = eventfd(0, EFD_CLOEXEC);
	int fd = self->u.fd;
	volatile void *bar;
	size_t size;

	bar = cdev_map_bar(fd, 0, &size);
	ASSERT_NE(NULL, bar);
	ASSERT_EQ(0, cdev_set_irqs(fd, VFIO_PCI_MSIX_IRQ_INDEX,
				   VFIO_IRQ_SET_DATA_EVENTFD |
				   VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &event));
	for (int i = 0; i < 3; i++) {
		uint64_t n = 0;

		edu_write(bar, IGB_GPIE, 0x10);
		edu_write(bar, IGB_EIMS, 1);
		edu_write(bar, IGB_EICS, 1);
		ASSERT_TRUE(wait_readable(event, EVENT_MS));
		EXPECT_EQ(sizeof(n), read(event, &n, sizeof(n)));
		EXPECT_EQ(1, n);
		ASSERT_EQ(0, device_reset(fd));
		EXPECT_EQ(0, edu_read(bar, IGB_EIMS));
	}
	munmap((void *)bar, size);
	close(event);
}

/* semantics: 95.  The next user finds nothing of the one before. */
TEST_F(device_reset, closing)
{
	ASSERT_EQ(1, scratch_there(self->u.fd, IGB));
	open_path_close(&self->u);
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(0, cdev_enable_dma(self->u.fd));
	EXPECT_EQ(0, scratch_there(self->u.fd, IGB));
}

/* semantics: 120.  What the host forbids is not offered, from the next opening on. */
TEST_F(device_reset, forbidden)
{
	EXPECT_EQ(1, says_reset(self->u.fd));
	ASSERT_EQ(0, set_method(&self->pci, "\n"));
	EXPECT_EQ(1, says_reset(self->u.fd));
	EXPECT_EQ(-ENOTTY, device_reset(self->u.fd));
	EXPECT_EQ(1, scratch_there(self->u.fd, IGB));
	open_path_close(&self->u);

	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	ASSERT_EQ(0, scratch_set(self->u.fd, IGB));
	EXPECT_EQ(0, says_reset(self->u.fd));
	EXPECT_EQ(-EINVAL, device_reset(self->u.fd));
	ASSERT_EQ(0, set_method(&self->pci, "default"));
	EXPECT_EQ(0, says_reset(self->u.fd));
	EXPECT_EQ(-EINVAL, device_reset(self->u.fd));
	EXPECT_EQ(1, scratch_there(self->u.fd, IGB));
	open_path_close(&self->u);

	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->pci, &self->u));
	EXPECT_EQ(1, says_reset(self->u.fd));
	EXPECT_EQ(0, device_reset(self->u.fd));
}

struct reader {
	int fd;
	atomic_bool stop;
	atomic_int rounds;
};

/* Reads what no reset changes, and what can only be read if memory is on. */
static int read_on(void *arg)
{
	struct reader *r = arg;
	uint16_t ids[2];
	int ret;

	while (!r->stop) {
		ret = config_read(r->fd, PCI_VENDOR_ID, ids, 4);
		if (ret != 4)
			return ret < 0 ? ret : -EIO;
		if (ids[0] != IGB >> 16 || ids[1] != (IGB & 0xffff))
			return -EPROTO;
		ret = scratch_there(r->fd, IGB);
		if (ret < 0)
			return ret;
		r->rounds++;
	}
	return 0;
}

static int reset_often(void *arg)
{
	const struct reader *r = arg;

	for (int i = 0; i < 10; i++) {
		int ret = device_reset(r->fd);

		if (ret)
			return ret;
	}
	return 0;
}

/* semantics: 119, 120.  Readers and two who reset at once: all get what they ask for. */
TEST_F(device_reset, while_read)
{
	struct reader r = { .fd = self->u.fd };
	struct worker readers[2], resetters[2];

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&readers[i], read_on, &r));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, worker_start(&resetters[i], reset_often, &r));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, worker_join(&resetters[i]));
	EXPECT_GT((int)r.rounds, 0);
	r.stop = true;
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, worker_join(&readers[i]));
	EXPECT_EQ(0, scratch_there(r.fd, IGB));
}

/* semantics: 100, 191.  Not before the device is bound, and not by who has not bound it. */
TEST(device_reset_unbound)
{
	struct session s;
	struct pci pci;
	int fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find(IGB, 0, &pci))
		SKIP(return, "no igb");
	ASSERT_EQ(0, session_open(&pci, &s));
	ASSERT_EQ(0, scratch_set(s.fd, IGB));
	fd = cdev_open(&pci);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, device_reset(fd));
	EXPECT_EQ(1, scratch_there(s.fd, IGB));
	session_close(&s);
	EXPECT_EQ(-EINVAL, device_reset(fd));
	s.iommufd = iommufd_open();
	ASSERT_EQ(0, cdev_bind(fd, s.iommufd, NULL));
	EXPECT_EQ(0, device_reset(fd));
	close(fd);
	close(s.iommufd);
}

/* semantics: 120.  A device that has none, and ones with one kind each. */
TEST(device_reset_kinds)
{
	static const struct {
		const char *name;
		uint32_t id;
		bool behind_port;
		bool has;
	} kinds[] = {
		{ "edu on the root bus", EDU, false, false },
		{ "nvme", NVME, true, true },		/* of the function */
		{ "ivshmem", IVSHMEM, true, true },	/* of the bus */
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct opened o;
		struct pci pci;

		if (pci_find_at(kinds[i].id, kinds[i].behind_port, &pci))
			SKIP(return, "no %s", kinds[i].name);
		ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &pci, &o));
		EXPECT_EQ(kinds[i].has, says_reset(o.fd)) TH_LOG("%s", kinds[i].name);
		if (kinds[i].id == NVME)
			ASSERT_EQ(0, scratch_set(o.fd, NVME));
		EXPECT_EQ(kinds[i].has ? 0 : -EINVAL, device_reset(o.fd))
			TH_LOG("%s", kinds[i].name);
		if (kinds[i].id == NVME)
			EXPECT_EQ(0, scratch_there(o.fd, NVME));
		open_path_close(&o);
		EXPECT_EQ(0, pci_unbind(&pci));
	}
}

TEST_HARNESS_MAIN

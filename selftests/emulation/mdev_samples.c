// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's sample drivers of mediated devices, mtty, mdpy and mbochs, from the making
 * of a device to its end; all that it is to user space goes through the core.  Then the
 * serial ports of mtty; mdev_displays.c has the others' displays.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/event.h"
#include "lib/iommufd.h"
#include "lib/mdev.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAGE 4096u
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define READ_WRITE_MMAP (READ_WRITE | VFIO_REGION_INFO_FLAG_MMAP)

/*
 * Devices are removed when the test's process has ended: one that still had a mapping
 * after a failure would wait for itself, for ever.
 */
FIXTURE(sample) {
	char node[128];		/* its own, or its group's where it has none */
};

FIXTURE_VARIANT(sample) {
	const char *module, *type;
	int instances;		/* that can be had at first */
	uint32_t id;		/* device << 16 | vendor */
	int num_regions;
	uint64_t bar_size;
	uint32_t bar_flags;
};

FIXTURE_VARIANT_ADD(sample, mtty) {
	"mtty", "mtty-2", 12, 0x32534348, 9, 8, READ_WRITE,
};

FIXTURE_VARIANT_ADD(sample, mdpy) {
	"mdpy", "mdpy-vga", 4, 0x000f1b36, 9, 2 << 20, READ_WRITE_MMAP,
};

FIXTURE_VARIANT_ADD(sample, mbochs) {
	"mbochs", "mbochs-small", 64, 0x11111234, 10, 4 << 20, READ_WRITE_MMAP,
};

FIXTURE_SETUP(sample)
{
	char name[64];
	int ret = mdev_sample_load(variant->module);

	if (ret == -ENOENT)
		SKIP(return, "no module %s", variant->module);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(variant->instances, mdev_available(variant->module, variant->type));
	ASSERT_EQ(0, mdev_create(variant->module, variant->type, mdev_uuids[0]));
	ASSERT_EQ(0, mdev_name(mdev_uuids[0], name, sizeof(name)));
	if (has_iommufd())
		snprintf(self->node, sizeof(self->node), "/dev/vfio/devices/%s", name);
	else
		snprintf(self->node, sizeof(self->node), "/dev/vfio/%d",
			 mdev_group(mdev_uuids[0]));
	ASSERT_EQ(0, access(self->node, F_OK));
}

FIXTURE_TEARDOWN_PARENT(sample)
{
	if (mdev_exists(mdev_uuids[0]))
		EXPECT_EQ(0, mdev_remove(mdev_uuids[0]));
	EXPECT_EQ(0, mdev_sample_unload(variant->module));
}

/* Does fdinfo name the device? */
static bool says_path(int fd, const char *module)
{
	char path[64], text[1024], want[256];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (sysfs_read(path, text, sizeof(text)) <= 0)
		return false;
	snprintf(want, sizeof(want), "vfio-device-syspath: /sys/devices/virtual/%s/%s/%s\n",
		 module, module, mdev_uuids[0]);
	strcat(text, "\n");
	return strstr(text, want);
}

/* semantics: 24, 26, 30, 81, 92, 124.  Its names, while it is there. */
TEST_F(sample, names)
{
	int number = mdev_group(mdev_uuids[0]), fd;
	char path[256], text[1024], group[64], name[64];
	struct opened o;

	EXPECT_GT(mdev_type_attr(variant->module, variant->type, "device_api", text, sizeof(text)), 0);
	EXPECT_STREQ("vfio-pci", text);
	EXPECT_EQ(variant->instances - 1, mdev_available(variant->module, variant->type));
	EXPECT_EQ(-EEXIST, mdev_create(variant->module, variant->type, mdev_uuids[0]));
	EXPECT_EQ(variant->instances - 1, mdev_available(variant->module, variant->type));

	/* No noiommu: it does no DMA, so that it needs no IOMMU. */
	ASSERT_EQ(0, mdev_name(mdev_uuids[0], name, sizeof(name)));
	EXPECT_EQ(0, strncmp(name, "vfio", 4));
	EXPECT_EQ(0, access(self->node, F_OK));
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device", name);
	ASSERT_EQ(0, sysfs_link(path, text, sizeof(text)));
	EXPECT_STREQ(mdev_uuids[0], text);
	EXPECT_EQ(has_groups(), number >= 0);
	if (has_groups()) {
		snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/name", number);
		ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
		EXPECT_STREQ("vfio-noiommu", text);
	}
	snprintf(group, sizeof(group), "/dev/vfio/%d", number);
	EXPECT_EQ(has_groups(), !access(group, F_OK));

	if (has_iommufd()) {
		fd = mdev_open(mdev_uuids[0]);
		ASSERT_GE(fd, 0);
		EXPECT_TRUE(says_path(fd, variant->module));
		close(fd);
	}
	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &o));
	EXPECT_TRUE(says_path(o.fd, variant->module));
	open_path_close(&o);

	/* All of it goes, and comes again. */
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, mdev_remove(mdev_uuids[0]));
		EXPECT_EQ(-1, access(self->node, F_OK));
		EXPECT_EQ(-1, access(group, F_OK));
		EXPECT_EQ(-1, mdev_group(mdev_uuids[0]));
		EXPECT_EQ(variant->instances, mdev_available(variant->module, variant->type));
		ASSERT_EQ(0, mdev_create(variant->module, variant->type, mdev_uuids[0]));
		EXPECT_EQ(number, mdev_group(mdev_uuids[0]));
		EXPECT_EQ(0, access(self->node, F_OK));
		EXPECT_EQ(has_groups(), !access(group, F_OK));
	}
}

/* semantics: 100, 103, 107, 109, 114, 115, 191.  A session, from open to close. */
TEST_F(sample, session)
{
	int fd, other, iommufd;
	uint32_t devid, ioas[2], pt;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	fd = mdev_open(mdev_uuids[0]);
	other = mdev_open(mdev_uuids[0]);
	iommufd = iommufd_open();
	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	EXPECT_EQ(-EINVAL, device_info(fd));
	ASSERT_EQ(0, cdev_bind(fd, iommufd, &devid));
	EXPECT_GT(devid, 0);
	EXPECT_EQ(-EINVAL, cdev_bind(other, iommufd, NULL));
	EXPECT_EQ(0, ioas_alloc(iommufd, &ioas[0]));
	EXPECT_EQ(0, ioas_alloc(iommufd, &ioas[1]));
	for (int i = 0; i < 4; i++) {
		pt = ioas[i % 2];
		EXPECT_EQ(0, cdev_attach(fd, &pt));
		EXPECT_EQ(ioas[i % 2], pt);
		EXPECT_EQ(-EBUSY, iommufd_destroy(iommufd, ioas[i % 2]));
	}
	EXPECT_EQ(0, cdev_detach(fd));
	EXPECT_EQ(0, iommufd_destroy(iommufd, ioas[0]));
	EXPECT_EQ(0, iommufd_destroy(iommufd, ioas[1]));
	EXPECT_EQ(0, device_info(fd));

	/* The last close makes room for the next. */
	close(fd);
	EXPECT_EQ(0, cdev_bind(other, iommufd, NULL));
	close(other);
	close(iommufd);
}

/* semantics: 109, 120, 127.  What it says of itself to who has it open, again and again. */
TEST_F(sample, device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	struct opened o;
	uint32_t id;

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &o));
		EXPECT_EQ(0, xioctl(o.fd, VFIO_DEVICE_GET_INFO, &info));
		EXPECT_EQ(VFIO_DEVICE_FLAGS_PCI, info.flags);
		EXPECT_EQ(variant->num_regions, info.num_regions);
		EXPECT_EQ(VFIO_PCI_NUM_IRQS, info.num_irqs);
		EXPECT_TRUE(region_is(o.fd, CONFIG, 255, READ_WRITE));
		EXPECT_TRUE(region_is(o.fd, 0, variant->bar_size, variant->bar_flags));
		EXPECT_EQ(-EINVAL, cdev_region(o.fd, variant->num_regions, &region));
		EXPECT_EQ(4, config_read(o.fd, 0, &id, 4));
		EXPECT_EQ(variant->id, id);
		EXPECT_EQ(0, xioctl(o.fd, VFIO_DEVICE_RESET, NULL));
		EXPECT_EQ(-ENOTTY, xioctl(o.fd, VFIO_DEVICE_PCI_HOT_RESET, NULL));
		open_path_close(&o);
	}
}

/* semantics: 100, 122.  Mappings, as the driver allows them; none without BIND. */
TEST_F(sample, mmap)
{
	struct vfio_region_info info;
	struct opened d;
	int unbound;

	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d));
	ASSERT_EQ(0, cdev_region(d.fd, 0, &info));
	if (has_iommufd()) {
		unbound = mdev_open(mdev_uuids[0]);
		EXPECT_EQ(MAP_FAILED, region_map(unbound, &info, PAGE));
		EXPECT_EQ(EINVAL, errno);
	}
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		EXPECT_EQ(MAP_FAILED, region_map(d.fd, &info, PAGE));
		EXPECT_EQ(EINVAL, errno);
		return;
	}
	EXPECT_EQ(MAP_FAILED, region_map(d.fd, &info, info.size + PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap64(NULL, PAGE, PROT_READ, MAP_PRIVATE, d.fd, info.offset));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap64(NULL, PAGE, PROT_READ, MAP_SHARED, d.fd, 0));
	EXPECT_EQ(EINVAL, errno);
	for (int i = 0; i < 3; i++) {
		uint32_t *a = region_map(d.fd, &info, info.size);
		uint32_t *b = region_map(d.fd, &info, info.size);
		size_t words = info.size / 4;

		ASSERT_NE(MAP_FAILED, a);
		ASSERT_NE(MAP_FAILED, b);
		for (size_t w = 0; w < words; w += PAGE / 4 * 7)
			a[w] = w + i;
		a[words - 1] = 0x12345678 + i;
		for (size_t w = 0; w < words; w += PAGE / 4 * 7)
			EXPECT_EQ(w + i, b[w]);
		EXPECT_EQ(0x12345678 + i, b[words - 1]);
		munmap(a, info.size);
		EXPECT_EQ(0x12345678 + i, b[words - 1]);
		munmap(b, info.size);
	}
	open_path_close(&d);
}

static int do_remove(void *uuid)
{
	return mdev_remove(uuid);
}

/*
 * semantics: 86, 87, 89, 90, 98, 198.  Removed while it is in use: not before the last
 * close.  A mapping is a use like an open file.
 */
TEST_F(sample, remove_in_use)
{
	int copy, number = mdev_group(mdev_uuids[0]);
	struct vfio_region_info info;
	volatile uint32_t *bar = NULL;
	struct worker worker;
	struct opened d;
	char path[64];
	uint32_t id;

	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d));
	copy = dup(d.fd);
	ASSERT_EQ(0, cdev_region(d.fd, 0, &info));
	if (info.flags & VFIO_REGION_INFO_FLAG_MMAP) {
		bar = region_map(d.fd, &info, info.size);
		ASSERT_NE(MAP_FAILED, bar);
		bar[5] = 55;
	}
	ASSERT_EQ(0, worker_start(&worker, do_remove, (void *)mdev_uuids[0]));
	EXPECT_TRUE(worker_waits_for_users(&worker));
	/* Nobody else gets it; who has it keeps it. */
	EXPECT_EQ(-1, open(self->node, O_RDWR));
	if (!has_iommufd())
		EXPECT_EQ(-ENODEV, group_device(d.group, mdev_uuids[0]));
	EXPECT_EQ(4, config_read(d.fd, 0, &id, 4));
	EXPECT_EQ(variant->id, id);
	if (has_iommufd()) {
		EXPECT_EQ(0, cdev_detach(d.fd));
		EXPECT_EQ(0, cdev_attach(d.fd, &d.ioas));
	}
	open_path_close(&d);
	EXPECT_EQ(4, config_read(copy, 0, &id, 4));
	EXPECT_FALSE(worker_ended(&worker));
	close(copy);
	if (bar) {
		EXPECT_EQ(55, bar[5]);
		/* A page that nobody has touched yet. */
		bar[info.size / 4 - 1] = 66;
		EXPECT_EQ(66, bar[info.size / 4 - 1]);
		EXPECT_FALSE(worker_ended(&worker));
		munmap((void *)bar, info.size);
	}
	EXPECT_EQ(0, worker_join(&worker));
	EXPECT_FALSE(mdev_exists(mdev_uuids[0]));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", number);
	EXPECT_EQ(-1, access(path, F_OK));
	EXPECT_EQ(variant->instances, mdev_available(variant->module, variant->type));
}

/* semantics: 87, 90; defects: B23, B27 (D8).  A file that never was bound. */
TEST_F(sample, remove_unbound)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct worker worker;
	int fd, iommufd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	fd = mdev_open(mdev_uuids[0]);
	ASSERT_GE(fd, 0);
	iommufd = iommufd_open();
	ASSERT_EQ(0, worker_start(&worker, do_remove, (void *)mdev_uuids[0]));
	if (core_is_rust()) {
		EXPECT_EQ(0, worker_join(&worker));
		EXPECT_EQ(-ENODEV, cdev_bind(fd, iommufd, NULL));
		EXPECT_EQ(-ENODEV, xioctl(fd, VFIO_DEVICE_GET_INFO, &info));
		close(fd);
	} else {
		EXPECT_TRUE(worker_waits_for_users(&worker));
		close(fd);
		EXPECT_EQ(0, worker_join(&worker));
	}
	EXPECT_FALSE(mdev_exists(mdev_uuids[0]));
}

/* semantics: 93, 95.  The driver stays as long as a device is bound, and takes the rest along. */
TEST_F(sample, unload)
{
	struct opened d;

	ASSERT_EQ(0, mdev_create(variant->module, variant->type, mdev_uuids[1]));
	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d));
	EXPECT_EQ(-EWOULDBLOCK, module_unload(variant->module));
	EXPECT_TRUE(mdev_exists(mdev_uuids[1]));
	open_path_close(&d);
	EXPECT_EQ(0, module_unload(variant->module));
	EXPECT_FALSE(mdev_exists(mdev_uuids[0]));
	EXPECT_FALSE(mdev_exists(mdev_uuids[1]));
	EXPECT_EQ(-1, access(self->node, F_OK));
	ASSERT_EQ(0, module_load(variant->module));
}

/* Does anybody use the address space? */
static bool in_use(int space, uint32_t ioas)
{
	if (has_iommufd())
		return iommufd_destroy(space, ioas) == -EBUSY;
	return container_unknown(space) == -ENOTTY;
}

/* semantics: 69, 71, 92, 164.  Many at once, in one address space, closed and removed in any order. */
TEST_F(sample, many)
{
	static const int order[4] = { 2, 0, 3, 1 };
	struct opened o[4];
	uint32_t id, ioas;
	char name[4][64];
	int space;

	for (int i = 0; i < 4; i++) {
		if (i)
			ASSERT_EQ(0, mdev_create(variant->module, variant->type, mdev_uuids[i]));
		ASSERT_EQ(0, mdev_name(mdev_uuids[i], name[i], sizeof(name[i])));
		for (int j = 0; j < i; j++)
			EXPECT_STRNE(name[i], name[j]);
		ASSERT_EQ(0, mdev_use(mdev_uuids[i], i ? &o[0] : NULL, &o[i]));
	}
	space = dup(o[0].space);
	ioas = o[0].ioas;
	EXPECT_EQ(variant->instances - 4, mdev_available(variant->module, variant->type));
	/* Of mdpy there are no more. */
	EXPECT_EQ(variant->instances == 4 ? -EUSERS : 0,
		  mdev_create(variant->module, variant->type, mdev_uuids[4]));
	if (variant->instances > 4)
		EXPECT_EQ(0, mdev_remove(mdev_uuids[4]));
	for (int i = 0; i < 4; i++) {
		open_path_close(&o[order[i]]);
		EXPECT_EQ(0, mdev_remove(mdev_uuids[order[i]]));
		for (int j = i + 1; j < 4; j++) {
			EXPECT_EQ(4, config_read(o[order[j]].fd, 0, &id, 4));
			EXPECT_EQ(variant->id, id);
		}
		EXPECT_EQ(i < 3, in_use(space, ioas));
	}
	EXPECT_EQ(variant->instances, mdev_available(variant->module, variant->type));
	close(space);
}

/* ---- mtty: serial ports, one in each BAR, that send to themselves ---- */

#define UART_DATA 0
#define UART_IER 1		/* which events are interrupts */
#define UART_FCR 2
#define UART_LSR 5		/* status */
#define UART_SCR 7
#define IER_DATA 0x01
#define LSR_DATA 0x01
#define LSR_OVERRUN 0x02
#define LSR_EMPTY 0x60

#define NONE VFIO_IRQ_SET_DATA_NONE
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define UNMASK VFIO_IRQ_SET_ACTION_UNMASK
#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI VFIO_PCI_MSI_IRQ_INDEX

FIXTURE(mtty) {
	struct opened d;
	int32_t event;
};

FIXTURE_SETUP(mtty)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret = mdev_sample_open("mtty", "mtty-2", &self->d);

	if (ret == -ENOENT)
		SKIP(return, "no module mtty");
	ASSERT_EQ(0, ret);
	/* It has interrupts from the first time it was asked on. */
	ASSERT_EQ(0, xioctl(self->d.fd, VFIO_DEVICE_GET_INFO, &info));
	self->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(self->event, 0);
}

FIXTURE_TEARDOWN_PARENT(mtty)
{
	EXPECT_EQ(0, mdev_sample_close("mtty"));
}

static void uart_write(int fd, int port, int reg, uint8_t value)
{
	if (!region_write(fd, port, reg, &value, 1))
		abort();
}

static int uart_read(int fd, int port, int reg)
{
	uint8_t value;

	return region_read(fd, port, reg, &value, 1) ? value : -1;
}

/* semantics: 122.  What a port is sent it has received. */
TEST_F(mtty, serial)
{
	int fd = self->d.fd;

	for (int port = 0; port < 2; port++) {
		EXPECT_EQ(LSR_EMPTY, uart_read(fd, port, UART_LSR));
		uart_write(fd, port, UART_SCR, 0x50 + port);
		uart_write(fd, port, UART_FCR, 1);
		for (int i = 0; i < 12; i++)
			uart_write(fd, port, UART_DATA, 'a' + 13 * port + i);
		EXPECT_EQ(LSR_DATA, uart_read(fd, port, UART_LSR));
	}
	for (int port = 0; port < 2; port++) {
		EXPECT_EQ(0x50 + port, uart_read(fd, port, UART_SCR));
		for (int i = 0; i < 12; i++)
			EXPECT_EQ('a' + 13 * port + i, uart_read(fd, port, UART_DATA));
		EXPECT_EQ(LSR_EMPTY, uart_read(fd, port, UART_LSR));
	}
	/* Without a FIFO there is room for one. */
	uart_write(fd, 0, UART_FCR, 0);
	uart_write(fd, 0, UART_DATA, 'x');
	uart_write(fd, 0, UART_DATA, 'y');
	EXPECT_EQ(LSR_DATA | LSR_OVERRUN, uart_read(fd, 0, UART_LSR));
	EXPECT_EQ('x', uart_read(fd, 0, UART_DATA));
	EXPECT_EQ(LSR_EMPTY, uart_read(fd, 1, UART_LSR));
}

static bool quiet(int event)
{
	return !wait_readable(event, 0);
}

/* Makes the port say that it has something. */
static void uart_interrupt(int fd)
{
	uart_write(fd, 0, UART_FCR, 7);
	uart_write(fd, 0, UART_IER, IER_DATA);
	uart_write(fd, 0, UART_DATA, 'i');
}

/* semantics: 49, 120.  Interrupts of a device that is nothing but software. */
TEST_F(mtty, interrupts)
{
	int fd = self->d.fd, other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct vfio_irq_info info;

	for (int index = 0; index < 5; index++)
		EXPECT_EQ(index <= MSI ? 0 : -EINVAL, cdev_irq_info(fd, index, &info));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 1, 1, &self->event));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, INTX, EVENTFD | NONE | TRIGGER, 0, 1, &self->event));
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, 5, EVENTFD | TRIGGER, 0, 1, &self->event));
	EXPECT_EQ(-ENOTTY, cdev_set_irqs(fd, 2, EVENTFD | TRIGGER, 0, 1, &self->event));

	/* Masked by itself, until it is unmasked. */
	ASSERT_EQ(0, cdev_set_irqs(fd, INTX, EVENTFD | TRIGGER, 0, 1, &self->event));
	uart_interrupt(fd);
	EXPECT_EQ(1, event_wait(self->event));
	uart_interrupt(fd);
	EXPECT_TRUE(quiet(self->event));
	EXPECT_EQ(0, cdev_set_irqs(fd, INTX, NONE | UNMASK, 0, 1, NULL));
	uart_interrupt(fd);
	EXPECT_EQ(1, event_wait(self->event));

	/* One kind at a time. */
	EXPECT_EQ(-EINVAL, cdev_set_irqs(fd, MSI, EVENTFD | TRIGGER, 0, 1, &other));
	EXPECT_EQ(0, cdev_set_irqs(fd, INTX, NONE | TRIGGER, 0, 0, NULL));
	EXPECT_EQ(0, cdev_set_irqs(fd, MSI, EVENTFD | TRIGGER, 0, 1, &other));
	for (int i = 0; i < 3; i++) {
		uart_interrupt(fd);
		EXPECT_EQ(1, event_wait(other));
	}
	EXPECT_EQ(0, cdev_set_irqs(fd, MSI, NONE | TRIGGER, 0, 1, NULL));
	EXPECT_EQ(1, event_wait(other));
	EXPECT_TRUE(quiet(self->event));

	/* The close takes the eventfd off the device. */
	open_path_close(&self->d);
	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &self->d));
	EXPECT_TRUE(quiet(other));
}

TEST_HARNESS_MAIN

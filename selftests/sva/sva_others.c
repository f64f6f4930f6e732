// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose wait is nobody else's: the end of a bond can wait for page requests of the device as long as
 * a page takes to come.  Here it waits for the lock of the device's group, which the SVA test module
 * holds.  And a hot reset whose argument does not come.
 */
#include <fcntl.h>

#include "lib/bound.h"
#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/sva_test.h"
#include "lib/svadev.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/uffd.h"

#define NO_SET "no two such devices of two groups on one bus"

FIXTURE(sva_others) {
	struct sva_pair sva;
};

FIXTURE_SETUP(sva_others)
{
	/* A kernel without SVA has no such module; the core in C has no processes, and resets. */
	const char *lacks = sva_pair_open(&self->sva);

	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_EQ(0, pci_to_vfio(&self->sva.a));
	ASSERT_EQ(0, pci_to_vfio(&self->sva.b));
}

FIXTURE_TEARDOWN(sva_others)
{
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

static int unset(void *arg)
{
	return group_unset(*(int *)arg);
}

static int unbind_driver(void *arg)
{
	return pci_unbind(arg);
}

/* All that somebody does with another device, in one task. */
static int use(void *arg)
{
	const struct pci *pci = arg;
	struct boxed box = BOXED_NONE;
	struct session s;
	char text[512];
	int ret = session_open(pci, &s);

	if (ret)
		return ret;
	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", s.fd);
	ret = sysfs_read(text, text, sizeof(text));
	session_close(&s);
	if (ret < 0)
		return ret;
	ret = boxed_open(pci, &box);
	boxed_close(&box);
	if (ret)
		return ret;
	/* Registration and its end go by the table of groups. */
	ret = pci_unbind(pci);
	return ret ? ret : pci_to_vfio(pci);
}

/* Does it end by itself, and well? */
static bool ends(struct worker *w)
{
	return worker_ends(w) && !worker_join(w);
}

/* A group that leaves its container, and then its driver, while the bond's end waits. */
TEST_F(sva_others, leaving_group)
{
	struct hold_op device = { self->sva.control, &self->sva.a };
	struct worker holder, leaver, remover, other;
	struct boxed box = BOXED_NONE;

	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->sva.a, &box));
	close_fd(&box.fd);
	ASSERT_EQ(0, process_bind(box.container, NULL));
	ASSERT_EQ(0, worker_start(&holder, sva_test_hold_op, &device));
	ASSERT_TRUE(worker_sleeps_in(&holder, "iommu_group_for_each_dev"));
	ASSERT_EQ(0, worker_start(&leaver, unset, &box.group));
	ASSERT_TRUE(worker_sleeps_in(&leaver, "iommu_detach_device_pasid"));
	/* The container's other calls do not wait, nor does who asks for the group's state. */
	EXPECT_LT(0, container_check(box.container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_flags(box.group));
	/* The removal of this very device does: its group must have left. */
	ASSERT_EQ(0, worker_start(&remover, unbind_driver, &self->sva.a));
	EXPECT_TRUE(worker_waits_for_users(&remover));
	ASSERT_EQ(0, worker_start(&other, use, &self->sva.b));
	EXPECT_TRUE(ends(&other));
	EXPECT_FALSE(worker_ended(&remover));
	EXPECT_EQ(0, sva_test_let_go(self->sva.control));
	EXPECT_EQ(0, worker_join(&holder));
	EXPECT_EQ(0, worker_join(&leaver));
	EXPECT_EQ(0, worker_join(&remover));
	boxed_close(&box);
	EXPECT_EQ(0, pci_to_vfio(&self->sva.a));
}

/* The last close of a container's device: while the bond's end waits, the device's set does not. */
TEST_F(sva_others, closing_device)
{
	struct worker holder, closer, other;
	struct boxed box = BOXED_NONE;
	struct hold_op device;
	struct pci a, b;

	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	if (pci_find_siblings(SVADEV, &a, &b) || a.group == b.group)
		SKIP(return, NO_SET);
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, boxed_open(&a, &box));
	ASSERT_EQ(0, process_bind(box.container, NULL));
	device = (struct hold_op){ self->sva.control, &a };
	ASSERT_EQ(0, worker_start(&holder, sva_test_hold_op, &device));
	ASSERT_TRUE(worker_sleeps_in(&holder, "iommu_group_for_each_dev"));
	ASSERT_EQ(0, worker_start(&closer, close_op, &box.fd));
	EXPECT_TRUE(worker_sleeps_in(&closer, "iommu_detach_device_pasid"));
	ASSERT_EQ(0, worker_start(&other, use, &b));
	EXPECT_TRUE(ends(&other));
	EXPECT_FALSE(worker_ended(&closer));
	EXPECT_EQ(0, sva_test_let_go(self->sva.control));
	EXPECT_EQ(0, worker_join(&holder));
	EXPECT_EQ(0, worker_join(&closer));
	box.fd = -1;
	EXPECT_EQ(1, pasid_entries(&a));
	EXPECT_EQ(0, process_unbind(box.container));
	boxed_close(&box);
}

static int reset_often(void *arg)
{
	int fd = *(int *)arg, ret;

	for (int i = 0; i < 20; i++) {
		ret = xioctl(fd, VFIO_DEVICE_RESET, NULL);
		/* The driver says so when somebody else has the device's lock. */
		if (ret && ret != -EAGAIN)
			return ret;
	}
	return 0;
}

/* On both cores: a group joins a container while a device of it is being reset. */
TEST_F(sva_others, joining_group)
{
	struct boxed box = BOXED_NONE;
	struct worker w;
	int group, rounds = 0;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->sva.a, &box));
	group = group_open(&self->sva.b);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, worker_start(&w, reset_often, &box.fd));
	while (!worker_ended(&w)) {
		ASSERT_EQ(0, group_set(group, box.container));
		ASSERT_EQ(0, group_unset(group));
		rounds++;
	}
	EXPECT_EQ(0, worker_join(&w));
	TH_LOG("%d rounds", rounds);
	close(group);
	boxed_close(&box);
}

struct call {
	int fd;
	void *arg;
};

static int hot_reset_with(void *arg)
{
	const struct call *c = arg;

	return xioctl(c->fd, VFIO_DEVICE_PCI_HOT_RESET, c->arg);
}

/* On both cores: a hot reset whose argument does not come holds nothing of anybody. */
TEST_F(sva_others, hot_reset_that_waits)
{
	struct vfio_pci_hot_reset bad = { .argsz = sizeof(bad), .flags = 1 };
	struct session s, recipient;
	struct pci a, b;
	struct stall stall;
	struct worker w;
	struct call call;
	char page[4096] = { 0 };

	if (pci_find_siblings(SVADEV, &a, &b) || a.group == b.group)
		SKIP(return, NO_SET);
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, session_open(&a, &s));
	if (core_is_rust())
		ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, stall_open(&stall));
	call = (struct call){ s.fd, stall.page };
	ASSERT_EQ(0, worker_start(&w, hot_reset_with, &call));
	ASSERT_EQ(0, stall_wait(&stall));
	/* The other one's user opens, binds, binds itself, closes. */
	ASSERT_EQ(0, session_open(&b, &recipient));
	if (core_is_rust()) {
		EXPECT_EQ(0, process_bind(recipient.fd, NULL));
		EXPECT_EQ(0, process_unbind(recipient.fd));
	}
	session_close(&recipient);
	memcpy(page, &bad, sizeof(bad));
	EXPECT_EQ(0, stall_release(&stall, page));
	EXPECT_EQ(-EINVAL, worker_join(&w));
	if (core_is_rust())
		EXPECT_EQ(0, process_unbind(s.fd));
	stall_close(&stall);
	session_close(&s);
}

/*
 * On both cores: to an emulated device's driver the number of a hot reset is any other's.  It does
 * not wait for the lock of the device's set, which is held over an attach that waits.
 */
TEST_F(sva_others, hot_reset_of_another_kind)
{
	struct vfio_pci_hot_reset args = { .argsz = sizeof(args) };
	static const char page[4096];
	struct worker mapper, attacher, w;
	struct attach_op attach_op;
	struct map_op map_op;
	int calls = calls_open();
	struct stall stall;
	struct session s;
	struct call call;
	int fd;

	if (calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_GE(calls, 0);
	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	if (core_is_rust())
		ASSERT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, calls_emulated(calls, 0, 0));
	fd = calls_cdev(0);
	ASSERT_EQ(0, cdev_bind(fd, s.iommufd, NULL));
	ASSERT_EQ(0, stall_open(&stall));
	map_op = (struct map_op){ s.iommufd, s.ioas, stall.page, stall.size, 0x100000 };
	ASSERT_EQ(0, worker_start(&mapper, ioas_map_op, &map_op));
	ASSERT_EQ(0, stall_wait(&stall));
	attach_op = (struct attach_op){ fd, s.ioas };
	ASSERT_EQ(0, worker_start(&attacher, cdev_attach_op, &attach_op));
	ASSERT_TRUE(worker_sleeps_in(&attacher, "iopt_add_access"));
	call = (struct call){ fd, &args };
	ASSERT_EQ(0, worker_start(&w, hot_reset_with, &call));
	EXPECT_TRUE(worker_ends(&w));
	EXPECT_FALSE(worker_ended(&attacher));
	EXPECT_EQ(0, stall_release(&stall, page));
	EXPECT_EQ(0, worker_join(&mapper));
	EXPECT_EQ(0, worker_join(&attacher));
	EXPECT_EQ(-ENOTTY, worker_join(&w));
	close(fd);
	session_close(&s);
	stall_close(&stall);
	EXPECT_EQ(0, calls_close(calls));
}

/*
 * semantics: 120.  On both cores: neither does a physical device's driver have to know the number,
 * nor the argument to be one.  The second driver has no ioctl at all.  On ours no bond ends but by
 * an argument with which a driver would reset the device.
 */
TEST_F(sva_others, hot_reset_of_another_driver)
{
	static const struct {
		const char *name, *module;
		int result;
	} drivers[] = {
		{ CALLS_DRIVER, "vfio_calls", -ENOTTY },
		{ "vfio-bare", "vfio_bare", -EINVAL },
	};
	struct vfio_pci_hot_reset good = { .argsz = sizeof(good) };
	struct vfio_pci_hot_reset flags = { .argsz = sizeof(flags), .flags = 1 };
	struct vfio_pci_hot_reset small = { .argsz = sizeof(small) - 1 };
	void *const arguments[] = { NULL, &flags, &small, &good };
	const struct pci *pci = &self->sva.a;
	int calls = calls_open();

	if (calls == -ENOENT || module_load("vfio_bare"))
		SKIP(return, NO_CALLS);
	ASSERT_GE(calls, 0);
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		int fd, iommufd = iommufd_open();

		ASSERT_EQ(0, pci_to_driver(pci, drivers[i].name));
		if (!i)
			ASSERT_EQ(0, calls_physical(calls, 0, CALLS_PCI));
		fd = cdev_open(pci);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, cdev_bind(fd, iommufd, NULL));
		for (size_t k = 0; k < ARRAY_SIZE(arguments); k++) {
			if (core_is_rust() && !pasid_entries(pci))
				ASSERT_EQ(0, process_bind(fd, NULL));
			EXPECT_EQ(drivers[i].result,
				  xioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, arguments[k])) {
				TH_LOG("%s, argument %zu", drivers[i].name, k);
			}
			if (core_is_rust() && arguments[k] != &good)
				EXPECT_EQ(1, pasid_entries(pci));
		}
		EXPECT_EQ(0, pasid_entries(pci));
		close(fd);
		close(iommufd);
		ASSERT_EQ(0, pci_to_vfio(pci));
	}
	EXPECT_EQ(0, module_unload("vfio_bare"));
	EXPECT_EQ(0, calls_close(calls));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out in calls that reach the core through somebody else: a hot reset, KVM, a reader
 * of debugfs, the sysfs file that makes a mediated device.  The call says so, what there was
 * before is still there, and the call can be made again.
 *
 * fail-nth concerns the calling task.  What a hot plug does is done by a thread of the kernel:
 * fail_nth tests the part of the core, the driver's probe, by sysfs.
 */
#include <linux/pci_regs.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/hot_reset.h"
#include "lib/introspect.h"
#include "lib/kmsg.h"
#include "lib/kvm.h"
#include "lib/mdev.h"
#include "lib/test.h"

static int op_hot_reset(void *fd)
{
	return hot_reset_owned(*(int *)fd);
}

/* semantics: 205.  A reset that there is no memory for has not happened, or is whole. */
TEST(bus_reset)
{
	struct sweep sweep = { .fault = fault_open() };
	struct session s;
	struct pci pci;

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	if (pci_find_at(EDU, true, &pci))
		SKIP(return, "no edu behind a port");
	ASSERT_EQ(0, session_open(&pci, &s));
	do {
		uint16_t command = 0;
		int ret;

		ASSERT_EQ(0, cdev_enable_dma(s.fd));
		ret = sweep_call(&sweep, op_hot_reset, &s.fd);
		EXPECT_TRUE(sweep_fine(&sweep, ret));
		EXPECT_EQ(0, device_info(s.fd));
		ASSERT_EQ(2, config_read(s.fd, PCI_COMMAND, &command, 2));
	} while (sweep.hit);
	EXPECT_EQ(0, hot_reset_owned(s.fd));
	session_close(&s);
	close(sweep.fault);
	EXPECT_EQ(0, pci_unbind(&pci));
	EXPECT_EQ(0, pci_to_vfio(&pci));
}

struct op_machine {
	const struct machine *vm;
	int fd;
};

static int op_add(void *arg)
{
	struct op_machine *op = arg;

	return machine_add(op->vm, op->fd);
}

static int op_del(void *arg)
{
	struct op_machine *op = arg;

	return machine_del(op->vm, op->fd);
}

/* semantics: 169, 171.  KVM takes a file and gives it back, or has never had it. */
TEST(kvm_file)
{
	struct sweep sweep = { .fault = fault_open() };
	struct op_machine op;
	struct observer o;
	int ret;

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	ret = observer_open(&o, 0);
	if (ret == -ENOENT)
		SKIP(return, NO_OBSERVER);
	ASSERT_EQ(0, ret);
	op = (struct op_machine){ &o.vm, testdrv_cdev(0) };
	ASSERT_GE(op.fd, 0);
	do {
		ret = sweep_call(&sweep, op_add, &op);
		EXPECT_TRUE(sweep_fine(&sweep, ret));
		EXPECT_EQ(ret ? -ENOENT : 0, op_del(&op));
	} while (sweep.hit);
	EXPECT_GT(sweep.failures, 0);
	sweep_again(&sweep);
	do {
		ASSERT_EQ(0, op_add(&op));
		/* Nothing is left to fail in it. */
		EXPECT_EQ(0, sweep_call(&sweep, op_del, &op));
	} while (sweep.hit);
	EXPECT_EQ(0, observer_references(&o));
	close(sweep.fault);
	close(op.fd);
	EXPECT_EQ(0, observer_close(&o));
}

struct op_read {
	char path[160], text[4096];
};

static int op_read(void *arg)
{
	struct op_read *op = arg;

	return sysfs_read(op->path, op->text, sizeof(op->text));
}

/* What a file of debugfs says is whole, or is not there. */
static void read_whole(struct __test_metadata *_metadata, struct sweep *sweep, struct op_read *op)
{
	char whole[sizeof(op->text)];

	ASSERT_LT(0, op_read(op));
	memcpy(whole, op->text, sizeof(whole));
	do {
		int ret = sweep_call(sweep, op_read, op);

		EXPECT_TRUE(sweep_fine(sweep, ret));
		if (ret >= 0)
			EXPECT_STREQ(whole, op->text);
	} while (sweep->hit);
	EXPECT_GT(sweep->failures, 0);
	sweep_again(sweep);
}

/* semantics: 65.  Who reads the files of debugfs: holders, of our core; the state of a migration. */
TEST(debugfs)
{
	struct sweep sweep = { .fault = fault_open() };
	struct opened o;
	struct op_read op;
	int ret;

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	if (!has_debugfs())
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	ret = mdev_sample_open("mtty", "mtty-2", &o);
	if (ret == -ENOENT)
		SKIP(return, "no mtty");
	ASSERT_EQ(0, ret);
	snprintf(op.path, sizeof(op.path), VFIO_DEBUGFS "/%s/migration/state", mdev_uuids[0]);
	read_whole(_metadata, &sweep, &op);
	if (core_is_rust()) {
		snprintf(op.path, sizeof(op.path), VFIO_DEBUGFS "/%s/holders", mdev_uuids[0]);
		read_whole(_metadata, &sweep, &op);
	}
	close(sweep.fault);
	open_path_close(&o);
	EXPECT_EQ(0, mdev_sample_close("mtty"));
}

static int op_create(void *arg)
{
	return mdev_create("mtty", "mtty-2", arg);
}

/* semantics: 73, 75, 77; defects: B4, B5.  The device that there was no memory for is not there, and can be made. */
TEST(mediated_device)
{
	struct sweep sweep = { .fault = fault_open() };
	const char *uuid = mdev_uuids[0];
	int ret, available;

	if (sweep.fault < 0)
		SKIP(return, NO_FAULTS);
	ret = mdev_sample_load("mtty");
	if (ret == -ENOENT)
		SKIP(return, "no mtty");
	ASSERT_EQ(0, ret);
	available = mdev_available("mtty", "mtty-2");
	ASSERT_GT(available, 0);
	/* As in fail_nth.probe, the core in C warns of its own group. */
	kmsg_expect_warning(true, "c");
	do {
		ret = sweep_call(&sweep, op_create, (void *)uuid);
		EXPECT_TRUE(sweep_fine(&sweep, ret));
		EXPECT_EQ(!ret, mdev_exists(uuid));
		if (!ret)
			ASSERT_EQ(0, mdev_remove(uuid));
		EXPECT_EQ(available, mdev_available("mtty", "mtty-2"));
	} while (sweep.hit);
	kmsg_expect_warning(false, "c");
	EXPECT_GT(sweep.failures, 20);
	close(sweep.fault);
	EXPECT_EQ(0, mdev_sample_unload("mtty"));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/* What debugfs shows of a device: its folder, and of one that migrates how it does. */
#include <fcntl.h>

#include "lib/cdev.h"
#include "lib/iommufd.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"
#include "lib/uffd.h"

#define ROOT "/sys/kernel/debug/vfio"
#define DEVICE ROOT "/vfio-testdrv.0"
#define STATE DEVICE "/migration/state"
#define FEATURES DEVICE "/migration/features"
#define ALL_FLAGS (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

typedef FIXTURE_DATA(debugfs_migration) debugfs_migration_t;

FIXTURE(debugfs_migration) {
	int drv;
	struct testdrv_calls calls;
};

FIXTURE_SETUP(debugfs_migration)
{
	/* First: what is skipped leaves no driver behind. */
	if (access(ROOT, F_OK))
		SKIP(return, "a kernel without VFIO_DEBUGFS");
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
}

FIXTURE_TEARDOWN(debugfs_migration)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
}

/* semantics: 179, 180.  One folder a device, as long as it is there. */
TEST_F(debugfs_migration, folder)
{
	char name[64];

	EXPECT_NE(0, access(DEVICE, F_OK));
	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
	EXPECT_EQ(0, access(DEVICE, F_OK));
	EXPECT_NE(0, access(DEVICE "/migration", F_OK));
	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_LOG, 0, 0));
	EXPECT_EQ(0, access(ROOT "/vfio-testdrv.1", F_OK));
	EXPECT_NE(0, access(ROOT "/vfio-testdrv.1/migration", F_OK));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_REREGISTER, 0, 0, 0, 0));
	EXPECT_EQ(0, access(DEVICE, F_OK));
	testdrv_destroy(self->drv, 0);
	EXPECT_NE(0, access(DEVICE, F_OK));
	EXPECT_EQ(0, access(ROOT "/vfio-testdrv.1", F_OK));

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	ASSERT_EQ(0, sysfs_entry(DEVICE "/migration", 0, name, sizeof(name)));
	EXPECT_STREQ("features", name);
	ASSERT_EQ(0, sysfs_entry(DEVICE "/migration", 1, name, sizeof(name)));
	EXPECT_STREQ("state", name);
	EXPECT_NE(0, sysfs_entry(DEVICE "/migration", 2, name, sizeof(name)));
}

/* semantics: 180 */
TEST_F(debugfs_migration, features)
{
	static const char *const lines[] = { "stop-copy\n", "p2p\n", "pre-copy\n" };
	char text[128], want[128];

	for (int flags = 0; flags < 16; flags++) {
		bool log = flags & 8;

		ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG |
					    (log ? TESTDRV_WITH_LOG : 0), flags & 7, 0));
		want[0] = '\0';
		for (int i = 0; i < 3; i++)
			if (flags & 1 << i)
				strcat(want, lines[i]);
		if (log)
			strcat(want, "dirty-tracking\n");
		/* sysfs_read() cuts the last newline */
		if (want[0])
			want[strlen(want) - 1] = '\0';
		text[0] = '\0';
		ASSERT_GE(sysfs_read(FEATURES, text, sizeof(text)), 0);
		EXPECT_STREQ(want, text);
		EXPECT_GT(0, sysfs_write(FEATURES, "p2p"));
		testdrv_destroy(self->drv, 0);
	}
}

/* semantics: 180; defect: B22.  The state of all states.  The driver is called without the set's lock. */
TEST_F(debugfs_migration, state)
{
	static const char *const names[] = {
		[VFIO_DEVICE_STATE_ERROR] = "ERROR",
		[VFIO_DEVICE_STATE_STOP] = "STOP",
		[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
		[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
		[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
		[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
		[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
		"Invalid", "Invalid",
	};
	char text[128];

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	testdrv_calls(self->drv, &self->calls);
	for (int state = 0; state < 10; state++) {
		testdrv_cmd(self->drv, TESTDRV_MIG, 0, 0, state, 0);
		ASSERT_GT(sysfs_read(STATE, text, sizeof(text)), 0);
		EXPECT_STREQ(names[state], text);
	}
	testdrv_cmd(self->drv, TESTDRV_MIG, 0, 0, 0xffffffff, 0);
	ASSERT_GT(sysfs_read(STATE, text, sizeof(text)), 0);
	EXPECT_STREQ("Invalid", text);
	ASSERT_EQ(11, testdrv_calls(self->drv, &self->calls));
	for (int i = 0; i < 11; i++)
		EXPECT_EQ(0, self->calls.call[i].locked);
	testdrv_fail(self->drv, 0, TESTDRV_GET_STATE, EUCLEAN);
	EXPECT_EQ(BY_CORE(-EINVAL, -EUCLEAN), sysfs_read(STATE, text, sizeof(text)));
	EXPECT_EQ(BY_CORE(-EINVAL, -EUCLEAN), sysfs_read(STATE, text, sizeof(text)));
}

/* Makes a device with migration, and binds it to the iommufd of @s; @op attaches it there. */
static void bind_device(struct __test_metadata *_metadata, debugfs_migration_t *self,
			struct session *s, struct attach_op *op)
{
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	*op = (struct attach_op){ testdrv_cdev(0), s->ioas };
	ASSERT_EQ(0, cdev_bind(op->fd, s->iommufd, NULL));
}

/*
 * semantics: 180; defect: B22.  A reader does not wait for the set's lock, which is held over an attach that
 * waits for user memory.
 */
TEST_F(debugfs_migration, state_while_attached)
{
	static const char page[4096];
	struct worker mapper, attacher;
	struct attach_op attach_op;
	struct map_op map_op;
	struct stall stall;
	struct session s;
	struct pci pci;
	char text[128];

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find(EDU, 0, &pci))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, session_open(&pci, &s));
	bind_device(_metadata, self, &s, &attach_op);
	ASSERT_EQ(0, stall_open(&stall));
	map_op = (struct map_op){ s.iommufd, s.ioas, stall.page, stall.size, 0x100000 };
	ASSERT_EQ(0, worker_start(&mapper, ioas_map_op, &map_op));
	ASSERT_EQ(0, stall_wait(&stall));
	ASSERT_EQ(0, worker_start(&attacher, cdev_attach_op, &attach_op));
	ASSERT_TRUE(worker_sleeps_in(&attacher, "iopt_add_access"));
	EXPECT_GT(sysfs_read(STATE, text, sizeof(text)), 0);
	EXPECT_GT(sysfs_read(FEATURES, text, sizeof(text)), 0);
	EXPECT_FALSE(worker_ended(&attacher));
	EXPECT_EQ(0, stall_release(&stall, page));
	EXPECT_EQ(0, worker_join(&mapper));
	EXPECT_EQ(0, worker_join(&attacher));
	EXPECT_GT(sysfs_read(STATE, text, sizeof(text)), 0);
	close(attach_op.fd);
	session_close(&s);
	stall_close(&stall);
}

static int read_state(void *arg)
{
	char text[64];
	int ret = sysfs_read(STATE, text, sizeof(text));

	return ret < 0 ? ret : 0;
}

/*
 * semantics: 180; defect: B22.  A driver that waits while it tells the state, as for a lock that it holds over
 * user memory, keeps no call on the device waiting, nor another reader.
 */
TEST_F(debugfs_migration, state_that_waits)
{
	struct worker readers[2], attacher, closer, binder;
	struct attach_op attach_op;
	struct bind_op bind_op;
	struct session s;
	struct pci pci;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find(EDU, 0, &pci))
		SKIP(return, "no edu device");
	ASSERT_EQ(0, session_open(&pci, &s));
	bind_device(_metadata, self, &s, &attach_op);
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, TESTDRV_HOLD_STATE, 0));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, worker_start(&readers[i], read_state, NULL));
		ASSERT_TRUE(worker_sleeps_in(&readers[i], "td_get_state"));
	}
	ASSERT_EQ(0, worker_start(&attacher, cdev_attach_op, &attach_op));
	EXPECT_TRUE(worker_ends(&attacher));
	ASSERT_EQ(0, worker_start(&closer, close_op, &attach_op.fd));
	EXPECT_TRUE(worker_ends(&closer));
	bind_op = (struct bind_op){ testdrv_cdev(0), s.iommufd };
	ASSERT_GE(bind_op.fd, 0);
	ASSERT_EQ(0, worker_start(&binder, cdev_bind_op, &bind_op));
	EXPECT_TRUE(worker_ends(&binder));
	EXPECT_FALSE(worker_ended(&readers[0]));
	EXPECT_FALSE(worker_ended(&readers[1]));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, 0, 0));
	EXPECT_EQ(0, worker_join(&readers[0]));
	EXPECT_EQ(0, worker_join(&readers[1]));
	EXPECT_EQ(0, worker_join(&attacher));
	EXPECT_EQ(0, worker_join(&closer));
	EXPECT_EQ(0, worker_join(&binder));
	close(bind_op.fd);
	session_close(&s);
}

/*
 * semantics: 180; defect: B22.  While the driver opens or closes the device, a read returns EBUSY and does not
 * call the driver; C calls it.
 */
TEST_F(debugfs_migration, state_during_open)
{
	struct worker opener;
	struct bind_op op;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	op = (struct bind_op){ testdrv_cdev(0), open("/dev/iommu", O_RDWR | O_CLOEXEC) };
	ASSERT_GE(op.fd, 0);
	ASSERT_GE(op.iommufd, 0);
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, TESTDRV_HOLD_OPEN, 0));
	ASSERT_EQ(0, worker_start(&opener, cdev_bind_op, &op));
	ASSERT_TRUE(worker_sleeps_in(&opener, "td_open"));
	EXPECT_EQ(BY_CORE(0, -EBUSY), read_state(NULL));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, 0, 0));
	EXPECT_EQ(0, worker_join(&opener));
	EXPECT_EQ(0, read_state(NULL));
	close(op.fd);
	close(op.iommufd);
}

/* semantics: 179, 180.  A file that is open when the device goes is empty then. */
TEST_F(debugfs_migration, gone)
{
	int fd, features;
	char text[64];

	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	fd = open(STATE, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	features = open(FEATURES, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(features, 0);
	EXPECT_EQ(0, testdrv_destroy(self->drv, 0));
	EXPECT_EQ(-1, read(fd, text, sizeof(text)));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, read(features, text, sizeof(text)));
	EXPECT_EQ(EIO, errno);
	close(fd);
	close(features);
}

static int destroy(void *arg)
{
	return testdrv_destroy(*(int *)arg, 0);
}

/*
 * semantics: 86, 179.  The same on both cores: the text is copied to the reader without the lock of the set,
 * but during the read, for which the removal of the file waits.
 */
TEST_F(debugfs_migration, slow_reader)
{
	static const char page[4096];
	struct worker reader, remover;
	struct stalled_read call;
	struct stall stall;
	int iommufd, fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	iommufd = iommufd_open();
	ASSERT_GE(iommufd, 0);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, TESTDRV_WITH_MIG, ALL_FLAGS, 0));
	ASSERT_EQ(0, stall_open(&stall));
	call = (struct stalled_read){ open(STATE, O_RDONLY | O_CLOEXEC), &stall };
	ASSERT_GE(call.fd, 0);
	ASSERT_EQ(0, worker_start(&reader, stalled_read, &call));
	ASSERT_EQ(0, stall_wait(&stall));
	fd = testdrv_open_bound(0, iommufd);
	EXPECT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(0, worker_start(&remover, destroy, &self->drv));
	EXPECT_TRUE(worker_sleeps_in(&remover, "debugfs_remove"));
	EXPECT_FALSE(worker_ended(&reader));
	ASSERT_EQ(0, stall_release(&stall, page));
	EXPECT_EQ(strlen("RUNNING\n"), worker_join(&reader));
	EXPECT_STREQ("RUNNING\n", stall.page);
	EXPECT_EQ(0, worker_join(&remover));
	close(call.fd);
	close(iommufd);
	stall_close(&stall);
}

TEST_HARNESS_MAIN

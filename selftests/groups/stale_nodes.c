// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nodes that are kept by hand (mknod), of devices and of groups, at every step of a removal: where
 * they lead, or the errno.  A node that has been opened before is another matter than one that has
 * not: while files of it are open, the VFS knows the object that it has led to.
 *
 * The driver is drivers/vfio_calls_main.c, which takes a removal apart.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/sysfs.h"
#include "lib/task.h"
#include "lib/test.h"

#define USED "/tmp/stale-used"
#define FRESH "/tmp/stale-fresh"

/* How many numbers of devices that are gone are kept for open files. */
#define KEPT_NUMBERS 1024

FIXTURE(stale_nodes) {
	int calls, space, log;
};

FIXTURE_SETUP(stale_nodes)
{
	int ret = calls_open_all(&self->calls, &self->space, &self->log);

	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(stale_nodes)
{
	unlink(USED);
	unlink(FRESH);
	EXPECT_EQ(0, calls_close(self->calls));
}

/* 0, or -errno; the file is closed again. */
static int opens(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* A new node of that number. */
static int make(const char *node, dev_t number)
{
	unlink(node);
	return mknod(node, S_IFCHR | 0600, number) ? -errno : 0;
}

/* The same of one that nobody has opened yet. */
static int opens_fresh(dev_t number)
{
	int ret = make(FRESH, number);

	return ret ? ret : opens(FRESH);
}

/* What the next lines say of both nodes, in one. */
#define EXPECT_NODES(used, fresh) do { \
	EXPECT_EQ(used, opens(USED)); \
	EXPECT_EQ(fresh, opens_fresh(number)); \
} while (0)

static int unregister_first(void *arg)
{
	return calls_one(*(int *)arg, CALLS_UNREGISTER, 0, 0);
}

static dev_t number_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_rdev;
}

/* The number of the first device, registered, and a node of it that has been opened. */
static dev_t begin(int calls, int *fd)
{
	dev_t number;

	if (calls_emulated(calls, 0, 0))
		return 0;
	*fd = calls_cdev(0);
	if (*fd < 0)
		return 0;
	number = number_of(*fd);
	return make(USED, number) || opens(USED) ? 0 : number;
}

/* semantics: 86, 98, 200.  Nobody has the device open. */
TEST_F(stale_nodes, device)
{
	dev_t number;
	int fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	number = begin(self->calls, &fd);
	ASSERT_NE(0, number);
	EXPECT_NODES(0, 0);
	close(fd);
	EXPECT_NODES(0, 0);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	EXPECT_NODES(-ENXIO, -ENXIO);
	/* The same object once more. */
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	EXPECT_NODES(0, 0);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	ASSERT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	EXPECT_NODES(-ENXIO, -ENXIO);
	/* Another object of that number. */
	ASSERT_EQ(0, calls_emulated(self->calls, 1, 0));
	EXPECT_NODES(0, 0);
}

/* semantics: 86, 98, 200; D10.  The removal waits for a file. */
TEST_F(stale_nodes, device_in_use)
{
	struct worker removal;
	dev_t number;
	int fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	number = begin(self->calls, &fd);
	ASSERT_NE(0, number);
	ASSERT_EQ(0, cdev_bind(fd, self->space, NULL));
	EXPECT_NODES(0, 0);
	ASSERT_EQ(0, worker_start(&removal, unregister_first, &self->calls));
	ASSERT_TRUE(worker_waits_for_users(&removal));
	EXPECT_NODES(BY_CORE(0, -ENODEV), -ENXIO);
	EXPECT_FALSE(worker_ended(&removal));
	close(fd);
	EXPECT_EQ(0, worker_join(&removal));
	EXPECT_NODES(-ENXIO, -ENXIO);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	EXPECT_NODES(-ENXIO, -ENXIO);
}

/*
 * semantics: 98; D8.  A file that does not keep the device keeps its number: its own node leads
 * nowhere else, and the next device has another.
 */
TEST_F(stale_nodes, revoked_file)
{
	char path[64];
	dev_t number;
	int fd, next;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (!core_is_rust())
		SKIP(return, "the core in C waits for the file");
	number = begin(self->calls, &fd);
	ASSERT_NE(0, number);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	close(fd);
	/* Of the node that is kept: devtmpfs removes its own. */
	fd = open(USED, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	EXPECT_NODES(-ENODEV, -ENXIO);
	EXPECT_EQ(-ENODEV, opens(path));
	/* The same object once more: its node leads to it, the file does not. */
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	EXPECT_NODES(0, 0);
	EXPECT_EQ(-ENODEV, cdev_bind(fd, self->space, NULL));
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	ASSERT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	EXPECT_NODES(-ENODEV, -ENXIO);
	EXPECT_EQ(-ENODEV, opens(path));

	ASSERT_EQ(0, calls_emulated(self->calls, 1, 0));
	next = calls_cdev(0);
	ASSERT_GE(next, 0);
	EXPECT_NE(number, number_of(next));
	close(next);
	EXPECT_NODES(-ENODEV, -ENXIO);
	EXPECT_EQ(-ENODEV, opens(path));
	close(fd);
	EXPECT_NODES(-ENXIO, -ENXIO);

	/* Then the number is free. */
	ASSERT_EQ(0, calls_emulated(self->calls, 2, 1));
	EXPECT_NODES(0, 0);
}

/* D8.  No more numbers are kept than a limit, and a file that has none still leads nowhere. */
TEST_F(stale_nodes, kept_numbers)
{
	static int fds[KEPT_NUMBERS + 1];
	struct rlimit files = { KEPT_NUMBERS + 64, KEPT_NUMBERS + 64 };
	dev_t first, number;
	char path[64];

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (!core_is_rust())
		SKIP(return, "the core in C waits for the files");
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	for (int i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
		fds[i] = calls_cdev(0);
		ASSERT_GE(fds[i], 0) TH_LOG("device %d", i);
		ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
		ASSERT_EQ(0, calls_one(self->calls, CALLS_PUT, 0, 0));
	}
	first = number_of(fds[0]);
	/* Each has another number, the lowest that was free: other devices can have some in between. */
	for (int i = 1; i < ARRAY_SIZE(fds); i++)
		ASSERT_LT(minor(number_of(fds[i - 1])), minor(number_of(fds[i])));
	/* The last number was one too many: it is given out again. */
	number = number_of(fds[KEPT_NUMBERS]);
	ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
	EXPECT_EQ(0, opens_fresh(number));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[KEPT_NUMBERS]);
	EXPECT_NE(0, opens(path));
	EXPECT_EQ(-ENODEV, cdev_bind(fds[KEPT_NUMBERS], self->space, NULL));
	/* Room for one more, which is the lowest number then. */
	close(fds[0]);
	ASSERT_EQ(0, calls_emulated(self->calls, 1, 1));
	EXPECT_EQ(0, opens_fresh(first));
	for (int i = 1; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* semantics: 91.  A group whose last device leaves while its file is open, and while it is not. */
TEST_F(stale_nodes, group)
{
	char node[64];
	dev_t number;
	int fd;

	ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
	if (calls_group(0) < 0 || access("/sys/class/vfio", F_OK))
		SKIP(return, "no groups");
	snprintf(node, sizeof(node), "/dev/vfio/%d", calls_group(0));
	fd = open(node, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	number = number_of(fd);
	ASSERT_EQ(0, make(USED, number));
	EXPECT_NODES(-EBUSY, -EBUSY);
	close(fd);
	EXPECT_NODES(0, 0);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	EXPECT_NODES(-ENXIO, -ENXIO);

	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	fd = open(USED, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_NODES(-EBUSY, -EBUSY);
	ASSERT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
	EXPECT_NODES(-ENODEV, -ENXIO);
	/* The number is taken: the next group has another. */
	ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	EXPECT_NODES(-ENODEV, -ENXIO);
	close(fd);
	EXPECT_NODES(-ENXIO, -ENXIO);
}

TEST_HARNESS_MAIN

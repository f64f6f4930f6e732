// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration: the states of a device, the arcs from one to another, the features by
 * which user space asks for them, and a device (mtty) that is really saved and resumed.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "lib/cdev.h"
#include "lib/feature.h"
#include "lib/kmsg.h"
#include "lib/mdev.h"
#include "lib/space.h"
#include "lib/sysfs.h"
#include "lib/test.h"
#include "lib/testdrv.h"

#define ERROR VFIO_DEVICE_STATE_ERROR
#define STOP VFIO_DEVICE_STATE_STOP
#define RUNNING VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P VFIO_DEVICE_STATE_PRE_COPY_P2P
#define STATES VFIO_DEVICE_STATE_NR

#define ALL_FLAGS (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)

/* ---- the state machine, from the words of linux/vfio.h ---- */

/* The arcs of which the header says what a driver does. */
static const uint8_t arcs[][2] = {
	{ RUNNING_P2P, STOP }, { STOP_COPY, STOP }, { RESUMING, STOP },
	{ PRE_COPY, RUNNING }, { RUNNING_P2P, RUNNING },
	{ PRE_COPY_P2P, RUNNING_P2P }, { RUNNING, RUNNING_P2P }, { STOP, RUNNING_P2P },
	{ RUNNING, PRE_COPY }, { RUNNING_P2P, PRE_COPY_P2P }, { STOP, STOP_COPY },
	{ PRE_COPY, PRE_COPY_P2P }, { PRE_COPY_P2P, PRE_COPY },
	{ PRE_COPY_P2P, STOP_COPY }, { STOP, RESUMING },
};

/* What the header calls the saving group. */
static bool saving(int state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P || state == STOP_COPY;
}

static bool has_state(uint32_t flags, int state)
{
	const uint32_t stop_copy = VFIO_MIGRATION_STOP_COPY;
	const uint32_t p2p = VFIO_MIGRATION_P2P, pre_copy = VFIO_MIGRATION_PRE_COPY;
	uint32_t needs = stop_copy;

	if (state == ERROR || state >= STATES)
		return false;
	if (state == RUNNING_P2P)
		needs |= p2p;
	if (state == PRE_COPY)
		needs |= pre_copy;
	if (state == PRE_COPY_P2P)
		needs |= p2p | pre_copy;
	return (flags & needs) == needs;
}

/* Number of arcs of the shortest path that the rules allow, or 100. */
static int distance(int from, int to, int start, int depth)
{
	int best = 100;

	if (from == to)
		return 0;
	if (depth == 8)
		return best;
	/* The states of saving are where a path begins or ends, not what it leads through. */
	if (from != start && saving(from) && !(saving(start) && saving(to)))
		return best;
	for (size_t i = 0; i < sizeof(arcs) / sizeof(*arcs); i++) {
		int d;

		if (arcs[i][0] != from)
			continue;
		d = distance(arcs[i][1], to, start, depth + 1) + 1;
		if (d < best)
			best = d;
	}
	return best;
}

/* The first state of that path which the device has; ERROR if there is none. */
static int expected_next(uint32_t flags, int from, int to)
{
	int at = from;

	/* Of these the header says that they are refused. */
	if (from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P))
		return ERROR;
	while (at != to) {
		int next = ERROR, best = 100;

		for (size_t i = 0; i < sizeof(arcs) / sizeof(*arcs); i++) {
			int d, via = arcs[i][1];

			if (arcs[i][0] != at)
				continue;
			if (via != to && saving(via) && !(saving(from) && saving(to)))
				continue;
			d = distance(via, to, from, 0);
			if (d < best) {
				best = d;
				next = via;
			}
		}
		at = next;
		if (at == ERROR || has_state(flags, at))
			return at;
	}
	return at;
}

FIXTURE(mig_states) {
	struct testdrv t;
};

FIXTURE_SETUP(mig_states)
{
	int ret = testdrv_open_device(&self->t, TESTDRV_WITH_MIG, ALL_FLAGS);

	if (self->t.drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(mig_states)
{
	EXPECT_EQ(0, testdrv_close(self->t.drv));
}

static int next_state(int drv, uint32_t flags, int from, int to, int *next)
{
	struct testdrv_args args = { .flags = flags, .a = from, .b = to };
	int ret = testdrv_do(drv, TESTDRV_NEXT_STATE, &args);

	*next = args.c;
	return ret;
}

/* semantics: 41, 136.  All pairs of states, with all flags. */
TEST_F(mig_states, every_step)
{
	int next;

	for (uint32_t flags = 0; flags <= ALL_FLAGS; flags++) {
		for (int from = 0; from < STATES; from++) {
			if (!has_state(flags, from))
				continue;
			for (int to = 0; to <= STATES; to++) {
				bool has = has_state(flags, to);
				int want = has ? expected_next(flags, from, to) : ERROR;
				int ret = next_state(self->t.drv, flags, from, to, &next);

				if (want == ERROR) {
					EXPECT_EQ(-EINVAL, ret)
						TH_LOG("%d to %d with %u", from, to, flags);
					/* What the driver sees then: nothing, or that. */
					EXPECT_EQ(has ? ERROR : STATES, next)
						TH_LOG("%d to %d with %u", from, to, flags);
				} else {
					EXPECT_EQ(0, ret)
						TH_LOG("%d to %d with %u", from, to, flags);
					EXPECT_EQ(want, next)
						TH_LOG("%d to %d with %u", from, to, flags);
				}
			}
		}
	}
}

/* semantics: 41.  Whoever takes step after step arrives. */
TEST_F(mig_states, every_way)
{
	for (uint32_t flags = 0; flags <= ALL_FLAGS; flags++) {
		for (int from = 0; from < STATES; from++) {
			for (int to = 0; to < STATES; to++) {
				int at = from, n;

				if (!has_state(flags, from) || !has_state(flags, to) ||
				    (from == STOP_COPY && saving(to) && to != STOP_COPY))
					continue;
				for (n = 0; at != to && n < STATES; n++)
					ASSERT_EQ(0, next_state(self->t.drv, flags, at, to, &at));
				EXPECT_EQ(to, at);
			}
		}
	}
}

/* semantics: 41.  A driver that does not know where it is has a bug, and is told. */
TEST_F(mig_states, bad_state)
{
	int next, log = kmsg_open();

	ASSERT_GE(log, 0);
	kmsg_expect_warning(true, NULL);
	for (uint32_t flags = 0; flags <= ALL_FLAGS; flags++) {
		for (int from = 0; from <= STATES; from++) {
			if (has_state(flags, from))
				continue;
			EXPECT_EQ(-EINVAL, next_state(self->t.drv, flags, from, STOP, &next));
			EXPECT_TRUE(kmsg_warned(log));
		}
	}
	EXPECT_EQ(-EINVAL, next_state(self->t.drv, ALL_FLAGS, -1, STOP, &next));
	EXPECT_TRUE(kmsg_warned(log));
	kmsg_expect_warning(false, NULL);
	close(log);
}

/* ---- the features ---- */

struct feature_arg {
	struct vfio_device_feature head;
	union {
		struct vfio_device_feature_mig_state state;
		uint64_t value;
	};
};

/* The argument in a page that can be read and not written. */
static struct feature_arg *constant_arg(uint32_t flags, uint32_t state)
{
	struct feature_arg *arg = pages_alloc(4096);

	arg->head.argsz = sizeof(*arg);
	arg->head.flags = flags;
	arg->state.device_state = state;
	if (mprotect(arg, 4096, PROT_READ))
		abort();
	return arg;
}

/* The first @size bytes of the argument, and then nothing. */
static struct feature_arg *short_arg(uint32_t flags, size_t size)
{
	struct feature_arg arg = { .head = { .argsz = sizeof(arg), .flags = flags } };
	void *p = edge_alloc(size);

	return memcpy(p, &arg, size);
}

static int set_state(int fd, uint32_t state, int *data_fd)
{
	struct feature_arg arg = { .state = { state, 77 } };
	int ret = device_feature(fd, SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 8, &arg);

	if (data_fd)
		*data_fd = arg.state.data_fd;
	return ret;
}

static int get_state(int fd)
{
	struct feature_arg arg = { .state = { 99, 77 } };
	int ret = device_feature(fd, GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 8, &arg);

	if (ret)
		return ret;
	return arg.state.data_fd == -1 ? (int)arg.state.device_state : -ERANGE;
}

/* semantics: 129, 130, 134 */
TEST_F(mig_states, capabilities)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_MIGRATION;
	struct feature_arg arg = { .value = 0 };
	int fd = self->t.fd;

	EXPECT_EQ(0, device_feature(fd, PROBE | id, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | GET | id, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | SET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, SET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | id, 7, &arg));
	EXPECT_EQ(0, arg.value);
	EXPECT_EQ(0, device_feature(fd, GET | id, 8, &arg));
	EXPECT_EQ(ALL_FLAGS, arg.value);
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, constant_arg(GET | id, 0)));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, short_arg(GET | id, HEAD + 7)));
	EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
}

/* semantics: 130, 135.  Who is wrong finds out before the driver does. */
TEST_F(mig_states, state_errors)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	struct feature_arg arg = { .state = { STOP, 77 } };
	int fd = self->t.fd;

	EXPECT_EQ(0, device_feature(fd, PROBE | id, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | GET | id, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | SET | id, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | GET | SET | id, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | SET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, SET | id, 7, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | id, 7, &arg));
	/* It is read for GET, too. */
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, short_arg(GET | id, HEAD + 7)));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, short_arg(SET | id, HEAD + 7)));
	EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
	EXPECT_EQ(77, arg.state.data_fd);

	/* The driver's errors; and GET leaves the argument alone then. */
	testdrv_fail(self->t.drv, 0, TESTDRV_GET_STATE, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, device_feature(fd, GET | id, 8, &arg));
	EXPECT_EQ(77, arg.state.data_fd);
	testdrv_fail(self->t.drv, 0, TESTDRV_SET_STATE, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, device_feature(fd, SET | id, 8, &arg));
	EXPECT_EQ(-1, arg.state.data_fd);
	EXPECT_EQ(STOP, arg.state.device_state);
	/* That the user cannot be told counts for more. */
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, constant_arg(SET | id, STOP)));
	testdrv_fail(self->t.drv, 0, TESTDRV_GET_STATE, 0);
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, constant_arg(GET | id, STOP)));
}

/* semantics: 135.  States go to the driver as they are, and come from it. */
TEST_F(mig_states, state)
{
	static const uint32_t states[] = { STOP, RESUMING, ERROR, 8, 99, 0xffffffff };
	int fd = self->t.fd, data_fd;

	EXPECT_EQ(RUNNING, get_state(fd));
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_STREQ("get_state*", testdrv_text(&self->t.calls, 0));
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		EXPECT_EQ(0, set_state(fd, states[i], &data_fd));
		EXPECT_EQ(-1, data_fd);
		testdrv_calls(self->t.drv, &self->t.calls);
		EXPECT_STREQ("set_state*", testdrv_text(&self->t.calls, 0));
		EXPECT_EQ(states[i], (uint32_t)self->t.calls.call[0].arg[0]);
		EXPECT_EQ((int)states[i], get_state(fd));
		testdrv_calls(self->t.drv, &self->t.calls);
	}
}

/* semantics: 135.  The file through which the data go. */
TEST_F(mig_states, data_fd)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	int fd = self->t.fd, users = module_users("vfio_testdrv"), data_fd, free_fd;
	struct rlimit limit, none;
	char text[256], path[64];

	testdrv_cmd(self->t.drv, TESTDRV_MIG, 0, TESTDRV_MIG_FILE, RUNNING, 0);
	ASSERT_EQ(0, set_state(fd, STOP_COPY, &data_fd));
	ASSERT_GT(data_fd, 0);
	EXPECT_EQ(users + 1, module_users("vfio_testdrv"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", data_fd);
	ASSERT_EQ(0, sysfs_link(path, text, sizeof(text)));
	EXPECT_STREQ("anon_inode:testdrv_mig", text);
	EXPECT_EQ(FD_CLOEXEC, fcntl(data_fd, F_GETFD));
	close(data_fd);
	EXPECT_EQ(users, module_users("vfio_testdrv"));

	/* Nobody can be told of it: no file, no descriptor, but the state. */
	free_fd = dup(fd);
	close(free_fd);
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, constant_arg(SET | id, RESUMING)));
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	EXPECT_EQ(free_fd, dup(fd));
	close(free_fd);
	EXPECT_EQ(RESUMING, get_state(fd));

	/* No descriptor left. */
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = free_fd;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, set_state(fd, STOP_COPY, &data_fd));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(77, data_fd);
	EXPECT_EQ(users, module_users("vfio_testdrv"));
	EXPECT_EQ(STOP_COPY, get_state(fd));
}

/* semantics: 130, 137 */
TEST_F(mig_states, data_size)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_MIG_DATA_SIZE;
	struct feature_arg arg = { .value = 5 };
	int fd = self->t.fd;

	testdrv_cmd(self->t.drv, TESTDRV_MIG, 0, 0, RUNNING, 0x123456789abULL);
	EXPECT_EQ(0, device_feature(fd, PROBE | id, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | SET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, SET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | id, 7, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, id, 8, &arg));
	EXPECT_EQ(0, testdrv_calls(self->t.drv, &self->t.calls));
	EXPECT_EQ(5, arg.value);
	EXPECT_EQ(0, device_feature(fd, GET | id, 8, &arg));
	EXPECT_EQ(0x123456789abULL, arg.value);
	testdrv_calls(self->t.drv, &self->t.calls);
	EXPECT_STREQ("data_size*", testdrv_text(&self->t.calls, 0));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_FEATURE, constant_arg(GET | id, 0)));
	testdrv_fail(self->t.drv, 0, TESTDRV_DATA_SIZE, EUCLEAN);
	EXPECT_EQ(-EUCLEAN, device_feature(fd, GET | id, 8, &arg));
	EXPECT_EQ(0x123456789abULL, arg.value);
}

static uint64_t precopy_seen(int drv, int fd, struct testdrv_calls *calls)
{
	testdrv_calls(drv, calls);
	if (set_state(fd, STOP, NULL))
		abort();
	testdrv_calls(drv, calls);
	return testdrv_first(calls, 0, TESTDRV_SET_STATE)->arg[1];
}

/* semantics: 132; defect: B20.  Until the last close. */
TEST_F(mig_states, precopy_info_v2)
{
	const uint32_t id = VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
	struct feature_arg arg = { .value = 0 };
	int fd = self->t.fd, plain;

	EXPECT_EQ(0, precopy_seen(self->t.drv, fd, &self->t.calls));
	EXPECT_EQ(0, device_feature(fd, PROBE | id, 0, &arg));
	EXPECT_EQ(0, device_feature(fd, PROBE | SET | id, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, PROBE | GET | id, 0, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, GET | id, 8, &arg));
	EXPECT_EQ(-EINVAL, device_feature(fd, id, 8, &arg));
	EXPECT_EQ(0, precopy_seen(self->t.drv, fd, &self->t.calls));
	EXPECT_EQ(0, device_feature(fd, SET | id, 0, &arg));
	EXPECT_EQ(1, precopy_seen(self->t.drv, fd, &self->t.calls));
	close(fd);
	self->t.fd = testdrv_device(0, self->t.space);
	ASSERT_GE(self->t.fd, 0);
	EXPECT_EQ(0, precopy_seen(self->t.drv, self->t.fd, &self->t.calls));

	/* Of a device without precopy, and of one without migration. */
	ASSERT_EQ(0, testdrv_create(self->t.drv, 1, TESTDRV_WITH_MIG,
				    VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, 0));
	ASSERT_EQ(0, testdrv_create(self->t.drv, 2, 0, 0, 0));
	for (int i = 1; i <= 2; i++) {
		plain = testdrv_device(i, self->t.space);
		ASSERT_GE(plain, 0);
		EXPECT_EQ(-EINVAL, device_feature(plain, PROBE | id, 0, &arg));
		EXPECT_EQ(-EINVAL, device_feature(plain, SET | id, 0, &arg));
		close(plain);
	}
}

/* ---- a device that migrates ---- */

/* of the serial port */
#define UART_DATA 0
#define UART_FCR 2
#define UART_LCR 3
#define UART_SCR 7

FIXTURE(mtty) {
	int space, fd[2];
};

FIXTURE_SETUP(mtty)
{
	int ret = mdev_sample_load("mtty");

	if (ret == -ENOENT)
		SKIP(return, "no module mtty");
	ASSERT_EQ(0, ret);
	self->space = space_open();
	ASSERT_GE(self->space, 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mdev_create("mtty", "mtty-2", mdev_uuids[i]));
		self->fd[i] = mdev_device(mdev_uuids[i], self->space);
		ASSERT_GE(self->fd[i], 0);
	}
}

FIXTURE_TEARDOWN(mtty)
{
	for (int i = 0; i < 2; i++) {
		close(self->fd[i]);
		EXPECT_EQ(0, mdev_remove(mdev_uuids[i]));
	}
	close(self->space);
	EXPECT_EQ(0, mdev_sample_unload("mtty"));
}

static void uart_write(int fd, int reg, uint8_t value)
{
	if (pwrite64(fd, &value, 1, reg) != 1)
		abort();
}

static int uart_read(int fd, int reg)
{
	uint8_t value;

	return pread64(fd, &value, 1, reg) == 1 ? value : -1;
}

/* All that comes from a descriptor. */
static ssize_t drain(int fd, char *data, size_t size)
{
	size_t done = 0;
	ssize_t n;

	do {
		/* in pieces */
		n = read(fd, data + done, size - done < 100 ? size - done : 100);
		done += n > 0 ? n : 0;
	} while (n > 0);
	return n < 0 ? -errno : (ssize_t)done;
}

/* Some text in the FIFO, and registers that say who wrote it. */
static void uart_fill(int fd)
{
	uart_write(fd, UART_FCR, 1);
	uart_write(fd, UART_LCR, 3);
	uart_write(fd, UART_SCR, 0xa5);
	for (int i = 0; i < 10; i++)
		uart_write(fd, UART_DATA, 'a' + i);
}

/* semantics: 41, 135, 136.  Stop and copy: what one device was the other is then. */
TEST_F(mtty, stop_copy)
{
	static char data[65536], again[65536];
	int *fd = self->fd, from, to;
	ssize_t size;

	uart_fill(fd[0]);
	EXPECT_NE(0xa5, uart_read(fd[1], UART_SCR));

	ASSERT_EQ(0, set_state(fd[0], STOP_COPY, &from));
	ASSERT_GE(from, 0);
	EXPECT_EQ(STOP_COPY, get_state(fd[0]));
	size = drain(from, data, sizeof(data));
	ASSERT_GT(size, 40);
	close(from);
	/* What cannot be asked for. */
	EXPECT_EQ(-EINVAL, set_state(fd[0], PRE_COPY, NULL));
	EXPECT_EQ(-EINVAL, set_state(fd[0], PRE_COPY_P2P, NULL));
	EXPECT_EQ(-EINVAL, set_state(fd[0], ERROR, NULL));
	EXPECT_EQ(-EINVAL, set_state(fd[0], STATES, NULL));
	EXPECT_EQ(-EINVAL, set_state(fd[0], 0xffffffff, NULL));
	EXPECT_EQ(STOP_COPY, get_state(fd[0]));

	ASSERT_EQ(0, set_state(fd[1], RESUMING, &to));
	ASSERT_GE(to, 0);
	ASSERT_EQ(size, write(to, data, size));
	ASSERT_EQ(0, set_state(fd[1], STOP, NULL));
	close(to);

	/* It would be copied again as it came. */
	ASSERT_EQ(0, set_state(fd[1], STOP_COPY, &from));
	EXPECT_EQ(size, drain(from, again, sizeof(again)));
	EXPECT_EQ(0, memcmp(data, again, size));
	close(from);
	ASSERT_EQ(0, set_state(fd[1], RUNNING, NULL));
	EXPECT_EQ(RUNNING, get_state(fd[1]));
	EXPECT_EQ(0xa5, uart_read(fd[1], UART_SCR));
	EXPECT_EQ(3, uart_read(fd[1], UART_LCR));
	for (int i = 0; i < 10; i++)
		EXPECT_EQ('a' + i, uart_read(fd[1], UART_DATA));
	ASSERT_EQ(0, set_state(fd[0], RUNNING, NULL));
}

/* semantics: 132, 135.  Copied while it runs: one descriptor for all of it. */
TEST_F(mtty, pre_copy)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	static char data[65536];
	int *fd = self->fd, from, to, none;
	ssize_t head, size;

	ASSERT_EQ(0, set_state(fd[0], PRE_COPY, &from));
	ASSERT_GE(from, 0);
	EXPECT_EQ(0, xioctl(from, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_GT(info.initial_bytes, 0);
	head = drain(from, data, sizeof(data));
	EXPECT_EQ(info.initial_bytes, head);
	/* It runs. */
	uart_fill(fd[0]);
	ASSERT_EQ(0, set_state(fd[0], STOP_COPY, &none));
	EXPECT_EQ(-1, none);
	size = drain(from, data + head, sizeof(data) - head);
	ASSERT_GT(size, 0);
	close(from);

	ASSERT_EQ(0, set_state(fd[1], RESUMING, &to));
	ASSERT_EQ(head + size, write(to, data, head + size));
	close(to);
	ASSERT_EQ(0, set_state(fd[1], RUNNING, NULL));
	EXPECT_EQ(0xa5, uart_read(fd[1], UART_SCR));
	for (int i = 0; i < 10; i++)
		EXPECT_EQ('a' + i, uart_read(fd[1], UART_DATA));
	ASSERT_EQ(0, set_state(fd[0], RUNNING, NULL));
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eventfds that a driver listens to, through the core: when its functions are called,
 * and when they are not any more.  The driver is testdrv/.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"

FIXTURE(virqfd) {
	int drv;
	struct testdrv_calls calls;
};

FIXTURE_SETUP(virqfd)
{
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	ASSERT_EQ(0, testdrv_create(self->drv, 0, 0, 0, 0));
}

FIXTURE_TEARDOWN(virqfd)
{
	EXPECT_EQ(0, testdrv_close(self->drv));
}

static int enable(int drv, uint32_t flags, int fd)
{
	return testdrv_cmd(drv, TESTDRV_ENABLE, 0, flags, fd, 77);
}

static int enabled(int drv)
{
	return testdrv_cmd(drv, TESTDRV_ENABLED, 0, 0, 0, 0);
}

/* semantics: 58, 59, 173-176.  A signal before, while, and after it is listened to. */
TEST_F(virqfd, signals)
{
	const uint32_t both = TESTDRV_WITH_HANDLER | TESTDRV_WITH_THREAD;
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	const struct testdrv_call *call;
	uint64_t count;

	ASSERT_GE(event, 0);
	EXPECT_EQ(-EBADF, enable(self->drv, both, -1));
	EXPECT_EQ(-EINVAL, enable(self->drv, both, self->drv));
	EXPECT_EQ(0, enabled(self->drv));
	/* Nothing to end is no error. */
	EXPECT_EQ(0, testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0));
	EXPECT_EQ(0, testdrv_cmd(self->drv, TESTDRV_FLUSH, 0, 0, 0, 0));

	testdrv_calls(self->drv, &self->calls);
	ASSERT_EQ(0, enable(self->drv, both, event));
	EXPECT_EQ(1, enabled(self->drv));
	EXPECT_EQ(-EBUSY, enable(self->drv, both, event));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));

	/* The handler at once, the thread as soon as may be; and the signal is taken. */
	ASSERT_EQ(0, eventfd_write(event, 1));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_THREAD, 1));
	EXPECT_EQ(-1, eventfd_read(event, &count));
	EXPECT_EQ(EAGAIN, errno);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("handler* thread*", testdrv_text(&self->calls, 0));
	call = testdrv_first(&self->calls, 0, TESTDRV_HANDLER);
	EXPECT_EQ(77, call->arg[0]);
	/* Where the signal came from, which may not sleep. */
	EXPECT_EQ(1, call->arg[1]);
	call = testdrv_first(&self->calls, 0, TESTDRV_THREAD);
	EXPECT_EQ(77, call->arg[0]);
	EXPECT_EQ(0, call->arg[1]);

	EXPECT_EQ(0, testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0));
	EXPECT_EQ(0, enabled(self->drv));
	ASSERT_EQ(0, eventfd_write(event, 1));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));

	/* Signalled before: called, and not taken. */
	ASSERT_EQ(0, enable(self->drv, both, event));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_THREAD, 1));
	EXPECT_EQ(0, eventfd_read(event, &count));
	EXPECT_EQ(1, count);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("handler* thread*", testdrv_text(&self->calls, 0));

	/* An eventfd that ends takes the virqfd with it. */
	close(event);
	EXPECT_EQ(0, enabled(self->drv));
	EXPECT_EQ(0, testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0));
	EXPECT_EQ(0, testdrv_calls(self->drv, &self->calls));
}

/* semantics: 58, 173.  One of the functions, and a handler that says it was enough. */
TEST_F(virqfd, functions)
{
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_GE(event, 0);
	testdrv_calls(self->drv, &self->calls);

	ASSERT_EQ(0, enable(self->drv, TESTDRV_WITH_HANDLER, event));
	ASSERT_EQ(0, eventfd_write(event, 1));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("handler*", testdrv_text(&self->calls, 0));
	testdrv_cmd(self->drv, TESTDRV_FLUSH, 0, 0, 0, 0);
	testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0);

	ASSERT_EQ(0, enable(self->drv, TESTDRV_WITH_THREAD, event));
	ASSERT_EQ(0, eventfd_write(event, 1));
	testdrv_cmd(self->drv, TESTDRV_FLUSH, 0, 0, 0, 0);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("thread*", testdrv_text(&self->calls, 0));
	testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0);

	ASSERT_EQ(0, enable(self->drv, TESTDRV_WITH_HANDLER | TESTDRV_WITH_THREAD |
			    TESTDRV_HANDLED, event));
	ASSERT_EQ(0, eventfd_write(event, 1));
	testdrv_cmd(self->drv, TESTDRV_FLUSH, 0, 0, 0, 0);
	testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0);
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("handler*", testdrv_text(&self->calls, 0));
	close(event);
}

struct command {
	int drv;
	unsigned long cmd;
};

static int command(void *arg)
{
	struct command *c = arg;

	return testdrv_cmd(c->drv, c->cmd, 0, 0, 0, 0);
}

/* semantics: 60, 176, 177.  Flushing waits for the thread function, and so does the end. */
TEST_F(virqfd, waits)
{
	static const unsigned long cmds[] = { TESTDRV_FLUSH, TESTDRV_DISABLE };
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_GE(event, 0);
	ASSERT_EQ(0, enable(self->drv, TESTDRV_WITH_THREAD, event));
	for (int i = 0; i < 2; i++) {
		struct command arg = { self->drv, cmds[i] };
		struct worker worker;

		testdrv_calls(self->drv, &self->calls);
		testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, 1, 0);
		ASSERT_EQ(0, eventfd_write(event, 1));
		ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_THREAD, 1));
		ASSERT_EQ(0, worker_start(&worker, command, &arg));
		EXPECT_TRUE(worker_sleeps_in(&worker, "flush_workqueue"));
		testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, 0, 0);
		EXPECT_EQ(0, worker_join(&worker));
	}
	EXPECT_EQ(0, enabled(self->drv));
	close(event);
}

static int enable_pending(void *arg)
{
	struct command *c = arg;

	/* Without the thread, which the C core would start from memory that it has freed. */
	return enable(c->drv, TESTDRV_WITH_HANDLER | TESTDRV_HANDLED, c->cmd);
}

/* defect: B28.  An end in the middle of an enable that has found an event waits for the handler. */
TEST_F(virqfd, ended_while_enabled)
{
	struct command arg = { self->drv, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC) };
	struct command end = { self->drv, TESTDRV_DISABLE };
	struct worker enabler, ender;

	testdrv_calls(self->drv, &self->calls);
	testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, TESTDRV_HOLD_HANDLER, 0);
	ASSERT_EQ(0, worker_start(&enabler, enable_pending, &arg));
	ASSERT_EQ(0, testdrv_cmd(self->drv, TESTDRV_WAIT, 0, 0, TESTDRV_HANDLER, 1));
	ASSERT_EQ(0, worker_start(&ender, command, &end));
	if (core_is_rust()) {
		EXPECT_TRUE(worker_sleeps_in(&ender, "flush_workqueue"));
		EXPECT_FALSE(worker_ended(&ender));
	} else {
		/* The handler is running still. */
		EXPECT_EQ(0, worker_join(&ender));
		EXPECT_FALSE(worker_ended(&enabler));
	}
	testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, 0, 0);
	EXPECT_EQ(0, worker_join(&enabler));
	if (core_is_rust())
		EXPECT_EQ(0, worker_join(&ender));
	EXPECT_EQ(0, enabled(self->drv));
	close(arg.cmd);
}

struct disabler {
	int drv;
	bool stop;
};

static void *keep_disabling(void *arg)
{
	struct disabler *d = arg;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE))
		testdrv_cmd(d->drv, TESTDRV_DISABLE, 0, 0, 0, 0);
	return NULL;
}

/*
 * defect: B17.  What a disable finds in the slot is complete: it can come in
 * the middle of an enable, and afterwards nobody listens any more.
 */
TEST_F(virqfd, disabled_at_once)
{
	const uint32_t both = TESTDRV_WITH_HANDLER | TESTDRV_WITH_THREAD;
	struct disabler d = { .drv = self->drv };
	pthread_t thread;
	int i, event, enables = 0;

	if (!core_is_rust())
		SKIP(return, "the core in C may end what it has not begun");
	event = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_GE(event, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_disabling, &d));
	for (i = 0; i < 1000; i++) {
		int ret = enable(self->drv, both, event);

		EXPECT_TRUE(!ret || ret == -EBUSY);
		enables += !ret;
		eventfd_write(event, 1);
	}
	__atomic_store_n(&d.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_GT(enables, 0);

	testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0);
	EXPECT_EQ(0, enabled(self->drv));
	testdrv_calls(self->drv, &self->calls);
	ASSERT_EQ(0, eventfd_write(event, 1));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("", testdrv_text(&self->calls, 0));

	ASSERT_EQ(0, enable(self->drv, TESTDRV_WITH_HANDLER, event));
	testdrv_calls(self->drv, &self->calls);
	EXPECT_STREQ("handler*", testdrv_text(&self->calls, 0));
	testdrv_cmd(self->drv, TESTDRV_DISABLE, 0, 0, 0, 0);
	close(event);
}

TEST_HARNESS_MAIN

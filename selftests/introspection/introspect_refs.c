// SPDX-License-Identifier: GPL-2.0-only
/*
 * References that drivers hold on the registration of a device, for which its removal waits: our
 * core says in "holders" and in the log who made the driver take them.  The driver is
 * drivers/vfio_calls_main.c.
 */
#include <signal.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/introspect.h"
#include "lib/kmsg.h"
#include "lib/removal.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"

/* The device's parent. */
static const struct pci parent = { .bdf = "vfio-calls.0" };

FIXTURE(introspect_refs) {
	int calls, space, log;
	struct task task;
};

FIXTURE_SETUP(introspect_refs)
{
	int ret = calls_open_all(&self->calls, &self->space, &self->log);

	if (self->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, calls_emulated(self->calls, 0, 0));
}

FIXTURE_TEARDOWN(introspect_refs)
{
	EXPECT_EQ(0, calls_close(self->calls));
}

static int take(void *calls)
{
	return calls_one(*(int *)calls, CALLS_GET_REGISTRATION, 0, 0) == 1 ? 0 : -EIO;
}

static int put(int calls, int n)
{
	int ret = 0;

	while (n-- && !ret)
		ret = calls_one(calls, CALLS_PUT_REGISTRATION, 0, 0);
	return ret;
}

/* Another process makes the driver take one, and ends. */
static int take_as(int calls, const char *name, pid_t *pid)
{
	struct other other;
	int ret = other_start(&other, name, take, &calls);

	*pid = other.pid;
	if (!ret)
		other_stop(&other);
	return ret;
}

static void nothing(int sig)
{
}

/* The device is taken off, by a task that does not have @fd. */
struct removal {
	int calls, fd;
};

static int unregister(void *arg)
{
	struct sigaction sa = { .sa_handler = nothing };
	struct removal *r = arg;

	close(r->fd);
	sigaction(SIGUSR1, &sa, NULL);
	return calls_one(r->calls, CALLS_UNREGISTER, 0, 0);
}

/* The message of a removal that waits ends with @want on ours, and says nothing of that in C. */
static bool waits_for(struct task *task, struct removal r, int log, const char *want)
{
	char line[1024];
	size_t length;

	if (task_start(task, unregister, &r) || !task_waits_for_users(task) ||
	    !unbind_says_who(task, log, line, sizeof(line)))
		return false;
	length = strlen(line) < strlen(want) ? 0 : strlen(line) - strlen(want);
	if (core_is_rust() == !strcmp(line + length, want))
		return true;
	printf("# %s\n# is not: %s\n", line, want);
	return false;
}

static bool holders_are(const char *want)
{
	const char *found = holders(&parent);

	want = has_debugfs() ? BY_CORE("none", want) : "none";
	if (!strcmp(want, found))
		return true;
	printf("# %s\n# is not: %s\n", found, want);
	return false;
}

/* D12.  Who made the driver take how many, after the files. */
TEST_F(introspect_refs, holders)
{
	const char *ours, *file;
	char want[512];
	pid_t second;
	int fd;

	EXPECT_TRUE(holders_are(""));
	ASSERT_EQ(0, take(&self->calls));
	EXPECT_TRUE(holders_are(reference_line(getpid(), "driver", "1", 1, own_name())));
	ASSERT_EQ(0, take(&self->calls));
	ours = reference_line(getpid(), "driver", "2", 2, own_name());
	EXPECT_TRUE(holders_are(ours));
	/* By a group there is no file that is not bound. */
	fd = BY_SPACE(calls_cdev(0), calls_device(0, self->space));
	ASSERT_GE(fd, 0);
	file = holder_line(getpid(), BY_SPACE("cdev", "group"), !has_iommufd(), own_name());
	snprintf(want, sizeof(want), "%s\n%s", file, ours);
	EXPECT_TRUE(holders_are(want));
	close(fd);

	/* Of one process that had two, one is left; it is one of two processes that have two. */
	ASSERT_EQ(0, put(self->calls, 1));
	EXPECT_TRUE(holders_are(reference_line(getpid(), "driver", "1", 1, own_name())));
	ASSERT_EQ(0, take(&self->calls));
	ASSERT_EQ(0, take_as(self->calls, "a second\n", &second));
	snprintf(want, sizeof(want), "%s\n%s",
		 reference_line(getpid(), "driver", "2", 3, own_name()),
		 reference_line(second, "driver", "1", 3, "a second?"));
	EXPECT_TRUE(holders_are(want));
	ASSERT_EQ(0, put(self->calls, 1));
	snprintf(want, sizeof(want), "%s\n%s",
		 reference_line(getpid(), "driver", "1-2", 2, own_name()),
		 reference_line(second, "driver", "0-1", 2, "a second?"));
	EXPECT_TRUE(holders_are(want));
	ASSERT_EQ(0, put(self->calls, 2));
	EXPECT_TRUE(holders_are(""));
	/* It has begun anew. */
	ASSERT_EQ(0, take_as(self->calls, "third", &second));
	EXPECT_TRUE(holders_are(reference_line(second, "driver", "1", 1, "third")));
	ASSERT_EQ(0, put(self->calls, 1));
	EXPECT_TRUE(holders_are(""));
	EXPECT_EQ(0, calls_one(self->calls, CALLS_UNREGISTER, 0, 0));
}

/* D9.  So does the message; it says what is known when some have been put, and no more. */
TEST_F(introspect_refs, message)
{
	static const char *const ours[] = {
		"2 references", "2 of: 2 references", "one of: a reference",
	};
	char want[256];
	pid_t second;

	for (int puts = 0; puts < 3; puts++) {
		TH_LOG("%d have been put", puts);
		ASSERT_EQ(0, take(&self->calls));
		ASSERT_EQ(0, take(&self->calls));
		ASSERT_EQ(0, take_as(self->calls, "second", &second));
		ASSERT_EQ(0, put(self->calls, puts));
		snprintf(want, sizeof(want), " by %s of %s \"%s\" (%d), a reference of %s \"%s\" (%d)",
			 ours[puts], "the driver for", own_name(), getpid(),
			 "the driver for", "second", second);
		EXPECT_TRUE(waits_for(&self->task, (struct removal){ self->calls, -1 }, self->log,
				      want));
		ASSERT_EQ(0, put(self->calls, 2 - puts));
		EXPECT_FALSE(task_ended(&self->task, 0));
		ASSERT_EQ(0, put(self->calls, 1));
		EXPECT_EQ(0, task_join(&self->task));
		ASSERT_EQ(0, calls_one(self->calls, CALLS_REGISTER, 0, 0));
	}
}

/* Files come first; with the last reference of the driver it is files alone. */
TEST_F(introspect_refs, message_with_files)
{
	int fd = calls_device(0, self->space);
	char want[256];

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, take(&self->calls));
	snprintf(want, sizeof(want), " by \"%s\" (%d), a reference of the driver for \"%s\" (%d)",
		 own_name(), getpid(), own_name(), getpid());
	EXPECT_TRUE(waits_for(&self->task, (struct removal){ self->calls, fd }, self->log, want));
	close(fd);
	EXPECT_FALSE(task_ended(&self->task, 0));
	EXPECT_TRUE(holders_are(reference_line(getpid(), "driver", "1", 1, own_name())));
	ASSERT_EQ(0, put(self->calls, 1));
	EXPECT_EQ(0, task_join(&self->task));
}

/* More processes than there are places: those without are counted, and the count stays right. */
TEST_F(introspect_refs, more_than_there_are_places)
{
	char want[1024];
	pid_t pids[10];
	int used = 0;

	for (int i = 0; i < 10; i++)
		ASSERT_EQ(0, take_as(self->calls, "one of many", &pids[i]));
	for (int i = 0; i < 8; i++)
		used += snprintf(want + used, sizeof(want) - used, "%s\n",
				 reference_line(pids[i], "driver", "1", 10, "one of many"));
	snprintf(want + used, sizeof(want) - used, "%s",
		 reference_line(0, "unknown", "2", 10, "?"));
	EXPECT_TRUE(holders_are(want));
	snprintf(want, sizeof(want), "for \"one of many\" (%d), 2 more references", pids[7]);
	EXPECT_TRUE(waits_for(&self->task, (struct removal){ self->calls, -1 }, self->log,
				      want));

	ASSERT_EQ(0, put(self->calls, 9));
	EXPECT_FALSE(task_ended(&self->task, 0));
	used = 0;
	for (int i = 0; i < 8; i++)
		used += snprintf(want + used, sizeof(want) - used, "%s\n",
				 reference_line(pids[i], "driver", "0-1", 1, "one of many"));
	snprintf(want + used, sizeof(want) - used, "%s",
		 reference_line(0, "unknown", "0-1", 1, "?"));
	EXPECT_TRUE(holders_are(want));
	ASSERT_EQ(0, put(self->calls, 1));
	EXPECT_EQ(0, task_join(&self->task));
	EXPECT_STREQ("none", holders(&parent));
}

TEST_HARNESS_MAIN

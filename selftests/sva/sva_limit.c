// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many processes can be bound by one file: the module parameter max_bound_processes; and that
 * the end of many is the end of all.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/bound.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_pair.h"
#include "lib/test.h"

#define PARAMETER "/sys/module/vfio/parameters/max_bound_processes"

FIXTURE(sva_limit) {
	struct sva_pair sva;
	char before[16];
};

FIXTURE_SETUP(sva_limit)
{
	const char *lacks = sva_pair_open_rust(&self->sva);

	/* D16 */
	if (!core_is_rust())
		EXPECT_NE(0, access(PARAMETER, F_OK));
	if (lacks)
		SKIP(return, "%s", lacks);
	ASSERT_GT(sysfs_read(PARAMETER, self->before, sizeof(self->before)), 0);
}

FIXTURE_TEARDOWN(sva_limit)
{
	EXPECT_EQ(0, sysfs_write(PARAMETER, self->before));
	EXPECT_EQ(0, sva_pair_close(&self->sva));
}

TEST_F(sva_limit, parameter)
{
	struct stat st;

	EXPECT_STREQ("1024", self->before);
	ASSERT_EQ(0, stat(PARAMETER, &st));
	EXPECT_EQ(S_IFREG | 0644, st.st_mode);
	EXPECT_EQ(-EINVAL, sysfs_write(PARAMETER, "-1"));
	EXPECT_EQ(-EINVAL, sysfs_write(PARAMETER, "many"));
}

/* Of each file its own number; one that goes makes room; a lower limit unbinds nobody. */
TEST_F(sva_limit, of_a_file)
{
	struct bound_child one, two;
	struct session s, other;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	ASSERT_EQ(0, session_open(&self->sva.b, &other));
	ASSERT_EQ(0, sysfs_write(PARAMETER, "2"));
	ASSERT_GT(bound_start(&one, s.fd, self->sva.control, &self->sva.a), 0);
	ASSERT_GT(bound_start(&two, s.fd, self->sva.control, &self->sva.a), 0);
	EXPECT_EQ(-ENOSPC, process_bind(s.fd, NULL));
	EXPECT_EQ(-ENOENT, process_unbind(s.fd));
	EXPECT_EQ(0, process_bind(other.fd, NULL));
	/* Bound already comes first. */
	EXPECT_EQ(-EEXIST, bound_call(&one, BOUND_BIND));
	EXPECT_EQ(0, bound_kill(&one));
	EXPECT_EQ(0, process_bind(s.fd, NULL));
	ASSERT_EQ(0, sysfs_write(PARAMETER, "0"));
	EXPECT_EQ(2, pasid_entries(&self->sva.a));
	EXPECT_EQ(0, bound_call(&two, BOUND_UNBIND));
	EXPECT_EQ(-ENOSPC, bound_call(&two, BOUND_BIND));
	EXPECT_EQ(0, bound_end(&two));
	EXPECT_EQ(0, process_unbind(s.fd));
	EXPECT_EQ(0, process_unbind(other.fd));
	session_close(&other);
	session_close(&s);
}

TEST_F(sva_limit, of_a_container)
{
	struct boxed box = BOXED_NONE, second = BOXED_NONE;
	struct bound_child child;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ASSERT_EQ(0, boxed_open(&self->sva.a, &box));
	ASSERT_EQ(0, boxed_join(&self->sva.b, box.container, &second));
	ASSERT_EQ(0, sysfs_write(PARAMETER, "1"));
	/* A process is one, however many devices there are. */
	ASSERT_GT(bound_start(&child, box.container, self->sva.control, &self->sva.a), 0);
	EXPECT_EQ(1, pasid_entries(&self->sva.b));
	EXPECT_EQ(-ENOSPC, process_bind(box.container, NULL));
	EXPECT_EQ(0, pasid_entries(&self->sva.b) - 1);
	EXPECT_EQ(0, bound_end(&child));
	EXPECT_EQ(0, process_bind(box.container, NULL));
	EXPECT_EQ(0, process_unbind(box.container));
	boxed_close(&second);
	boxed_close(&box);
}

#define MANY 200

/* One close ends the bonds of all, and none of them has to be told. */
TEST_F(sva_limit, many)
{
	static struct bound_child children[MANY];
	struct session s;

	ASSERT_EQ(0, session_open(&self->sva.a, &s));
	for (int i = 0; i < MANY; i++) {
		ASSERT_EQ(0, bound_fork(&children[i], s.fd, self->sva.control, &self->sva.a,
					false));
		ASSERT_GT(bound_call(&children[i], BOUND_BIND), 0);
	}
	EXPECT_EQ(MANY, pasid_entries(&self->sva.a));
	/* The reset is the shortest end of all: the children have the file, too. */
	EXPECT_EQ(0, xioctl(s.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, pasid_entries(&self->sva.a));
	for (int i = 0; i < MANY; i++) {
		if (i % 2)
			EXPECT_EQ(-ENOENT, bound_call(&children[i], BOUND_UNBIND));
		EXPECT_EQ(0, bound_kill(&children[i]));
	}
	session_close(&s);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reset of a bus with devices of two groups: it takes a user who has both, by whatever
 * open path, and both devices forget what was written to them.
 */
#include <sys/eventfd.h>

#include <linux/pci_regs.h>

#include "lib/group.h"
#include "lib/hot_reset.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/scratch.h"
#include "lib/space.h"
#include "lib/task.h"
#include "lib/test.h"

#define PAIR 2

FIXTURE(bus_reset) {
	struct pci a, b;
	/* Files of the first, of the second. */
	struct opened ua, ub;
};

FIXTURE_SETUP(bus_reset)
{
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_siblings(IGB, &self->a, &self->b) || self->a.group == self->b.group)
		SKIP(return, "no two igb devices of two groups on one bus");
	self->ub.fd = -1;
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	ASSERT_EQ(0, open_path_open_vfio(OPEN_CDEV, &self->a, &self->ua));
	ASSERT_EQ(0, scratch_set(self->ua.fd, IGB));
}

FIXTURE_TEARDOWN(bus_reset)
{
	open_path_close(&self->ua);
	pci_attr_set(&self->a, "reset_method", "default");
	pci_attr_set(&self->b, "reset_method", "default");
}

/* The first device's user does not own the second: neither is it said nor reset. */
static bool is_refused(const struct pci *a, const struct pci *b, const struct opened *ua)
{
	struct reset_info info;

	return !reset_info(ua->fd, &info) && info.head.count == 2 &&
	       info.head.flags == BY_ID &&
	       reset_says(&info, a) == (int)ua->devid &&
	       reset_says(&info, b) == NOT_OWNED &&
	       hot_reset_owned(ua->fd) == -EINVAL && scratch_there(ua->fd, IGB) == 1;
}

/* semantics: 34, 61, 62, 205.  Not opened, not bound, bound to another, without a driver. */
TEST_F(bus_reset, not_owned)
{
	struct session s;

	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	ASSERT_EQ(0, session_open_unbound(&self->b, &s));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	ASSERT_EQ(0, cdev_bind(s.fd, s.iommufd, NULL));
	ASSERT_EQ(0, scratch_set(s.fd, IGB));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	/* The other may no more than this one. */
	EXPECT_EQ(-EINVAL, hot_reset_owned(s.fd));
	EXPECT_EQ(1, scratch_there(s.fd, IGB));
	session_close(&s);
	ASSERT_EQ(0, pci_unbind(&self->b));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	ASSERT_EQ(0, pci_to_vfio(&self->b));
}

/* semantics: 61, 62, 205.  A container is no iommufd: it owns for itself. */
TEST_F(bus_reset, other_in_container)
{
	struct opened ub;

	ASSERT_EQ(0, open_path_open_vfio(OPEN_CONTAINER, &self->b, &ub));
	ASSERT_EQ(0, scratch_set(ub.fd, IGB));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	EXPECT_EQ(-EINVAL, hot_reset(ub.fd, 1, (int32_t[]){ ub.group }));
	EXPECT_EQ(1, scratch_there(ub.fd, IGB));
	open_path_close(&ub);
}

/* Both are the user's: the numbers, and the reset by the file of each. */
static void owned(struct __test_metadata *_metadata, const struct pci *a,
		  const struct pci *b, const struct opened *ua, int fd_b)
{
	const int fds[] = { ua->fd, fd_b };
	volatile void *bars[PAIR];
	struct reset_info info;
	uint16_t command;
	size_t size;
	int id_b;

	ASSERT_EQ(0, reset_info(ua->fd, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)ua->devid, reset_says(&info, a));
	id_b = reset_says(&info, b);
	EXPECT_GT(id_b, 0);
	EXPECT_NE((int)ua->devid, id_b);
	for (int i = 0; i < PAIR; i++) {
		bars[i] = cdev_map_bar(fds[i], 0, &size);
		ASSERT_NE(NULL, bars[i]);
		ASSERT_EQ(0, scratch_set(fds[i], IGB));
		ASSERT_EQ(1, scratch_there(fds[i], IGB));
		ASSERT_TRUE(bar_answers(bars[i]));
	}
	ASSERT_EQ(0, hot_reset_owned(ua->fd));
	for (int i = 0; i < PAIR; i++) {
		EXPECT_EQ(0, scratch_there(fds[i], IGB));
		ASSERT_EQ(2, config_read(fds[i], PCI_COMMAND, &command, 2));
		EXPECT_NE(0, command & PCI_COMMAND_MEMORY);
		EXPECT_TRUE(bar_answers(bars[i]));
		munmap((void *)bars[i], size);
	}
}

/* semantics: 17, 33, 34, 61, 62, 205.  Both bound to one iommufd. */
TEST_F(bus_reset, owned)
{
	int fd = cdev_open(&self->b);
	struct reset_info info;
	uint32_t devid;

	ASSERT_EQ(0, cdev_bind(fd, self->ua.space, &devid));
	owned(_metadata, &self->a, &self->b, &self->ua, fd);
	ASSERT_EQ(0, reset_info(fd, &info));
	EXPECT_EQ(ALL_BY_ID, info.head.flags);
	EXPECT_EQ((int)devid, reset_says(&info, &self->b));
	ASSERT_EQ(0, scratch_set(self->ua.fd, IGB));
	EXPECT_EQ(0, hot_reset_owned(fd));
	EXPECT_EQ(0, scratch_there(self->ua.fd, IGB));
	/* Files are for who came by a group, and these are none of groups. */
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, (int32_t[]){ fd }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 2, (int32_t[]){ fd, self->ua.fd }));
	close(fd);
	ASSERT_EQ(0, scratch_set(self->ua.fd, IGB));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
}

/* semantics: 61, 62, 205.  The second by its group, with the same iommufd. */
TEST_F(bus_reset, owned_by_group)
{
	int group = group_open(&self->b), fd;
	uint32_t ioas;

	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, self->ua.space));
	ASSERT_EQ(0, compat_ioas_get(self->ua.space, &ioas));
	EXPECT_TRUE(is_refused(&self->a, &self->b, &self->ua));
	fd = group_device(group, self->b.bdf);
	ASSERT_GE(fd, 0);
	owned(_metadata, &self->a, &self->b, &self->ua, fd);
	/* From the other side the first has no group to show. */
	EXPECT_EQ(-EINVAL, hot_reset_owned(fd));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, (int32_t[]){ group }));
	close(fd);
	close(group);
}

/*
 * semantics: 33, 34, 95.  Devices that can be reset with their bus alone: that is done when
 * the last of them is closed, and not before.
 */
TEST_F(bus_reset, last_close)
{
	struct opened ub;

	open_path_close(&self->ua);
	ASSERT_EQ(0, pci_attr_set(&self->a, "reset_method", "\n"));
	ASSERT_EQ(0, pci_attr_set(&self->b, "reset_method", "\n"));
	ASSERT_EQ(0, open_path_open_vfio(OPEN_CDEV, &self->a, &self->ua));
	ASSERT_EQ(0, open_path_open_vfio(OPEN_CDEV, &self->b, &ub));
	ASSERT_EQ(0, scratch_set(self->ua.fd, IGB));
	ASSERT_EQ(0, scratch_set(ub.fd, IGB));
	open_path_close(&self->ua);
	EXPECT_EQ(1, scratch_there(ub.fd, IGB));
	ASSERT_EQ(0, open_path_open_vfio(OPEN_GROUP, &self->a, &self->ua));
	ASSERT_EQ(0, cdev_enable_dma(self->ua.fd));
	EXPECT_EQ(1, scratch_there(self->ua.fd, IGB));
	open_path_close(&ub);
	EXPECT_EQ(1, scratch_there(self->ua.fd, IGB));
	open_path_close(&self->ua);

	ASSERT_EQ(0, open_path_open_vfio(OPEN_CDEV, &self->a, &self->ua));
	ASSERT_EQ(0, open_path_open_vfio(OPEN_CDEV, &self->b, &ub));
	ASSERT_EQ(0, cdev_enable_dma(self->ua.fd));
	ASSERT_EQ(0, cdev_enable_dma(ub.fd));
	EXPECT_EQ(0, scratch_there(self->ua.fd, IGB));
	EXPECT_EQ(0, scratch_there(ub.fd, IGB));
	open_path_close(&ub);
}

struct racer {
	int fd;
	bool alone;		/* nobody reads */
	atomic_bool *stop;
};

/* A reset is refused while somebody is in the midst of an access, else it is done. */
static int reset_race(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < 10; i++) {
		int ret = hot_reset_owned(r->fd);

		if (ret && (r->alone || ret != -EBUSY))
			return ret;
	}
	return 0;
}

static int read_race(void *arg)
{
	struct racer *r = arg;

	while (!*r->stop) {
		int ret = scratch_there(r->fd, IGB);

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* semantics: 61, 62, 183, 205.  Resets from both sides, with readers and without. */
TEST_F(bus_reset, race)
{
	int fds[] = { self->ua.fd, cdev_open(&self->b) };
	struct worker resetters[2], readers[2];
	atomic_bool stop = false;
	struct racer racers[2];

	ASSERT_EQ(0, cdev_bind(fds[1], self->ua.space, NULL));
	ASSERT_EQ(0, cdev_enable_dma(fds[1]));
	for (int alone = 0; alone < 2; alone++) {
		for (int i = 0; i < 2; i++) {
			racers[i] = (struct racer){ fds[i], alone, &stop };
			ASSERT_EQ(0, worker_start(&resetters[i], reset_race, &racers[i]));
			if (!alone) {
				ASSERT_EQ(0, worker_start(&readers[i], read_race,
							  &racers[i]));
			}
		}
		for (int i = 0; i < 2; i++)
			EXPECT_EQ(0, worker_join(&resetters[i]));
		stop = true;
		for (int i = 0; i < 2 && !alone; i++)
			EXPECT_EQ(0, worker_join(&readers[i]));
	}
	ASSERT_EQ(0, scratch_set(fds[1], IGB));
	EXPECT_EQ(0, hot_reset_owned(fds[0]));
	EXPECT_EQ(0, scratch_there(fds[1], IGB));
	close(fds[1]);
}

FIXTURE(bus_reset_groups) {
	struct pci a, b;
	struct opened u;		/* of the first */
	int group;		/* of the second */
};

FIXTURE_VARIANT(bus_reset_groups) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(bus_reset_groups, group) { .open_path = OPEN_GROUP };
FIXTURE_VARIANT_ADD(bus_reset_groups, container) { .open_path = OPEN_CONTAINER };

FIXTURE_SETUP(bus_reset_groups)
{
	if (open_path_lacks(variant->open_path))
		SKIP(return, "%s", open_path_lacks(variant->open_path));
	if (pci_find_siblings(IGB, &self->a, &self->b) || self->a.group == self->b.group)
		SKIP(return, "no two igb devices of two groups on one bus");
	ASSERT_EQ(0, pci_to_vfio(&self->b));
	ASSERT_EQ(0, open_path_open_vfio(variant->open_path, &self->a, &self->u));
	ASSERT_EQ(0, scratch_set(self->u.fd, IGB));
	self->group = group_open(&self->b);
	ASSERT_GE(self->group, 0);
}

FIXTURE_TEARDOWN(bus_reset_groups)
{
	open_path_close(&self->u);
	close(self->group);
}

/* semantics: 54, 55, 205.  Every group of the bus, in any order, and nothing else. */
TEST_F(bus_reset_groups, refused)
{
	int event = eventfd(0, EFD_CLOEXEC), fd = self->u.fd;
	int one = self->u.group, two = self->group;
	struct reset_info info;

	ASSERT_EQ(0, reset_info(fd, &info));
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(self->a.group, reset_says(&info, &self->a));
	EXPECT_EQ(self->b.group, reset_says(&info, &self->b));

	EXPECT_EQ(-EINVAL, hot_reset_owned(fd));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, (int32_t[]){ one }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 1, (int32_t[]){ two }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 2, (int32_t[]){ one, one }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 2, (int32_t[]){ one, event }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 2, (int32_t[]){ one, fd }));
	EXPECT_EQ(-EBADF, hot_reset(fd, 2, (int32_t[]){ one, -1 }));
	EXPECT_EQ(-EBADF, hot_reset(fd, 2, (int32_t[]){ -1, event }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 2, (int32_t[]){ event, -1 }));
	EXPECT_EQ(-EINVAL, hot_reset(fd, 3, (int32_t[]){ one, two, one }));
	EXPECT_EQ(1, scratch_there(fd, IGB));
	close(event);
}

/* semantics: 33, 34, 54, 55, 205.  The second's device may be free, or be used. */
TEST_F(bus_reset_groups, granted)
{
	int one = self->u.group, two = self->group, fd = self->u.fd, other;
	volatile void *bars[PAIR];
	size_t size;

	EXPECT_EQ(0, hot_reset(fd, 2, (int32_t[]){ one, two }));
	EXPECT_EQ(0, scratch_there(fd, IGB));
	ASSERT_EQ(0, scratch_set(fd, IGB));
	EXPECT_EQ(0, hot_reset(fd, 2, (int32_t[]){ two, one }));
	EXPECT_EQ(0, scratch_there(fd, IGB));

	ASSERT_EQ(0, group_set(two, self->u.space));
	other = group_device(two, self->b.bdf);
	ASSERT_GE(other, 0);
	bars[0] = cdev_map_bar(fd, 0, &size);
	bars[1] = cdev_map_bar(other, 0, NULL);
	ASSERT_EQ(0, scratch_set(fd, IGB));
	ASSERT_EQ(0, scratch_set(other, IGB));
	EXPECT_EQ(-EINVAL, hot_reset(other, 1, (int32_t[]){ two }));
	EXPECT_EQ(1, scratch_there(fd, IGB));
	EXPECT_EQ(1, scratch_there(other, IGB));
	EXPECT_EQ(0, hot_reset(other, 2, (int32_t[]){ one, two }));
	EXPECT_EQ(0, scratch_there(fd, IGB));
	EXPECT_EQ(0, scratch_there(other, IGB));
	for (int i = 0; i < PAIR; i++) {
		EXPECT_TRUE(bar_answers(bars[i]));
		munmap((void *)bars[i], size);
	}
	close(other);
}

/* semantics: 54, 55, 62, 110, 205.  Who has the other device by its own node has the say. */
TEST_F(bus_reset_groups, other_bound)
{
	struct reset_info info;
	int one = self->u.group;
	struct session s;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	close_fd(&self->group);
	ASSERT_EQ(0, session_open_unbound(&self->b, &s));
	ASSERT_EQ(0, cdev_bind(s.fd, s.iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(&self->b));
	EXPECT_EQ(-EINVAL, hot_reset(self->u.fd, 1, (int32_t[]){ one }));
	EXPECT_EQ(-EINVAL, hot_reset(self->u.fd, 2, (int32_t[]){ one, s.fd }));
	EXPECT_EQ(-EINVAL, hot_reset(s.fd, 1, (int32_t[]){ one }));
	EXPECT_EQ(-EINVAL, hot_reset_owned(s.fd));
	ASSERT_EQ(0, reset_info(s.fd, &info));
	EXPECT_EQ(BY_ID, info.head.flags);
	EXPECT_EQ(NOT_OWNED, reset_says(&info, &self->a));
	EXPECT_EQ(1, scratch_there(self->u.fd, IGB));
	session_close(&s);
}

/* semantics: 120.  A bus that cannot be reset: the root's. */
TEST(bus_reset_root)
{
	struct reset_info info;
	struct opened o;
	struct pci pci;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, open_path_open_vfio(open_path_usual(), &pci, &o));
	EXPECT_EQ(-ENODEV, reset_info(o.fd, &info));
	/* It depends on how the device was opened which of them can be meant. */
	EXPECT_EQ(BY_SPACE(-ENODEV, -EINVAL), hot_reset_owned(o.fd));
	EXPECT_EQ(BY_SPACE(-EINVAL, -ENODEV), hot_reset(o.fd, 1, &o.group));
	open_path_close(&o);
}

TEST_HARNESS_MAIN

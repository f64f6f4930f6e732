// SPDX-License-Identifier: GPL-2.0-only
/*
 * D17.  A driver holds up a call that opens a device through its group, or closes the device, or changes
 * the container of the group.  In C all calls that take the lock of the group wait.  On ours a call waits
 * only if it changes the container of the group during another change, or if it opens a device of the same
 * set.
 */
#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testdrv.h"
#include "lib/testiommu.h"

typedef FIXTURE_DATA(group_held) group_held_t;

/*
 * The group of an emulated device (slot 0).  The group of slot 1 is in the container and has chosen the
 * container's driver, so the driver attaches the group of slot 0 as soon as that joins.
 */
FIXTURE(group_held) {
	int drv, group, chooser;
	int container, other;		/* the second without a driver */
	int iommufd;
	int fd;				/* of the device, if it is open */
	struct worker held;
};

/* A call on the group, and what it says in C, where it waits, and on ours. */
struct row {
	const char *name;
	int (*fn)(void *arg);
	int c, rust;
};

#define MAX_ROWS 5

static int get_status(void *arg)
{
	return group_flags(((group_held_t *)arg)->group);
}

static int open_it(void *arg)
{
	group_held_t *self = arg;

	self->fd = group_device(self->group, TESTDRV_DEVICE);
	return self->fd < 0 ? self->fd : 0;
}

/* 0 if the call has a file as its result, which is closed again. */
static int closed(int fd)
{
	return fd < 0 ? fd : close(fd);
}

static int open_and_close(void *arg)
{
	return closed(group_device(((group_held_t *)arg)->group, TESTDRV_DEVICE));
}

static int open_group_again(void *arg)
{
	return closed(testdrv_group(0));
}

static int bind_cdev(void *arg)
{
	return closed(testdrv_open_bound(0, ((group_held_t *)arg)->iommufd));
}

static int set(void *arg)
{
	group_held_t *self = arg;

	return group_set(self->group, self->container);
}

static int set_other(void *arg)
{
	group_held_t *self = arg;

	return group_set(self->group, self->other);
}

static int unset(void *arg)
{
	return group_unset(((group_held_t *)arg)->group);
}

static int close_group(void *arg)
{
	return close(((group_held_t *)arg)->group);
}

static int close_it(void *arg)
{
	return close(((group_held_t *)arg)->fd);
}

static int remove_device(void *arg)
{
	return testdrv_destroy(((group_held_t *)arg)->drv, 0);
}

static int make_group(group_held_t *self)
{
	int ret = testdrv_create(self->drv, 0, TESTDRV_WITH_UNMAP, 0, 0);

	if (ret)
		return ret;
	self->group = testdrv_group(0);
	return self->group < 0 ? self->group : 0;
}

static void let_go(group_held_t *self)
{
	testiommu_set("hold_attach", "N");
	testiommu_set("hold_detach", "N");
	for (int i = 0; i < TESTDRV_SLOTS; i++)
		testdrv_cmd(self->drv, TESTDRV_HOLD, i, 0, 0, 0);
}

FIXTURE_SETUP(group_held)
{
	self->drv = -1;
	self->fd = -1;
	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (module_load(TESTIOMMU))
		SKIP(return, NO_TESTIOMMU);
	self->drv = testdrv_open();
	if (self->drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_GE(self->drv, 0);
	ASSERT_EQ(0, make_group(self));
	ASSERT_EQ(0, testdrv_create(self->drv, 1, TESTDRV_WITH_UNMAP, 0, 0));
	self->chooser = testdrv_group(1);
	ASSERT_GE(self->chooser, 0);
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	self->other = container_open();
	ASSERT_GE(self->other, 0);
	self->iommufd = iommufd_open();
	ASSERT_GE(self->iommufd, 0);
	ASSERT_EQ(0, testiommu_set("register", "0"));
	ASSERT_EQ(0, group_set(self->chooser, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, TESTIOMMU_OWN));
}

FIXTURE_TEARDOWN(group_held)
{
	let_go(self);
	EXPECT_EQ(0, testdrv_close(self->drv));
	EXPECT_EQ(0, module_unload(TESTIOMMU));
}

/* Calls @fn, which the driver of the container holds up in the callback of the parameter @where. */
static bool hold_change(group_held_t *self, int (*fn)(void *arg), const char *where)
{
	return !testiommu_set(where, "Y") && !worker_start(&self->held, fn, self) &&
	       testiommu_held();
}

/* The same in a callback of the device's driver: TESTDRV_HOLD_OPEN or TESTDRV_HOLD_CLOSE. */
static bool hold_device(group_held_t *self, int (*fn)(void *arg), int where)
{
	return !testdrv_cmd(self->drv, TESTDRV_HOLD, 0, 0, where, 0) &&
	       !worker_start(&self->held, fn, self) &&
	       worker_sleeps_in(&self->held, where == TESTDRV_HOLD_OPEN ? "td_open" : "td_close");
}

/* Waits in C, and not on ours. */
static bool waits(struct worker *w)
{
	return core_is_rust() ? !worker_ends(w) : worker_sleeps_in(w, "[vfio]");
}

/*
 * Makes the calls while another is held up: in C they wait for it, on ours they do not.  Then the other
 * goes on, and ends with @result.
 */
static void make_calls(struct __test_metadata *_metadata, group_held_t *self,
		       const struct row *rows, int n, int result)
{
	struct worker w[MAX_ROWS];

	ASSERT_LE(n, MAX_ROWS);
	for (int i = 0; i < n; i++) {
		ASSERT_EQ(0, worker_start(&w[i], rows[i].fn, self));
		EXPECT_EQ(!core_is_rust(), waits(&w[i])) TH_LOG("%s", rows[i].name);
	}
	EXPECT_FALSE(worker_ended(&self->held));
	let_go(self);
	EXPECT_EQ(result, worker_join(&self->held));
	for (int i = 0; i < n; i++) {
		int ret = worker_join(&w[i]);

		EXPECT_EQ(BY_CORE(rows[i].c, rows[i].rust), ret) TH_LOG("%s", rows[i].name);
	}
}

/*
 * The same with one call, which waits on both cores.  A removal calls vfio_device_remove_group() last in C,
 * which takes the place of vfio_unregister_group_dev() on the stack.
 */
static void wait_for_it(struct __test_metadata *_metadata, group_held_t *self,
			const struct row *row)
{
	struct worker w;
	bool asleep;

	ASSERT_EQ(0, worker_start(&w, row->fn, self));
	if (row->fn != remove_device)
		asleep = worker_sleeps_in(&w, "[vfio]");
	else if (core_is_rust())
		asleep = worker_waits_for_users(&w);
	else
		asleep = worker_sleeps_in(&w, "vfio_device_remove_group");
	EXPECT_TRUE(asleep) TH_LOG("%s", row->name);
	EXPECT_FALSE(worker_ended(&self->held)) TH_LOG("%s", row->name);
	let_go(self);
	EXPECT_EQ(0, worker_join(&self->held)) TH_LOG("%s", row->name);
	EXPECT_EQ(BY_CORE(row->c, row->rust), worker_join(&w)) TH_LOG("%s", row->name);
}

/* ---- a change of the container ---- */

/* semantics: 144, 150, 182.  While the group joins a container, it has none. */
TEST_F(group_held, joining)
{
	static const struct row rows[] = {
		{ "GET_STATUS", get_status, GROUP_SET, GROUP_VIABLE },
		{ "GET_DEVICE_FD", open_and_close, 0, -EINVAL },
		{ "open of the group", open_group_again, -EBUSY, -EBUSY },
		{ "BIND of a device", bind_cdev, -EBUSY, -EBUSY },
	};

	ASSERT_TRUE(hold_change(self, set, "hold_attach"));
	make_calls(_metadata, self, rows, ARRAY_SIZE(rows), 0);
	EXPECT_EQ(GROUP_SET, group_flags(self->group));
	EXPECT_EQ(0, open_and_close(self));
}

/* semantics: 144, 150, 182.  ... and while it leaves its container. */
TEST_F(group_held, leaving)
{
	static const struct row rows[] = {
		{ "GET_STATUS", get_status, GROUP_VIABLE, GROUP_VIABLE },
		{ "GET_DEVICE_FD", open_and_close, -EINVAL, -EINVAL },
		{ "open of the group", open_group_again, -EBUSY, -EBUSY },
		{ "BIND of a device", bind_cdev, -EBUSY, -EBUSY },
	};

	ASSERT_EQ(0, set(self));
	ASSERT_TRUE(hold_change(self, unset, "hold_detach"));
	make_calls(_metadata, self, rows, ARRAY_SIZE(rows), 0);
	EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
}

/*
 * semantics: 144, 155, 182.  While the close of the group's file detaches the group, the group is still in
 * use.  In C it is free when the others have waited.
 */
TEST_F(group_held, closing_the_group)
{
	static const struct row rows[] = {
		{ "open of the group", open_group_again, 0, -EBUSY },
		{ "BIND of a device", bind_cdev, 0, -EBUSY },
	};

	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, set(self));
		ASSERT_TRUE(hold_change(self, close_group, "hold_detach"));
		make_calls(_metadata, self, &rows[i], 1, 0);
		self->group = testdrv_group(0);
		ASSERT_GE(self->group, 0);
		EXPECT_EQ(GROUP_VIABLE, group_flags(self->group));
	}
}

/* semantics: 147, 149, 182.  Changes wait for one another on both cores. */
TEST_F(group_held, changes)
{
	static const struct row joining[] = {
		{ "SET_CONTAINER", set_other, -EINVAL, -EINVAL },
		{ "UNSET_CONTAINER", unset, 0, 0 },
	}, leaving[] = {
		{ "SET_CONTAINER", set_other, 0, 0 },
		{ "UNSET_CONTAINER", unset, -EINVAL, -EINVAL },
	};

	for (int i = 0; i < ARRAY_SIZE(joining); i++) {
		ASSERT_TRUE(hold_change(self, set, "hold_attach"));
		wait_for_it(_metadata, self, &joining[i]);
		unset(self);
	}
	for (int i = 0; i < ARRAY_SIZE(leaving); i++) {
		ASSERT_EQ(0, set(self));
		ASSERT_TRUE(hold_change(self, unset, "hold_detach"));
		wait_for_it(_metadata, self, &leaving[i]);
		unset(self);
	}
}

/* semantics: 91, 182.  So does the removal of the last device, which is a change, for the others. */
TEST_F(group_held, removal_waits)
{
	static const struct row removal = { "removal", remove_device, 0, 0 };

	for (int i = 0; i < 2; i++) {
		if (i)
			ASSERT_EQ(0, set(self));
		ASSERT_TRUE(i ? hold_change(self, unset, "hold_detach") :
				hold_change(self, set, "hold_attach"));
		wait_for_it(_metadata, self, &removal);
		EXPECT_EQ(-ENODEV, group_flags(self->group));
		close(self->group);
		ASSERT_EQ(0, make_group(self));
	}
}

/* semantics: 91, 147, 149, 155, 182.  ... and the others for that. */
TEST_F(group_held, removal_is_waited_for)
{
	static const struct row rows[] = {
		{ "SET_CONTAINER", set_other, -ENODEV, -ENODEV },
		{ "UNSET_CONTAINER", unset, -EINVAL, -EINVAL },
		{ "close of the group", close_group, 0, 0 },
	};
	static const struct row status = { "GET_STATUS", get_status, -ENODEV, -ENODEV };

	for (int i = 0; i <= ARRAY_SIZE(rows); i++) {
		ASSERT_EQ(0, set(self));
		ASSERT_TRUE(hold_change(self, remove_device, "hold_detach"));
		if (i < ARRAY_SIZE(rows))
			wait_for_it(_metadata, self, &rows[i]);
		else
			make_calls(_metadata, self, &status, 1, 0);
		if (i >= ARRAY_SIZE(rows) || rows[i].fn != close_group)
			close(self->group);
		ASSERT_EQ(0, make_group(self));
	}
}

/* ---- an open of a device ---- */

/* semantics: 144, 147, 149, 150, 182.  A device is opened in a container. */
TEST_F(group_held, opening)
{
	static const struct row rows[] = {
		{ "GET_STATUS", get_status, GROUP_SET, GROUP_SET },
		{ "SET_CONTAINER", set_other, -EINVAL, -EINVAL },
		{ "UNSET_CONTAINER", unset, -EBUSY, -EBUSY },
		{ "open of the group", open_group_again, -EBUSY, -EBUSY },
		{ "BIND of a device", bind_cdev, -EBUSY, -EBUSY },
	};

	ASSERT_EQ(0, set(self));
	ASSERT_TRUE(hold_device(self, open_it, TESTDRV_HOLD_OPEN));
	make_calls(_metadata, self, rows, ARRAY_SIZE(rows), 0);
	EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
}

/* semantics: 149, 150.  If the open fails, UNSET_CONTAINER has been refused on ours all the same. */
TEST_F(group_held, opening_fails)
{
	static const struct row row = { "UNSET_CONTAINER", unset, 0, -EBUSY };

	ASSERT_EQ(0, set(self));
	ASSERT_EQ(0, testdrv_fail(self->drv, 0, TESTDRV_OPEN, EUCLEAN));
	ASSERT_TRUE(hold_device(self, open_it, TESTDRV_HOLD_OPEN));
	make_calls(_metadata, self, &row, 1, -EUCLEAN);
	EXPECT_EQ(BY_CORE(-EINVAL, 0), unset(self));
}

/* semantics: 87.  The removal waits for the open on both cores, and then for the close. */
TEST_F(group_held, removal_while_opening)
{
	struct worker w;

	ASSERT_EQ(0, set(self));
	ASSERT_TRUE(hold_device(self, open_it, TESTDRV_HOLD_OPEN));
	ASSERT_EQ(0, worker_start(&w, remove_device, self));
	EXPECT_TRUE(worker_waits_for_users(&w));
	EXPECT_FALSE(worker_ended(&self->held));
	let_go(self);
	EXPECT_EQ(0, worker_join(&self->held));
	EXPECT_FALSE(worker_ended(&w));
	close(self->fd);
	EXPECT_EQ(0, worker_join(&w));
	EXPECT_EQ(-ENODEV, group_flags(self->group));
}

static int flags_of(void *arg)
{
	return group_flags(*(int *)arg);
}

/*
 * semantics: 96, 182.  The open of a device of the same set waits on both cores, also through another group.
 * In C the other calls on that group then wait for this open.  A device of another set does not wait.
 */
TEST_F(group_held, same_set)
{
	struct by_group by[] = { { .name = "vfio-testdrv.2" }, { .name = "vfio-testdrv.3" } };
	struct worker w[2], status, another_set;

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, testdrv_create(self->drv, 2 + i, TESTDRV_WITH_UNMAP, 0, 1));
		by[i].group = testdrv_group(2 + i);
		ASSERT_GE(by[i].group, 0);
		ASSERT_EQ(0, group_set(by[i].group, self->iommufd));
	}
	ASSERT_EQ(0, set(self));
	testdrv_cmd(self->drv, TESTDRV_HOLD, 2, 0, TESTDRV_HOLD_OPEN, 0);
	ASSERT_EQ(0, worker_start(&w[0], open_by_group, &by[0]));
	ASSERT_TRUE(worker_sleeps_in(&w[0], "td_open"));
	ASSERT_EQ(0, worker_start(&w[1], open_by_group, &by[1]));
	EXPECT_TRUE(worker_sleeps_in(&w[1], "[vfio]"));
	ASSERT_EQ(0, worker_start(&status, flags_of, &by[1].group));
	EXPECT_EQ(!core_is_rust(), waits(&status));
	ASSERT_EQ(0, worker_start(&another_set, open_and_close, self));
	EXPECT_TRUE(worker_ends(&another_set));
	EXPECT_FALSE(worker_ended(&w[0]));
	EXPECT_FALSE(worker_ended(&w[1]));
	let_go(self);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, closed(worker_join(&w[i])));
	EXPECT_EQ(GROUP_SET, worker_join(&status));
	EXPECT_EQ(0, worker_join(&another_set));
}

/* ---- a close of a device ---- */

/* semantics: 96, 144, 147, 182.  A device of a container is closed. */
TEST_F(group_held, closing)
{
	static const struct row rows[] = {
		{ "GET_STATUS", get_status, GROUP_SET, GROUP_SET },
		{ "SET_CONTAINER", set_other, -EINVAL, -EINVAL },
		{ "open of the group", open_group_again, -EBUSY, -EBUSY },
		{ "BIND of a device", bind_cdev, -EBUSY, -EBUSY },
	};

	ASSERT_EQ(0, set(self));
	ASSERT_EQ(0, open_it(self));
	ASSERT_TRUE(hold_device(self, close_it, TESTDRV_HOLD_CLOSE));
	make_calls(_metadata, self, rows, ARRAY_SIZE(rows), 0);
}

/* semantics: 149.  Until the device is closed it is open, on ours also for who does not wait. */
TEST_F(group_held, closing_and_unset)
{
	static const struct row row = { "UNSET_CONTAINER", unset, 0, -EBUSY };

	ASSERT_EQ(0, set(self));
	ASSERT_EQ(0, open_it(self));
	ASSERT_TRUE(hold_device(self, close_it, TESTDRV_HOLD_CLOSE));
	make_calls(_metadata, self, &row, 1, 0);
	EXPECT_EQ(BY_CORE(-EINVAL, 0), unset(self));
}

/*
 * semantics: 144, 153, 182.  The device of an iommufd is closed.  On ours the group's file can be closed
 * meanwhile, and the group opened again.  The next open of the device waits for the lock of the set.
 */
TEST_F(group_held, closing_and_group_again)
{
	struct worker closer, opener;

	ASSERT_EQ(0, group_set(self->group, self->iommufd));
	ASSERT_EQ(0, open_it(self));
	ASSERT_TRUE(hold_device(self, close_it, TESTDRV_HOLD_CLOSE));
	ASSERT_EQ(0, worker_start(&closer, close_group, self));
	EXPECT_EQ(!core_is_rust(), waits(&closer));
	if (core_is_rust()) {
		self->group = testdrv_group(0);
		ASSERT_GE(self->group, 0);
		ASSERT_EQ(0, group_set(self->group, self->iommufd));
		ASSERT_EQ(0, worker_start(&opener, open_it, self));
		EXPECT_TRUE(worker_sleeps_in(&opener, "[vfio]"));
	}
	EXPECT_FALSE(worker_ended(&self->held));
	let_go(self);
	EXPECT_EQ(0, worker_join(&self->held));
	EXPECT_EQ(0, worker_join(&closer));
	if (core_is_rust()) {
		EXPECT_EQ(0, worker_join(&opener));
		EXPECT_EQ(1, testdrv_open_count(self->drv, 0));
	} else {
		self->group = testdrv_group(0);
		EXPECT_GE(self->group, 0);
	}
}

/* ---- groups of two devices ---- */

static int close_number(void *arg)
{
	return close(*(int *)arg);
}

/*
 * semantics: 96, 150, 151, 182.  A device is opened while another device of the group, which is of another
 * set, is opened once more and closed once.
 */
TEST(other_device_of_the_group)
{
	int calls, iommufd, group, fd[2];
	struct by_group first, second;
	struct worker opener, again, closer;
	struct pci a, b;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (pci_find_pair(EDU, &a, &b))
		SKIP(return, "no two edu devices in one group");
	calls = calls_open();
	if (calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_GE(calls, 0);
	ASSERT_EQ(0, pci_to_driver(&a, CALLS_DRIVER));
	ASSERT_EQ(0, pci_to_vfio(&b));
	ASSERT_EQ(0, calls_physical(calls, 0, CALLS_PCI));
	iommufd = iommufd_open();
	group = group_open(&a);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, group_set(group, iommufd));
	for (int i = 0; i < 2; i++) {
		fd[i] = group_device(group, b.bdf);
		ASSERT_GE(fd[i], 0);
	}

	ASSERT_EQ(0, calls_one(calls, CALLS_HOLD, 0, 1));
	first = (struct by_group){ group, a.bdf };
	ASSERT_EQ(0, worker_start(&opener, open_by_group, &first));
	ASSERT_TRUE(worker_sleeps_in(&opener, "calls_open"));
	second = (struct by_group){ group, b.bdf };
	ASSERT_EQ(0, worker_start(&again, open_by_group, &second));
	EXPECT_EQ(!core_is_rust(), waits(&again));
	ASSERT_EQ(0, worker_start(&closer, close_number, &fd[0]));
	EXPECT_EQ(!core_is_rust(), waits(&closer));
	EXPECT_EQ(0, device_info(fd[1]));
	EXPECT_FALSE(worker_ended(&opener));
	ASSERT_EQ(0, calls_one(calls, CALLS_HOLD, 0, 0));
	EXPECT_EQ(0, closed(worker_join(&opener)));
	EXPECT_EQ(0, worker_join(&closer));
	fd[0] = worker_join(&again);
	ASSERT_GE(fd[0], 0);
	EXPECT_EQ(0, device_info(fd[0]));
	EXPECT_EQ(0, calls_close(calls));
}

static int unbind_driver(void *arg)
{
	return pci_unbind(arg);
}

static int bind_driver(void *arg)
{
	return pci_to_vfio(arg);
}

/*
 * semantics: 91, 146, 148.  While the removal of the last device detaches the group, another device of the
 * IOMMU group gets a new group on ours.  It cannot join a container until the old group has left.  In C the
 * registration waits, and so does that of a device of any group.
 */
TEST(new_group)
{
	int container, other, old, new = -1;
	struct worker remover, adder, third;
	struct pci a, b, c;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	if (pci_find_pair(EDU, &a, &b) || pci_find_at(EDU, false, &c))
		SKIP(return, "no edu devices in two groups, one of them of two");
	if (module_load(TESTIOMMU))
		SKIP(return, NO_TESTIOMMU);
	ASSERT_EQ(0, testiommu_set("register", "0"));
	ASSERT_EQ(0, pci_unbind(&b));
	ASSERT_EQ(0, pci_unbind(&c));
	ASSERT_EQ(0, pci_to_vfio(&a));
	container = container_open();
	other = container_open();
	old = group_open(&a);
	ASSERT_GE(old, 0);
	ASSERT_EQ(0, group_set(old, container));
	ASSERT_EQ(0, container_set_iommu(container, TESTIOMMU_OWN));

	ASSERT_EQ(0, testiommu_set("hold_detach", "Y"));
	ASSERT_EQ(0, worker_start(&remover, unbind_driver, &a));
	ASSERT_TRUE(testiommu_held());
	ASSERT_EQ(0, worker_start(&adder, bind_driver, &b));
	EXPECT_EQ(!core_is_rust(), waits(&adder));
	ASSERT_EQ(0, worker_start(&third, bind_driver, &c));
	EXPECT_EQ(!core_is_rust(), waits(&third));
	if (core_is_rust()) {
		EXPECT_EQ(-ENODEV, group_flags(old));
		new = group_open(&b);
		ASSERT_GE(new, 0);
		EXPECT_EQ(0, group_flags(new));
		EXPECT_EQ(-EPERM, group_set(new, other));
	}
	EXPECT_FALSE(worker_ended(&remover));
	ASSERT_EQ(0, testiommu_set("hold_detach", "N"));
	EXPECT_EQ(0, worker_join(&remover));
	EXPECT_EQ(0, worker_join(&adder));
	EXPECT_EQ(0, worker_join(&third));
	if (!core_is_rust())
		new = group_open(&b);
	ASSERT_GE(new, 0);
	EXPECT_EQ(GROUP_VIABLE, group_flags(new));
	EXPECT_EQ(0, group_set(new, other));
	EXPECT_EQ(-ENODEV, group_flags(old));
	close(new);
	close(old);
	close(other);
	close(container);
	EXPECT_EQ(0, module_unload(TESTIOMMU));
}

TEST_HARNESS_MAIN

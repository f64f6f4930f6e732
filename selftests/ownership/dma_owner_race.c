// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that race for the DMA of one group: user space by the open paths of one device, a
 * driver of the host on the other.  Each keeps what it got for a while and says so, and
 * never do two have it.  So many rounds, however long they take.
 */
#include <sched.h>
#include <stdatomic.h>

#include "lib/cdev.h"
#include "lib/host.h"
#include "lib/open_path.h"
#include "lib/task.h"
#include "lib/test.h"

#define ROUNDS 24
#define RACERS 3

struct race {
	struct pci pci, sibling;
	int racers;
	atomic_int has[RACERS];		/* has it, at this moment */
	atomic_int took[RACERS], refused[RACERS];
	atomic_bool stop;
};

struct racer {
	struct race *race;
	int nth;
	enum open_path open_path;
};

FIXTURE(dma_owner_race) {
	struct race race;
};

FIXTURE_VARIANT(dma_owner_race) {
	int users;
	enum open_path open_paths[RACERS - 1];
};

FIXTURE_VARIANT_ADD(dma_owner_race, cdev) { 1, { OPEN_CDEV } };
FIXTURE_VARIANT_ADD(dma_owner_race, group) { 1, { OPEN_GROUP } };
FIXTURE_VARIANT_ADD(dma_owner_race, container) { 1, { OPEN_CONTAINER } };
FIXTURE_VARIANT_ADD(dma_owner_race, cdev_cdev) { 2, { OPEN_CDEV, OPEN_CDEV } };
FIXTURE_VARIANT_ADD(dma_owner_race, cdev_group) { 2, { OPEN_CDEV, OPEN_GROUP } };
FIXTURE_VARIANT_ADD(dma_owner_race, group_container) { 2, { OPEN_GROUP, OPEN_CONTAINER } };
FIXTURE_VARIANT_ADD(dma_owner_race, container_cdev) { 2, { OPEN_CONTAINER, OPEN_CDEV } };

FIXTURE_SETUP(dma_owner_race)
{
	struct race *race = &self->race;

	for (int i = 0; i < variant->users; i++)
		if (open_path_lacks(variant->open_paths[i]))
			SKIP(return, "%s", open_path_lacks(variant->open_paths[i]));
	if (pci_find_pair(EDU, &race->pci, &race->sibling))
		SKIP(return, "no two edu devices in one group");
	if (module_load(HOST_MODULE))
		SKIP(return, "no module " HOST_MODULE);
	ASSERT_EQ(0, pci_to_vfio(&race->pci));
	ASSERT_EQ(0, pci_unbind(&race->sibling));
}

/* Nobody is left as the owner, whoever it was last. */
FIXTURE_TEARDOWN(dma_owner_race)
{
	struct race *race = &self->race;
	struct opened o;

	EXPECT_EQ(0, host_may_have(&race->sibling, HOST_PLAIN));
	EXPECT_EQ(0, open_path_open(variant->open_paths[0], &race->pci, NULL, NULL, &o));
	open_path_close(&o);
	EXPECT_EQ(0, pci_unbind(&race->pci));
	EXPECT_EQ(0, host_may_have(&race->pci, HOST_PLAIN));
	EXPECT_EQ(0, module_unload(HOST_MODULE));
	EXPECT_EQ(0, pci_to_vfio(&race->pci));
	EXPECT_EQ(0, pci_to_vfio(&race->sibling));
}

/* What should not be: the end of it for all. */
static int unexpected(struct race *race, const char *what, int ret)
{
	atomic_store(&race->stop, true);
	ksft_print_msg("%s: %d\n", what, ret);
	return ret ? ret : -EPROTO;
}

/* Goes on until it has had its rounds, and everybody has been kept out once. */
static bool goes_on(const struct racer *r)
{
	struct race *race = r->race;

	if (atomic_load(&race->stop))
		return false;
	if (atomic_load(&race->took[r->nth]) < ROUNDS)
		return true;
	for (int i = 0; i < race->racers; i++)
		if (!atomic_load(&race->refused[i]))
			return true;
	return false;
}

/* Does anybody else say that it has it? */
static bool is_alone(const struct racer *r)
{
	for (int i = 0; i < r->race->racers; i++)
		if (i != r->nth && atomic_load(&r->race->has[i]))
			return false;
	return true;
}

/*
 * It has it.  In every fourth round the others run into that before it goes on: but for
 * those who have had their rounds and are gone.
 */
static int keep(const struct racer *r)
{
	struct race *race = r->race;
	int round = atomic_fetch_add(&race->took[r->nth], 1), seen[RACERS], ret = 0;

	for (int i = 0; i < race->racers; i++)
		seen[i] = atomic_load(&race->refused[i]);
	/* Who comes second sees the first, whichever that is. */
	atomic_store(&race->has[r->nth], 1);
	if (!is_alone(r))
		ret = unexpected(race, "two at once, at first", r->nth);
	for (int i = 0; i < race->racers && !(round & 3); i++)
		while (i != r->nth && !ret && !atomic_load(&race->stop) &&
		       atomic_load(&race->refused[i]) == seen[i] &&
		       (atomic_load(&race->took[i]) < ROUNDS || !seen[i]))
			sched_yield();
	if (!ret && !is_alone(r))
		ret = unexpected(race, "two at once, at last", r->nth);
	return ret;
}

static int host(void *arg)
{
	const struct racer *r = arg;
	struct race *race = r->race;
	int ret;

	while (goes_on(r)) {
		ret = host_bind(&race->sibling, HOST_PLAIN);
		if (ret == -EBUSY) {
			atomic_fetch_add(&race->refused[r->nth], 1);
			continue;
		}
		if (ret)
			return unexpected(race, "bind of the host's driver", ret);
		ret = keep(r);
		atomic_store(&race->has[r->nth], 0);
		ret = ret ?: pci_attr_set(&race->sibling, "driver/unbind", race->sibling.bdf);
		if (ret)
			return unexpected(race, "unbind of the host's driver", ret);
	}
	return 0;
}

/* Has it: by the driver's link, which comes after the claim and goes before its end, too. */
static int use(const struct racer *r, struct opened *o)
{
	struct race *race = r->race;
	char driver[64];
	int ret = keep(r);

	pci_driver(&race->sibling, driver, sizeof(driver));
	if (!ret && driver[0])
		ret = unexpected(race, "the sibling has a driver", r->nth);
	/* Now and then more of it is opened. */
	if (!ret && atomic_load(&race->took[r->nth]) & 1) {
		ret = open_path_finish(&race->pci, NULL, NULL, o);
		ret = ret ?: device_info(o->fd);
		if (ret)
			return unexpected(race, "use of the device", ret);
	}
	return ret;
}

static int user(void *arg)
{
	const struct racer *r = arg;
	struct race *race = r->race;
	struct opened o;
	int ret;

	while (goes_on(r)) {
		ret = open_path_begin(r->open_path, &race->pci, NULL, &o);
		if (!ret) {
			ret = open_path_claim(&race->pci, NULL, &o);
		} else if (ret != -EBUSY || race->racers == 2) {
			open_path_close(&o);
			return unexpected(race, "open", ret);
		}
		if (!ret) {
			ret = use(r, &o);
			atomic_store(&race->has[r->nth], 0);
			open_path_close(&o);
			if (ret)
				return ret;
			continue;
		}
		/* A driver of the host; by another open path, the device or the group is open. */
		if (ret != -EPERM && (race->racers == 2 || (ret != -EBUSY && ret != -EINVAL))) {
			open_path_close(&o);
			return unexpected(race, "claim", ret);
		}
		atomic_fetch_add(&race->refused[r->nth], 1);
		open_path_close(&o);
	}
	return 0;
}

/* semantics: 106, 109, 110, 148, 155, 157.  The first is the host, the others are user space. */
TEST_F(dma_owner_race, one_at_a_time)
{
	struct race *race = &self->race;
	struct racer racer[RACERS];
	struct worker worker[RACERS];

	race->racers = variant->users + 1;
	for (int i = 0; i < race->racers; i++) {
		racer[i] = (struct racer){ race, i, i ? variant->open_paths[i - 1] : 0 };
		ASSERT_EQ(0, worker_start(&worker[i], i ? user : host, &racer[i]));
	}
	for (int i = 0; i < race->racers; i++) {
		EXPECT_EQ(0, worker_join(&worker[i]));
		EXPECT_GE(atomic_load(&race->took[i]), ROUNDS);
		EXPECT_GT(atomic_load(&race->refused[i]), 0);
	}
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container, the groups that come to it and go, and the processes that are bound, in
 * every order.  A model says what each call must return and which entries the IOMMU must
 * have of which device then.
 */
#include "lib/container.h"
#include "lib/sequences.h"
#include "lib/pasid_table.h"
#include "lib/sva.h"
#include "lib/sva_test.h"
#include "lib/sva_users.h"
#include "lib/test.h"

/* It takes long on a machine that is emulated and watched. */
#define HANG 3000

enum op {
	JOIN_A = PROCESS_OPS, LEAVE_A, JOIN_B, LEAVE_B,
	DRIVER,
	NEW_CONTAINER,			/* the old one goes when its groups have left */
	NEW_GROUP,			/* A's file is closed and opened again */
	DEVICE,				/* A's is opened, or closed */
	OPS
};

static const char *const names[OPS] = {
	PROCESS_OP_NAMES, "A joins", "A leaves", "B joins", "B leaves", "set the driver",
	"close the container and open one", "close the group A and open it",
	"open or close the device A",
};

enum { A, B, GROUPS };

/* The one that is open, and as many as groups can keep. */
#define CONTAINERS (1 + GROUPS)
#define NONE (-1)

struct model {
	struct {
		bool driver, bound[PROCESSES];
	} c[CONTAINERS];
	int open;			/* which container the file is of */
	int in[GROUPS];			/* which container a group is in */
	bool device;
};

FIXTURE(sva_sequences_container) {
	struct pci pci[GROUPS];
	int container, group[GROUPS], device;
	struct sva_users u;
	struct model model;
};

FIXTURE_VARIANT(sva_sequences_container) {
	enum machine_end machine_end;
	int all, walk;
};

/* What a machine changes is the end of the group's file. */
FIXTURE_VARIANT_ADD(sva_sequences_container, no_kvm) { NO_MACHINE, 3, 4 };
FIXTURE_VARIANT_ADD(sva_sequences_container, kvm_lets_go_first) { BEFORE_CLOSE, 2, 2 };
FIXTURE_VARIANT_ADD(sva_sequences_container, kvm_lets_go_last) { AFTER_CLOSE, 2, 2 };

typedef FIXTURE_DATA(sva_sequences_container) data;

/* ---- the model ---- */

/* Each sequence begins with a group in a container that maps. */
static void model_begin(struct model *m)
{
	*m = (struct model){ .in = { 0, NONE } };
	m->c[0].driver = true;
}

static bool has_groups_in(const struct model *m, int container)
{
	return m->in[A] == container || m->in[B] == container;
}

static int model_bind(struct model *m, enum who who)
{
	if (!m->c[m->open].driver)
		return -EINVAL;
	if (m->c[m->open].bound[who])
		return -EEXIST;
	m->c[m->open].bound[who] = true;
	return 0;
}

static int model_unbind(struct model *m, enum who who)
{
	if (!m->c[m->open].driver)
		return -EINVAL;
	if (!m->c[m->open].bound[who])
		return -ENOENT;
	m->c[m->open].bound[who] = false;
	return 0;
}

static int model_join(struct model *m, int group)
{
	if (m->in[group] != NONE)
		return -EINVAL;
	m->in[group] = m->open;
	return 0;
}

static int model_leave(struct model *m, int group)
{
	int container = m->in[group];

	if (container == NONE)
		return -EINVAL;
	if (group == A && m->device)
		return -EBUSY;
	m->in[group] = NONE;
	/* The last takes along what there is. */
	if (!has_groups_in(m, container))
		memset(&m->c[container], 0, sizeof(m->c[container]));
	return 0;
}

static int model_step(struct model *m, int op)
{
	switch (op) {
	case BIND:
		return model_bind(m, ME);
	case UNBIND:
		return model_unbind(m, ME);
	case ITS_BIND:
		return model_bind(m, OTHER);
	case ITS_UNBIND:
		return model_unbind(m, OTHER);
	case ITS_DEATH:
		/* In all containers. */
		for (int i = 0; i < CONTAINERS; i++)
			m->c[i].bound[OTHER] = false;
		return 0;
	case JOIN_A:
	case JOIN_B:
		return model_join(m, op == JOIN_A ? A : B);
	case LEAVE_A:
	case LEAVE_B:
		return model_leave(m, op == LEAVE_A ? A : B);
	case DRIVER:
		if (!has_groups_in(m, m->open) || m->c[m->open].driver)
			return -EINVAL;
		m->c[m->open].driver = true;
		return 0;
	case NEW_CONTAINER:
		for (m->open = 0; has_groups_in(m, m->open); m->open++)
			;
		return 0;
	case NEW_GROUP:
		m->device = false;
		model_leave(m, A);
		return 0;
	default:
		if (!m->device && (m->in[A] == NONE || !m->c[m->in[A]].driver))
			return -EINVAL;
		m->device = !m->device;
		return 0;
	}
}

/* ---- what is ---- */

/* The entries of a group's device: one for each process of its container, no more. */
static int look_at_device(const data *d, int group)
{
	int container = d->model.in[group], want = 0, found = 0, n;
	struct pasid_line lines[8];

	n = pasid_lines(&d->pci[group], lines, ARRAY_SIZE(lines));
	if (n < 0)
		return n;
	for (enum who who = 0; who < PROCESSES; who++)
		want += container != NONE && d->model.c[container].bound[who];
	for (int i = 0; i < n; i++) {
		enum who who = lines[i].pasid == d->u.pasid[ME] ? ME : OTHER;

		/* Without a PASID it is the host's, the container's, or nobody's. */
		if (!lines[i].pasid)
			continue;
		found++;
		if (container == NONE || !d->model.c[container].bound[who] || lines[i].pasid != d->u.pasid[who])
			return wrong("an entry of nobody, its PASID", lines[i].pasid, 0);
		if (pasid_kind(&lines[i].entry) != PASID_FIRST_STAGE ||
		    pasid_root(&lines[i].entry) != d->u.root[who])
			return wrong("a process's root", pasid_root(&lines[i].entry), d->u.root[who]);
	}
	return found == want ? 0 : wrong(group == A ? "entries of A" : "entries of B", found, want);
}

static int look(const void *d)
{
	int ret = look_at_device(d, A);

	return ret ? ret : look_at_device(d, B);
}

/* ---- what is done ---- */

static int open_group(data *d)
{
	int ret = keep_number(&d->group[A], group_open(&d->pci[A]));

	return ret ? ret : sva_users_add(&d->u, d->group[A]);
}

/* Until the last who has the group's file lets go of it, nothing has changed. */
static int close_group(data *d)
{
	int ret = sva_users_close_file(&d->u, d->group[A], look, d);

	if (!ret && d->device >= 0)
		ret = look(d);
	close_fd(&d->device);
	model_step(&d->model, NEW_GROUP);
	return ret ? ret : look(d);
}

/* Learns the page table of the other process, which says where it is. */
static int learn_other(data *d)
{
	int frame = bound_call(&d->u.other, BOUND_ROOT);

	d->u.root[OTHER] = (uint64_t)frame << 12;
	return frame > 0 ? 0 : -EPROTO;
}

static int toggle_device(data *d)
{
	if (d->device >= 0) {
		close_fd(&d->device);
		return 0;
	}
	d->device = group_device(d->group[A], d->pci[A].bdf);
	return d->device < 0 ? d->device : 0;
}

static int do_op(data *d, int op)
{
	int ret;

	switch (op) {
	case JOIN_A:
		return group_set(d->group[A], d->container);
	case JOIN_B:
		return group_set(d->group[B], d->container);
	case LEAVE_A:
		return group_unset(d->group[A]);
	case LEAVE_B:
		return group_unset(d->group[B]);
	case DRIVER:
		return container_set_iommu(d->container, VFIO_TYPE1v2_IOMMU);
	case NEW_CONTAINER:
		close(d->container);
		return keep_number(&d->container, container_open());
	case NEW_GROUP:
		ret = close_group(d);
		return ret ? ret : open_group(d);
	case DEVICE:
		return toggle_device(d);
	default:
		ret = sva_users_op(&d->u, d->container, op);
		return !ret && op == ITS_BIND ? learn_other(d) : ret;
	}
}

static int step(void *arg, int op, bool looking)
{
	data *d = arg;
	struct model next = d->model;
	int should = model_step(&next, op), ret = do_op(d, op);

	d->model = next;
	if (ret != should)
		return wrong(names[op], ret, should);
	return looking ? look(d) : 0;
}

/* All leave, with whoever is bound; then it is as in the beginning. */
static int undo(void *arg)
{
	static const enum op then[] = { NEW_CONTAINER, JOIN_A, DRIVER };
	data *d = arg;
	int ret = 0;

	if (d->model.device)
		ret = step(d, DEVICE, true);
	if (!ret && d->model.in[A] != NONE)
		ret = step(d, LEAVE_A, true);
	if (!ret && d->model.in[B] != NONE)
		ret = step(d, LEAVE_B, true);
	for (int i = 0; !ret && i < ARRAY_SIZE(then); i++)
		ret = step(d, then[i], false);
	return ret;
}

/* ---- the tests ---- */

FIXTURE_SETUP(sva_sequences_container)
{
	int ret;

	self->u = SVA_USERS_NONE;
	self->container = self->device = -1;
	self->group[A] = self->group[B] = -1;
	if (!core_is_rust())
		SKIP(return, NO_PROCESSES);
	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	ret = sva_users_open(&self->u, variant->machine_end, &self->pci[A], &self->pci[B]);
	if (ret > 0)
		SKIP(return, "%s", self->u.lacks);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, pci_to_vfio(&self->pci[A]));
	ASSERT_EQ(0, pci_to_vfio(&self->pci[B]));
	/* Each open and close of a device would wait for a reset, 100 ms. */
	ASSERT_EQ(0, pci_attr_set(&self->pci[A], "reset_method", "\n"));
	self->container = container_open();
	ASSERT_GE(self->container, 0);
	ASSERT_EQ(0, open_group(self));
	self->group[B] = group_open(&self->pci[B]);
	ASSERT_GE(self->group[B], 0);
	ASSERT_EQ(0, group_set(self->group[A], self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	model_begin(&self->model);
	/* What does not change. */
	self->u.root[ME] = sva_test_root(self->u.control);
	ASSERT_NE(0, self->u.root[ME]);
	ASSERT_EQ(0, process_bind(self->container, &self->u.pasid[ME]));
	ASSERT_EQ(0, process_unbind(self->container));
}

FIXTURE_TEARDOWN(sva_sequences_container)
{
	EXPECT_EQ(0, sva_users_end(&self->u));
	machine_close(&self->u.machine);
	close_fd(&self->device);
	close_fd(&self->group[A]);
	close_fd(&self->group[B]);
	close_fd(&self->container);
	if (!sva_users_close(&self->u))
		return;
	EXPECT_EQ(0, pci_attr_set(&self->pci[A], "reset_method", "default"));
	EXPECT_EQ(0, pasid_entries(&self->pci[A]));
	EXPECT_EQ(0, pasid_entries(&self->pci[B]));
}

/* Each sequence by itself, from a container with one group. */
TEST_F_TIMEOUT(sva_sequences_container, all, HANG)
{
	const struct sequences sequences = { names, OPS, self, step, undo };

	EXPECT_GT(sequences_all(&sequences, variant->all), 0);
}

/* Longer ones, each after whatever was before.  Devices stay as they are: they are slow. */
TEST_F_TIMEOUT(sva_sequences_container, walk, HANG)
{
	const struct sequences sequences = { names, DEVICE, self, step, undo };

	EXPECT_GT(sequences_walk(&sequences, variant->walk), 0);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fields of struct vfio_device that drivers read, while the device is closed: after each
 * open that fails and each last close they are as they were before.  The driver is
 * drivers/vfio_calls_main.c.
 */
#include <fcntl.h>
#include <stdio.h>

#include "lib/calls.h"
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/kvm.h"
#include "lib/noiommu.h"
#include "lib/test.h"

enum kind { EMULATED, PHYSICAL, BARE };

/* The device that a case is about: number 0 of the driver. */
struct subject {
	enum kind kind;
	int calls, iommufd, kvm, parent;
	struct machine vm;	/* what its files belong to, if there is KVM */
	uint32_t ioas;
	struct pci pci;
	char name[64];		/* the group's for it */
	uint32_t closed;	/* what is set all the time */
	uint32_t bound;		/* ... while it is bound to an iommufd */
	uint32_t machine;	/* ... while it is open */
};

FIXTURE(device_fields) {
	struct subject s;
};

FIXTURE_VARIANT(device_fields) {
	enum kind kind;
};

FIXTURE_VARIANT_ADD(device_fields, emulated) { .kind = EMULATED };
FIXTURE_VARIANT_ADD(device_fields, physical) { .kind = PHYSICAL };
FIXTURE_VARIANT_ADD(device_fields, without_iommu) { .kind = BARE };

/* Allocates the device and registers it. */
static int subject_register(struct subject *s)
{
	uint32_t flags = CALLS_WITH_MIG | (s->kind == EMULATED ? 0 : CALLS_PHYSICAL);
	int ret = calls_cmd(s->calls, CALLS_ALLOC, 0, flags, s->parent, 0);

	return ret ? ret : calls_one(s->calls, CALLS_REGISTER, 0, 0);
}

FIXTURE_SETUP(device_fields)
{
	struct subject *s = &self->s;

	*s = (struct subject){ .kind = variant->kind, .iommufd = -1, .vm = { -1, -1 } };
	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (s->kind == PHYSICAL && pci_find_at(EDU, false, &s->pci))
		SKIP(return, "no edu device on the root bus");
	if (s->kind == BARE && !set_noiommu("Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	s->calls = calls_open();
	if (s->calls == -ENOENT)
		SKIP(return, NO_CALLS);
	ASSERT_GE(s->calls, 0);
	s->iommufd = iommufd_open();
	ASSERT_GE(s->iommufd, 0);
	ASSERT_EQ(0, ioas_alloc(s->iommufd, &s->ioas));
	s->kvm = kvm_open();
	if (s->kvm >= 0)
		ASSERT_EQ(0, machine_open(s->kvm, &s->vm));
	if (s->kind == PHYSICAL) {
		s->parent = CALLS_PCI;
		ASSERT_EQ(0, pci_to_driver(&s->pci, CALLS_DRIVER));
		snprintf(s->name, sizeof(s->name), "%s", s->pci.bdf);
	} else {
		snprintf(s->name, sizeof(s->name), "vfio-calls.0");
	}
	ASSERT_EQ(0, subject_register(s));
	s->closed = CALLS_INODE | (access("/sys/kernel/debug/vfio", F_OK) ? 0 : CALLS_DEBUG_ROOT) |
		    (s->kind == BARE && noiommu_has_nodes() ? CALLS_BARE : 0);
	s->bound = s->kind == EMULATED ? CALLS_ACCESS : CALLS_IDEV;
	s->machine = s->kvm >= 0 ? CALLS_KVM : 0;
}

FIXTURE_TEARDOWN(device_fields)
{
	EXPECT_EQ(0, calls_close(self->s.calls));
	if (self->s.kvm >= 0)
		EXPECT_EQ(0, kvm_unload());
	if (self->s.kind == PHYSICAL)
		EXPECT_EQ(0, pci_to_vfio(&self->s.pci));
	if (self->s.kind == BARE)
		set_noiommu("N");
}

static uint32_t fields(const struct subject *s)
{
	return calls_seen(s->calls, 0, CALLS_NOW).fields;
}

static uint32_t fields_in(const struct subject *s, enum calls_when when)
{
	return calls_seen(s->calls, 0, when).fields;
}

/* The callback returns -@error from now on; 0: it works. */
static int fail(const struct subject *s, int callback, int error)
{
	return calls_cmd(s->calls, CALLS_FAIL, 0, 0, callback, error);
}

/* The machine that there is has the file, or has it no more. */
static int machine_has(const struct subject *s, int fd, bool has)
{
	if (s->kvm < 0)
		return 0;
	return has ? machine_add(&s->vm, fd) : machine_del(&s->vm, fd);
}

/* A device without an IOMMU may have its group's file alone, and is marked only if it has its own. */
static bool has_node(const struct subject *s)
{
	return s->kind != BARE || noiommu_has_nodes();
}

static int node_open(const struct subject *s)
{
	return s->kind == PHYSICAL ? cdev_open(&s->pci) : calls_cdev(0);
}

static int group_node_open(const struct subject *s)
{
	char path[64];

	if (s->kind == PHYSICAL)
		return group_open(&s->pci);
	snprintf(path, sizeof(path), "/dev/vfio/%s%d", s->kind == BARE ? "noiommu-" : "",
		 calls_group(0));
	return open_node(path);
}

/* ---- by its own file ---- */

static int bind_short(const struct subject *s, int fd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = 15, .iommufd = s->iommufd };

	return xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static int bind_nothing(const struct subject *s, int fd)
{
	return cdev_bind(fd, 1000, NULL);
}

static int bind_other(const struct subject *s, int fd)
{
	return cdev_bind(fd, s->calls, NULL);
}

static int bind_token(const struct subject *s, int fd)
{
	char uuid[16] = { 0 };

	return cdev_bind_token(fd, s->iommufd, uuid, NULL);
}

static int bind(const struct subject *s, int fd)
{
	return cdev_bind(fd, s->iommufd, NULL);
}

/* The id of the device cannot be written. */
static int bind_read_only(const struct subject *s, int fd)
{
	struct vfio_device_bind_iommufd *bind = pages_alloc(4096);
	int ret;

	*bind = (struct vfio_device_bind_iommufd){
		.argsz = sizeof(*bind), .iommufd = s->iommufd,
	};
	if (mprotect(bind, 4096, PROT_READ))
		return -errno;
	ret = xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind);
	munmap(bind, 4096);
	return ret;
}

static const struct {
	const char *what;
	int (*bind)(const struct subject *s, int fd);
	int error;
	int callback;		/* that fails, or -1 */
} refused[] = {
	{ "a short argument", bind_short, EINVAL, -1 },
	{ "no file", bind_nothing, EBADF, -1 },
	{ "no iommufd", bind_other, EBADFD, -1 },
	{ "a token", bind_token, EINVAL, -1 },
	{ "bind_iommufd fails", bind, EUCLEAN, CALLS_FAIL_BIND },
	{ "open_device fails", bind, EUCLEAN, CALLS_FAIL_OPEN },
	{ "the id cannot be told", bind_read_only, EFAULT, -1 },
};

/* semantics: 69, 95, 103, 107, 108, 171.  Each stage at which BIND can fail. */
TEST_F(device_fields, refused_bind)
{
	struct subject *s = &self->s;

	if (!has_node(s))
		SKIP(return, NO_NOIOMMU_NODES);
	EXPECT_EQ(s->closed, fields(s));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		int fd = node_open(s);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, machine_has(s, fd, true));
		if (refused[i].callback >= 0)
			ASSERT_EQ(0, fail(s, refused[i].callback, refused[i].error));
		EXPECT_EQ(-refused[i].error, refused[i].bind(s, fd)) TH_LOG("%s", refused[i].what);
		EXPECT_EQ(s->closed, fields(s)) TH_LOG("%s", refused[i].what);
		if (refused[i].callback >= 0)
			ASSERT_EQ(0, fail(s, refused[i].callback, 0));
		/* The driver's open_device saw what has gone since. */
		if (refused[i].callback == CALLS_FAIL_OPEN)
			EXPECT_EQ(s->closed | s->bound | s->machine | CALLS_OPEN_COUNT,
				  fields_in(s, CALLS_IN_OPEN));
		ASSERT_EQ(0, machine_has(s, fd, false));
		close(fd);
		EXPECT_EQ(s->closed, fields(s)) TH_LOG("%s", refused[i].what);
	}
}

static int set_precopy(int fd)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
	};

	return xioctl(fd, VFIO_DEVICE_FEATURE, &feature);
}

/* Attaches the device, and a PASID where there are page tables for one; what that sets. */
static uint32_t attach(const struct subject *s, int fd, uint32_t devid)
{
	uint32_t hwpt, pt;

	if (s->kind == BARE)
		return 0;
	if (s->kind == PHYSICAL &&
	    !hwpt_alloc(s->iommufd, devid, s->ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt)) {
		pt = hwpt;
		if (!cdev_attach(fd, &pt) && !cdev_attach_pasid(fd, 5, &pt))
			return CALLS_ATTACHED | CALLS_PASIDS;
		cdev_detach(fd);
	}
	pt = s->ioas;
	return cdev_attach(fd, &pt) ? 0 : CALLS_ATTACHED;
}

/*
 * semantics: 74, 95, 96, 107, 109, 132, 171; defect: B3.  From BIND to close.  Another file's BIND
 * in between changes nothing, but for the machine on the core in C.
 */
TEST_F(device_fields, bound_and_closed)
{
	struct subject *s = &self->s;
	const uint32_t open = s->closed | s->bound | CALLS_OPEN_COUNT;

	if (!has_node(s))
		SKIP(return, NO_NOIOMMU_NODES);
	/* With nothing but BIND; with all that there is; the same, and another's BIND. */
	for (int round = 0; round < 3; round++) {
		int fd = node_open(s), other = node_open(s);
		uint32_t devid, more = 0;

		ASSERT_GE(fd, 0);
		ASSERT_GE(other, 0);
		ASSERT_EQ(0, machine_has(s, fd, true));
		ASSERT_EQ(0, cdev_bind(fd, s->iommufd, &devid));
		EXPECT_EQ(open | s->machine, fields_in(s, CALLS_IN_OPEN));
		EXPECT_EQ(open | s->machine | CALLS_CDEV, fields(s));
		if (round) {
			more = attach(s, fd, devid);
			EXPECT_EQ(s->kind != BARE, !!(more & CALLS_ATTACHED));
			if (s->kind == PHYSICAL)
				TH_LOG("%s PASID", more & CALLS_PASIDS ? "with a" : "without a");
			ASSERT_EQ(0, set_precopy(fd));
			more |= CALLS_PRECOPY;
		}
		EXPECT_EQ(open | s->machine | CALLS_CDEV | more, fields(s));
		if (round == 2) {
			EXPECT_EQ(-EINVAL, bind(s, other));
			EXPECT_EQ(open | BY_CORE(0, s->machine) | CALLS_CDEV | more, fields(s));
		}
		ASSERT_EQ(0, machine_has(s, fd, false));
		close(fd);
		EXPECT_EQ(open | BY_CORE(round == 2 ? 0 : s->machine, s->machine) | CALLS_CDEV |
			  more, fields_in(s, CALLS_IN_CLOSE));
		EXPECT_EQ(s->closed, fields(s));
		close(other);
		EXPECT_EQ(s->closed, fields(s));
	}
}

/* ---- by its group ---- */

/* What is set while the device is open by its group and an iommufd. */
static uint32_t open_by_group(const struct subject *s)
{
	return s->closed | CALLS_OPEN_COUNT | s->machine |
	       (s->kind == BARE ? 0 : s->bound | CALLS_ATTACHED);
}

/* semantics: 69, 94, 150, 153, 156, 171.  Each stage at which GET_DEVICE_FD can fail. */
TEST_F(device_fields, refused_by_group)
{
	static const struct {
		const char *what;
		int callback;
		bool bare;	/* called without an IOMMU, too */
	} stages[] = {
		{ "bind_iommufd fails", CALLS_FAIL_BIND, false },
		{ "open_device fails", CALLS_FAIL_OPEN, true },
		{ "attach_ioas fails", CALLS_FAIL_ATTACH, false },
	};
	struct subject *s = &self->s;
	int group;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = group_node_open(s);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, machine_has(s, group, true));
	EXPECT_EQ(-EINVAL, group_device(group, s->name));
	EXPECT_EQ(s->closed, fields(s));
	ASSERT_EQ(0, group_set(group, s->iommufd));
	EXPECT_EQ(-ENODEV, group_device(group, "none"));
	EXPECT_EQ(s->closed, fields(s));
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		if (s->kind == BARE && !stages[i].bare)
			continue;
		ASSERT_EQ(0, fail(s, stages[i].callback, EUCLEAN));
		EXPECT_EQ(-EUCLEAN, group_device(group, s->name)) TH_LOG("%s", stages[i].what);
		EXPECT_EQ(s->closed, fields(s)) TH_LOG("%s", stages[i].what);
		ASSERT_EQ(0, fail(s, stages[i].callback, 0));
		if (stages[i].callback != CALLS_FAIL_BIND)
			EXPECT_EQ(open_by_group(s) & ~CALLS_ATTACHED, fields_in(s, CALLS_IN_OPEN));
	}
	if (s->kind == BARE) {
		/* What has been done with the iommufd makes no sense without an IOMMU. */
		ASSERT_EQ(0, compat_ioas_set(s->iommufd, s->ioas));
		EXPECT_EQ(-EPERM, group_device(group, s->name));
		EXPECT_EQ(s->closed, fields(s));
		ASSERT_EQ(0, compat_ioas_clear(s->iommufd));
	}
	ASSERT_EQ(0, machine_has(s, group, false));
	close(group);
	EXPECT_EQ(s->closed, fields(s));
}

/* semantics: 95, 96, 109, 126, 132, 151, 156, 171.  From the first open to the last close. */
TEST_F(device_fields, opened_by_group)
{
	struct subject *s = &self->s;
	const uint32_t open = open_by_group(s);
	int group;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	group = group_node_open(s);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, machine_has(s, group, true));
	ASSERT_EQ(0, group_set(group, s->iommufd));
	for (int round = 0; round < 2; round++) {
		int fd[2];

		for (int i = 0; i < 2; i++) {
			fd[i] = group_device(group, s->name);
			ASSERT_GE(fd[i], 0);
			EXPECT_EQ(open, fields(s));
			EXPECT_EQ(i + 1, calls_seen(s->calls, 0, CALLS_NOW).open_count);
		}
		EXPECT_EQ(open & ~CALLS_ATTACHED, fields_in(s, CALLS_IN_OPEN));
		ASSERT_EQ(0, set_precopy(fd[1]));
		EXPECT_EQ(open | CALLS_PRECOPY, fields(s));
		/* In either order. */
		close(fd[round]);
		EXPECT_EQ(open | CALLS_PRECOPY, fields(s));
		EXPECT_EQ(1, calls_seen(s->calls, 0, CALLS_NOW).open_count);
		close(fd[!round]);
		EXPECT_EQ(open | CALLS_PRECOPY, fields_in(s, CALLS_IN_CLOSE));
		EXPECT_EQ(s->closed, fields(s));
	}
	ASSERT_EQ(0, machine_has(s, group, false));
	close(group);
}

/* semantics: 69, 94, 132, 150, 152, 156, 166, 171.  In a container, which binds nothing. */
TEST_F(device_fields, opened_by_container)
{
	struct subject *s = &self->s;
	const uint32_t open = s->closed | s->machine | CALLS_OPEN_COUNT;
	int group, container, fd, other;

	if (!has_containers())
		SKIP(return, NO_CONTAINERS);
	container = container_open();
	group = group_node_open(s);
	ASSERT_GE(container, 0);
	ASSERT_GE(group, 0);
	ASSERT_EQ(0, machine_has(s, group, true));
	ASSERT_EQ(0, group_set(group, container));
	/* No driver of the container. */
	EXPECT_EQ(-EINVAL, group_device(group, s->name));
	EXPECT_EQ(s->closed, fields(s));
	ASSERT_EQ(0, container_set_iommu(container, s->kind == BARE ? VFIO_NOIOMMU_IOMMU :
								      VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, fail(s, CALLS_FAIL_OPEN, EUCLEAN));
	EXPECT_EQ(-EUCLEAN, group_device(group, s->name));
	EXPECT_EQ(open, fields_in(s, CALLS_IN_OPEN));
	EXPECT_EQ(s->closed, fields(s));
	ASSERT_EQ(0, fail(s, CALLS_FAIL_OPEN, 0));
	fd = group_device(group, s->name);
	other = group_device(group, s->name);
	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	EXPECT_EQ(open, fields(s));
	ASSERT_EQ(0, set_precopy(fd));
	close(fd);
	EXPECT_EQ(open | CALLS_PRECOPY, fields(s));
	close(other);
	EXPECT_EQ(open | CALLS_PRECOPY, fields_in(s, CALLS_IN_CLOSE));
	EXPECT_EQ(s->closed, fields(s));
	ASSERT_EQ(0, machine_has(s, group, false));
	close(group);
	close(container);
	EXPECT_EQ(s->closed, fields(s));
}

/*
 * semantics: 17, 54, 95, 107, 109.  Nothing of an open by one open path is there at the next
 * open, by another open path and without a machine.
 */
TEST_F(device_fields, one_way_after_another)
{
	struct subject *s = &self->s;
	int group, fd;

	if (!has_node(s))
		SKIP(return, NO_NOIOMMU_NODES);
	if (!has_groups())
		SKIP(return, NO_GROUPS);
	for (int round = 0; round < 2; round++) {
		fd = node_open(s);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, machine_has(s, fd, true));
		ASSERT_EQ(0, bind(s, fd));
		EXPECT_EQ(s->closed | s->bound | s->machine | CALLS_OPEN_COUNT | CALLS_CDEV,
			  fields(s));
		ASSERT_EQ(0, machine_has(s, fd, false));
		close(fd);

		group = group_node_open(s);
		ASSERT_GE(group, 0);
		ASSERT_EQ(0, group_set(group, s->iommufd));
		fd = group_device(group, s->name);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(open_by_group(s) & ~(CALLS_KVM | CALLS_ATTACHED),
			  fields_in(s, CALLS_IN_OPEN));
		EXPECT_EQ(open_by_group(s) & ~CALLS_KVM, fields(s));
		/* The group goes first. */
		close(group);
		close(fd);
		EXPECT_EQ(s->closed, fields(s));
	}
}

/* semantics: 74, 179, 181, 193.  A registration has one field of its own. */
TEST_F(device_fields, registered_again)
{
	struct subject *s = &self->s;

	if (!has_node(s))
		SKIP(return, NO_NOIOMMU_NODES);
	for (int round = 0; round < 2; round++) {
		int fd = node_open(s);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, machine_has(s, fd, true));
		ASSERT_EQ(0, bind(s, fd));
		ASSERT_EQ(0, machine_has(s, fd, false));
		close(fd);
		ASSERT_EQ(0, calls_one(s->calls, CALLS_UNREGISTER, 0, 0));
		EXPECT_EQ(s->closed & ~CALLS_DEBUG_ROOT, fields(s));
		ASSERT_EQ(0, calls_one(s->calls, CALLS_REGISTER, 0, 0));
		EXPECT_EQ(s->closed, fields(s));
	}
}

TEST_HARNESS_MAIN

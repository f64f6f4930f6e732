// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binding of processes on devices that have no PASIDs: which files serve, arguments and
 * their errors in order, and that nothing is left behind.  The core in C knows none of
 * the ioctls and says so as to any other it does not know.
 */
#include "lib/cdev.h"
#include "lib/container.h"
#include "lib/feature.h"
#include "lib/iommufd.h"
#include "lib/sva.h"
#include "lib/test.h"
#include "lib/viommu.h"

/* What the cores say to an ioctl that ours serves, if the file does. */
#define NOTTY_OR(err) BY_CORE(-ENOTTY, err)

static int bind_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_BIND_PROCESS, (void *)arg);
}

static int unbind_raw(int fd, const void *arg)
{
	return xioctl(fd, VFIO_UNBIND_PROCESS, (void *)arg);
}

/*
 * What a device without PASIDs is told.  Linux's driver of AMD's IOMMU cannot be trusted
 * with those of any device.
 */
static int refused(const struct pci *pci)
{
	return viommu_of(pci) == VIOMMU_AMD ? -EOPNOTSUPP : -ENOSPC;
}

/* Only the first @there bytes exist. */
static int bind_edge(int fd, struct vfio_bind_process arg, size_t there)
{
	void *p = edge_alloc(there);

	return bind_raw(fd, memcpy(p, &arg, there));
}

static int unbind_edge(int fd, struct vfio_unbind_process arg, size_t there)
{
	void *p = edge_alloc(there);

	return unbind_raw(fd, memcpy(p, &arg, there));
}

FIXTURE(sva_errors) {
	struct pci pci;
	struct session s;
};

FIXTURE_SETUP(sva_errors)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open(&self->pci, &self->s));
}

FIXTURE_TEARDOWN(sva_errors)
{
	session_close(&self->s);
}

/* A file that is not bound has no access, for these as for all. */
TEST_F(sva_errors, before_bind)
{
	int fd = cdev_open(&self->pci);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, process_bind(fd, NULL));
	EXPECT_EQ(-EINVAL, process_unbind(fd));
	EXPECT_EQ(-EINVAL, bind_raw(fd, NULL));
	EXPECT_EQ(-EINVAL, sva_feature(fd, PROBE | GET, NULL));
	close(fd);
}

/* The arguments of BIND, in their order; the device is asked last. */
TEST_F(sva_errors, bind_arguments)
{
	struct vfio_bind_process arg = { .argsz = sizeof(arg) };
	int fd = self->s.fd;

	EXPECT_EQ(NOTTY_OR(-EFAULT), bind_raw(fd, NULL));
	for (size_t there = 0; there < sizeof(arg); there++)
		EXPECT_EQ(NOTTY_OR(-EFAULT), bind_edge(fd, arg, there));
	for (arg.argsz = 0; arg.argsz < sizeof(arg); arg.argsz++)
		EXPECT_EQ(NOTTY_OR(-EINVAL), bind_edge(fd, arg, sizeof(arg)));
	/* Another process than the caller. */
	for (arg.flags = 1; arg.flags <= 3; arg.flags++)
		EXPECT_EQ(NOTTY_OR(-EOPNOTSUPP), bind_edge(fd, arg, sizeof(arg)));
	/* Unknown flags, also with those. */
	for (arg.flags = 4; arg.flags; arg.flags <<= 1) {
		EXPECT_EQ(NOTTY_OR(-EINVAL), bind_edge(fd, arg, sizeof(arg)));
		arg.flags |= VFIO_BIND_PROCESS_PID;
		EXPECT_EQ(NOTTY_OR(-EINVAL), bind_edge(fd, arg, sizeof(arg)));
		arg.flags &= ~VFIO_BIND_PROCESS_PID;
	}
	for (arg.__reserved = 1; arg.__reserved; arg.__reserved <<= 1)
		EXPECT_EQ(NOTTY_OR(-EINVAL), bind_edge(fd, arg, sizeof(arg)));
	/* A size of later versions, and an output that goes in. */
	arg.argsz = 4096;
	arg.pasid = 77;
	EXPECT_EQ(NOTTY_OR(refused(&self->pci)), bind_edge(fd, arg, sizeof(arg)));
}

TEST_F(sva_errors, unbind_arguments)
{
	struct vfio_unbind_process arg = { .argsz = sizeof(arg) };
	int fd = self->s.fd;

	EXPECT_EQ(NOTTY_OR(-EFAULT), unbind_raw(fd, NULL));
	for (size_t there = 0; there < sizeof(arg); there++)
		EXPECT_EQ(NOTTY_OR(-EFAULT), unbind_edge(fd, arg, there));
	for (arg.argsz = 0; arg.argsz < sizeof(arg); arg.argsz++)
		EXPECT_EQ(NOTTY_OR(-EINVAL), unbind_edge(fd, arg, sizeof(arg)));
	for (arg.flags = 1; arg.flags; arg.flags <<= 1)
		EXPECT_EQ(NOTTY_OR(-EINVAL), unbind_edge(fd, arg, sizeof(arg)));
	EXPECT_EQ(NOTTY_OR(-ENOENT), unbind_edge(fd, arg, sizeof(arg)));
}

/* No PASIDs, however often and by whom it is tried; the device works on. */
TEST_F(sva_errors, no_pasids)
{
	struct vfio_region_info info;
	int want = refused(&self->pci);

	for (int i = 0; i < 100; i++)
		ASSERT_EQ(NOTTY_OR(want), process_bind(self->s.fd, NULL));
	EXPECT_EQ(NOTTY_OR(-ENOENT), process_unbind(self->s.fd));
	EXPECT_EQ(0, cdev_region(self->s.fd, VFIO_PCI_CONFIG_REGION_INDEX, &info));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_EQ(NOTTY_OR(want), process_bind(self->s.fd, NULL));
}

/* The feature tells a core that has the ioctls from one that has not. */
TEST_F(sva_errors, feature)
{
	struct vfio_device_feature head = { sizeof(head), GET | VFIO_DEVICE_FEATURE_SVA };
	uint32_t max_pasids = 77;
	int fd = self->s.fd;

	EXPECT_EQ(NOTTY_OR(0), sva_feature(fd, PROBE | GET, NULL));
	EXPECT_EQ(NOTTY_OR(0), sva_feature(fd, GET, &max_pasids));
	EXPECT_EQ(BY_CORE(77u, 0u), max_pasids);
	EXPECT_EQ(NOTTY_OR(-EINVAL), sva_feature(fd, PROBE | SET, NULL));
	EXPECT_EQ(NOTTY_OR(-EINVAL), sva_feature(fd, SET, NULL));
	EXPECT_EQ(NOTTY_OR(-EINVAL), sva_feature(fd, PROBE | GET | SET, NULL));
	/* Nothing is asked; no room for the answer. */
	EXPECT_EQ(NOTTY_OR(-EINVAL), sva_feature(fd, 0, NULL));
	EXPECT_EQ(NOTTY_OR(-EINVAL), xioctl(fd, VFIO_DEVICE_FEATURE, &head));
}

/* Files through a group leave it to the container. */
TEST(sva_of_a_group)
{
	struct boxed box = BOXED_NONE;
	struct pci pci;
	int container;

	if (access(CONTAINER, F_OK))
		SKIP(return, NO_CONTAINERS);
	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	container = container_open();
	ASSERT_GE(container, 0);
	EXPECT_EQ(BY_CORE(0, 1), container_check(container, VFIO_SVA));
	/* No groups, no driver. */
	EXPECT_EQ(-EINVAL, process_bind(container, NULL));
	EXPECT_EQ(-EINVAL, process_unbind(container));
	close(container);

	ASSERT_EQ(0, boxed_open(&pci, &box));
	EXPECT_EQ(-ENOTTY, process_bind(box.fd, NULL));
	EXPECT_EQ(-ENOTTY, process_unbind(box.fd));
	EXPECT_EQ(-ENOTTY, sva_feature(box.fd, PROBE | GET, NULL));
	EXPECT_EQ(BY_CORE(0, 1), container_check(box.container, VFIO_SVA));
	EXPECT_EQ(NOTTY_OR(-EFAULT), bind_raw(box.container, NULL));
	EXPECT_EQ(NOTTY_OR(refused(&pci)), process_bind(box.container, NULL));
	EXPECT_EQ(NOTTY_OR(-ENOENT), process_unbind(box.container));
	boxed_close(&box);
}

/* Devices of one group cannot be kept from each other's PASIDs. */
TEST(sva_in_a_group_of_two)
{
	struct boxed box = BOXED_NONE;
	struct pci pci, other;
	struct session s;

	if (pci_find_pair(EDU, &pci, &other))
		SKIP(return, "no group of two devices");
	ASSERT_EQ(0, pci_to_vfio(&other));
	ASSERT_EQ(0, session_open(&pci, &s));
	EXPECT_EQ(NOTTY_OR(-EPERM), process_bind(s.fd, NULL));
	EXPECT_EQ(NOTTY_OR(-ENOENT), process_unbind(s.fd));
	session_close(&s);

	if (access(CONTAINER, F_OK))
		return;
	ASSERT_EQ(0, boxed_open(&pci, &box));
	EXPECT_EQ(NOTTY_OR(-EPERM), process_bind(box.container, NULL));
	boxed_close(&box);
}

TEST_HARNESS_MAIN

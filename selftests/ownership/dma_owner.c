// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns the DMA of a group: user space, from the call that claims it to the one that
 * gives it up, or drivers of the host, and never both.  All of it by each of the three open paths
 * of a device, which differ in what that call is.  One device of the group is user space's,
 * the other has a driver of the host that does DMA.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "lib/container.h"
#include "lib/host.h"
#include "lib/iommufd.h"
#include "lib/open_path.h"
#include "lib/task.h"
#include "lib/test.h"
#include "lib/testiommu.h"

#define PAGE 4096u
#define RNG_DRIVER "virtio-pci"
#define RNG_MODULE "virtio_rng"

/* Is one of those files open that keep the group in user space's hands? */
static bool owned_by(const struct opened *o)
{
	return o->fd >= 0 || (o->open_path == OPEN_CONTAINER && o->group >= 0);
}

static int do_unbind(void *pci)
{
	return pci_unbind(pci);
}

/* More than the drivers between the reader and the device keep in store. */
static int read_random(void *arg)
{
	char bytes[256] = { 0 };
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC), used = 0, n = 0;

	if (fd < 0)
		return -errno;
	while (n < sizeof(bytes)) {
		ssize_t more = read(fd, bytes + n, sizeof(bytes) - n);

		if (more <= 0)
			return more ? -errno : -EPIPE;
		n += more;
	}
	for (int i = 0; i < sizeof(bytes); i++)
		used += !!bytes[i];
	return used > sizeof(bytes) / 2 ? 0 : -EBADMSG;
}

/* The host's device does its DMA: what it writes is where its driver looks for it. */
static bool host_works(void)
{
	struct task task;

	return !task_start(&task, read_random, NULL) && !task_join(&task);
}

FIXTURE(dma_owner) {
	struct pci pci, host;	/* in one group */
	struct opened o;
};

FIXTURE_VARIANT(dma_owner) {
	enum open_path open_path;
};

FIXTURE_VARIANT_ADD(dma_owner, cdev) { OPEN_CDEV };
FIXTURE_VARIANT_ADD(dma_owner, group) { OPEN_GROUP };
FIXTURE_VARIANT_ADD(dma_owner, container) { OPEN_CONTAINER };

FIXTURE_SETUP(dma_owner)
{
	const char *lacks = open_path_lacks(variant->open_path);

	self->o = OPENED_NONE;
	if (lacks)
		SKIP(return, "%s", lacks);
	if (pci_find_mixed(EDU, &self->pci, &self->host) || self->host.id != VIRTIO_RNG)
		SKIP(return, "no edu in a group with a virtio-rng");
	if (module_load(RNG_MODULE) || module_load(HOST_MODULE))
		SKIP(return, "no module " RNG_MODULE ", or none " HOST_MODULE);
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	ASSERT_TRUE(host_works());
}

/* Whatever the test was: nobody owns the group, and the host works as before. */
FIXTURE_TEARDOWN(dma_owner)
{
	open_path_close(&self->o);
	EXPECT_EQ(0, pci_to_vfio(&self->pci));
	EXPECT_EQ(0, pci_to_driver(&self->host, RNG_DRIVER));
	EXPECT_TRUE(host_works());
	pci_attr_set(&self->host, "driver_override", "\n");
	module_unload(RNG_MODULE);
	EXPECT_EQ(0, module_unload(HOST_MODULE));
}

/*
 * May a driver of the host have the device back, now?  One that begins nothing: it is asked
 * often, and the kernel's answer does not depend on what the driver would do.
 */
#define host_may() host_may_have(&self->host, HOST_PLAIN)

/*
 * semantics: 106, 110, 146, 148, 150, 157, 192.  The host was first: it is the claim that is
 * refused, no other call, and nothing comes of it.
 */
TEST_F(dma_owner, host_first)
{
	enum open_path open_path = variant->open_path;

	ASSERT_EQ(0, open_path_begin(open_path, &self->pci, NULL, &self->o));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(-EPERM, open_path_claim(&self->pci, NULL, &self->o));
		EXPECT_TRUE(host_works());
		if (open_path == OPEN_CDEV) {
			EXPECT_EQ(-EINVAL, device_info(self->o.fd));
			EXPECT_TRUE(group_is_free(&self->pci));
		} else {
			/* In no container; an iommufd stays where it was. */
			EXPECT_EQ(open_path == OPEN_GROUP ? GROUP_SET : 0,
				  group_flags(self->o.group));
			EXPECT_EQ(open_path == OPEN_GROUP ? 0 : -EINVAL,
				  group_unset(self->o.group));
		}
		if (open_path == OPEN_GROUP)
			ASSERT_EQ(0, group_set(self->o.group, self->o.space));
		/* The driver goes and comes as it likes. */
		ASSERT_EQ(0, pci_unbind(&self->host));
		EXPECT_EQ(0, host_may());
		ASSERT_EQ(0, host_bind(&self->host, RNG_DRIVER));
	}
	EXPECT_TRUE(host_works());
	/* Without it, the same call on the same files. */
	ASSERT_EQ(0, pci_unbind(&self->host));
	ASSERT_EQ(0, open_path_claim(&self->pci, NULL, &self->o));
	ASSERT_EQ(0, open_path_finish(&self->pci, NULL, NULL, &self->o));
	EXPECT_TRUE(open_path_edu_works(&self->o));
}

/*
 * semantics: 106, 109, 148, 149, 155, 157.  User space was first: the host has to wait from
 * the claim on, and not from before, until the end, and not for longer.
 */
TEST_F(dma_owner, claim_to_release)
{
	enum open_path open_path = variant->open_path;
	struct opened *o = &self->o;

	ASSERT_EQ(0, pci_unbind(&self->host));
	EXPECT_EQ(0, host_may());
	ASSERT_EQ(0, open_path_begin(open_path, &self->pci, NULL, o));
	EXPECT_EQ(0, host_may());
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, open_path_claim(&self->pci, NULL, o));
		EXPECT_EQ(-EBUSY, host_may());
		ASSERT_EQ(0, open_path_finish(&self->pci, NULL, NULL, o));
		EXPECT_EQ(-EBUSY, host_may());
		EXPECT_TRUE(open_path_edu_works(o));
		if (open_path == OPEN_CDEV) {
			/* A page table is not what it is about. */
			EXPECT_EQ(0, cdev_detach(o->fd));
			EXPECT_EQ(-EBUSY, host_may());
			close_fd(&o->fd);
			EXPECT_EQ(0, host_may());
			o->fd = cdev_open(&self->pci);
			ASSERT_GE(o->fd, 0);
		} else if (open_path == OPEN_GROUP) {
			/* Nor is the iommufd that the group's file knows. */
			EXPECT_EQ(0, group_unset(o->group));
			EXPECT_EQ(-EBUSY, host_may());
			close_fd(&o->fd);
			EXPECT_EQ(0, host_may());
			ASSERT_EQ(0, group_set(o->group, o->space));
		} else {
			/* Nor is the device, where it is the group that was claimed. */
			EXPECT_EQ(-EBUSY, group_unset(o->group));
			close_fd(&o->fd);
			EXPECT_EQ(-EBUSY, host_may());
			EXPECT_EQ(0, group_unset(o->group));
		}
		EXPECT_EQ(0, host_may());
	}
}

/* semantics: 106, 109, 152, 153, 155, 165, 201.  Which file is the last that counts. */
TEST_F(dma_owner, every_order_of_closing)
{
	static const int orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct opened *o = &self->o;

	ASSERT_EQ(0, pci_unbind(&self->host));
	for (int i = 0; i < 12; i++) {
		int *files[] = { &o->space, &o->group, &o->fd };

		ASSERT_EQ(0, open_path_begin(variant->open_path, &self->pci, NULL, o));
		ASSERT_EQ(0, open_path_claim(&self->pci, NULL, o));
		/* In the middle of opening it all, or when that is done. */
		if (i & 1)
			ASSERT_EQ(0, open_path_finish(&self->pci, NULL, NULL, o));
		for (int j = 0; j < 3; j++) {
			close_fd(files[orders[i / 2][j]]);
			EXPECT_EQ(owned_by(o) ? -EBUSY : 0, host_may())
				TH_LOG("order %d, after %d files", i, j + 1);
			if (o->fd >= 0 && (i & 1))
				EXPECT_EQ(0, device_info(o->fd));
		}
	}
}

/*
 * Its driver refuses a group that the core has claimed for it already: another group is in
 * the container, for a driver is chosen by the first.
 */
static int refused_by_the_driver(const struct pci *other, struct opened *o)
{
	int group = group_open(other), ret;

	ret = group < 0 ? group : group_set(group, o->space);
	ret = ret ?: container_set_iommu(o->space, TESTIOMMU_OWN);
	ret = ret ?: testiommu_set("attach_error", "71");	/* EPROTO */
	ret = ret ?: group_set(o->group, o->space);
	testiommu_set("attach_error", "0");
	close(group);
	return ret;
}

/* semantics: 103, 107, 148, 150.  What fails after the claim gives it up again. */
TEST_F(dma_owner, claim_undone)
{
	struct vfio_device_bind_iommufd *bind = pages_alloc(PAGE);
	struct opened *o = &self->o;
	struct pci other;
	uint32_t ioas;

	ASSERT_EQ(0, pci_unbind(&self->host));
	ASSERT_EQ(0, open_path_begin(variant->open_path, &self->pci, NULL, o));
	switch (variant->open_path) {
	case OPEN_CDEV:
		/* The device's number cannot be told. */
		bind->argsz = sizeof(*bind);
		bind->iommufd = o->space;
		ASSERT_EQ(0, mprotect(bind, PAGE, PROT_READ));
		EXPECT_EQ(-EFAULT, xioctl(o->fd, VFIO_DEVICE_BIND_IOMMUFD, bind));
		break;
	case OPEN_GROUP:
		/* There is nothing to attach the device to. */
		ASSERT_EQ(0, compat_ioas_get(o->space, &ioas));
		ASSERT_EQ(0, compat_ioas_clear(o->space));
		EXPECT_EQ(-ENODEV, open_path_claim(&self->pci, NULL, o));
		ASSERT_EQ(0, compat_ioas_set(o->space, ioas));
		break;
	default:
		if (pci_find_at(EDU, false, &other) || module_load(TESTIOMMU))
			SKIP(return, "no second edu device, or no module " TESTIOMMU);
		ASSERT_EQ(0, pci_to_vfio(&other));
		ASSERT_EQ(0, testiommu_set("register", "0"));
		EXPECT_EQ(-EPROTO, refused_by_the_driver(&other, o));
		EXPECT_EQ(0, module_unload(TESTIOMMU));
	}
	EXPECT_EQ(0, host_may());
	EXPECT_EQ(0, open_path_claim(&self->pci, NULL, o));
	EXPECT_EQ(-EBUSY, host_may());
}

struct sender {
	enum open_path open_path;
	const struct pci *pci;
	int sock, file;
};

/* Opens it all, gives one of the files away, and lives until it is killed. */
static int open_and_send(void *arg)
{
	const struct sender *s = arg;
	struct opened o;
	int ret = open_path_open(s->open_path, s->pci, NULL, NULL, &o);

	if (!ret)
		ret = fd_send(s->sock, s->file == 0 ? o.space : s->file == 1 ? o.group : o.fd);
	if (!ret)
		pause();
	return ret;
}

/* semantics: 152, 194, 197.  Ownership is a file's: it goes where the file goes. */
TEST_F(dma_owner, passed_on)
{
	struct sender sender = { variant->open_path, &self->pci };
	struct opened *o = &self->o;
	struct task task;
	int sock[2];

	ASSERT_EQ(0, pci_unbind(&self->host));
	for (sender.file = 0; sender.file < 3; sender.file++) {
		int *files[] = { &o->space, &o->group, &o->fd };

		if (variant->open_path == OPEN_CDEV && sender.file == 1)
			continue;
		o->open_path = variant->open_path;
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
		sender.sock = sock[0];
		ASSERT_EQ(0, task_start(&task, open_and_send, &sender));
		close(sock[0]);
		*files[sender.file] = fd_receive(sock[1]);
		ASSERT_GT(*files[sender.file], 0);
		EXPECT_EQ(-EBUSY, host_may());
		kill(task.pid, SIGKILL);
		EXPECT_EQ(-EPIPE, task_join(&task));
		EXPECT_EQ(owned_by(o) ? -EBUSY : 0, host_may()) TH_LOG("file %d", sender.file);
		if (o->fd >= 0)
			EXPECT_EQ(0, device_info(o->fd));
		open_path_close(o);
		EXPECT_EQ(0, host_may());
		close(sock[1]);
	}
}

/*
 * semantics: 86, 87, 90, 91, 95.  The device's own driver is asked to let it go: it stays
 * owned while that waits for its user, and no longer, though the group's file be open.
 */
TEST_F(dma_owner, device_goes)
{
	struct opened *o = &self->o;
	struct task task;

	ASSERT_EQ(0, pci_unbind(&self->host));
	ASSERT_EQ(0, open_path_open(variant->open_path, &self->pci, NULL, NULL, o));
	ASSERT_EQ(0, task_start_alone(&task, do_unbind, &self->pci));
	ASSERT_TRUE(task_waits_for_users(&task));
	EXPECT_EQ(-EBUSY, host_may());
	EXPECT_EQ(0, device_info(o->fd));
	EXPECT_TRUE(open_path_edu_works(o));
	EXPECT_FALSE(task_ended(&task, 0));
	close_fd(&o->fd);
	EXPECT_EQ(0, task_join(&task));
	/* It was the last of its group that VFIO had. */
	EXPECT_EQ(0, host_may());
	if (o->group >= 0)
		EXPECT_EQ(-ENODEV, group_flags(o->group));
	ASSERT_EQ(0, host_bind(&self->host, RNG_DRIVER));
	EXPECT_TRUE(host_works());
}

TEST_HARNESS_MAIN

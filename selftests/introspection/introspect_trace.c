// SPDX-License-Identifier: GPL-2.0-only
/* The trace events of our core, which the core in C has not. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cdev.h"
#include "lib/group.h"
#include "lib/introspect.h"
#include "lib/iommufd.h"
#include "lib/space.h"
#include "lib/sva.h"
#include "lib/test.h"
#include "lib/trace.h"
#include "lib/viommu.h"

/* A buffer of our own: nobody else's events are in it, nor ours in theirs. */
#define INSTANCE TRACING "/instances/vfio-introspect"
#define BAD_ID 0x7fffffff

/* The events that are to come of a device. */
struct wanted {
	int minor;
	const char *dev;
	char text[8192];
};

FIXTURE(introspect_trace) {
	struct pci pci;
	int space, major;
	struct wanted wanted;
};

FIXTURE_SETUP(introspect_trace)
{
	char node[128], name[64];
	struct stat st;

	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&self->pci));
	self->wanted.dev = self->pci.bdf;
	if (has_iommufd()) {
		ASSERT_EQ(0, pci_cdev_path(&self->pci, node, sizeof(node)));
		ASSERT_EQ(0, stat(node, &st));
		self->wanted.minor = minor(st.st_rdev);
		self->major = major(st.st_rdev);
	} else {
		/* The minor that it would have: its number. */
		ASSERT_EQ(0, pci_vfio_name(&self->pci, name, sizeof(name)));
		self->wanted.minor = atoi(name + strlen("vfio"));
	}
	self->space = space_open();
	ASSERT_GE(self->space, 0);
	if (access(TRACING "/events", F_OK))
		SKIP(return, "a kernel without trace events");
}

FIXTURE_TEARDOWN(introspect_trace)
{
	close(self->space);
	rmdir(INSTANCE);
	pci_to_vfio(&self->pci);
}

static bool trace_begin(void)
{
	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		return false;
	return !trace_clear(INSTANCE "/trace") &&
	       !sysfs_write(INSTANCE "/events/vfio/enable", "1");
}

/* The events, each from its name on: without the task, the time and so on. */
static const char *trace_end(void)
{
	static char text[65536], events[65536];
	char *line, *rest = text, *event;
	int fd, n, got = 0, used = 0;

	sysfs_write(INSTANCE "/events/vfio/enable", "0");
	fd = open(INSTANCE "/trace", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "unreadable";
	while ((n = read(fd, text + got, sizeof(text) - 1 - got)) > 0)
		got += n;
	text[got] = '\0';
	close(fd);
	events[0] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		event = strstr(line, ": vfio_");
		if (*line != '#' && event)
			used += snprintf(events + used, sizeof(events) - used, "%s\n",
					 event + 2);
	}
	return events;
}

/* The next is @event of the device, and the rest. */
#define want(list, event, rest, ...) do {					\
	struct wanted *to = (list);						\
	size_t used = strlen(to->text);						\
										\
	snprintf(to->text + used, sizeof(to->text) - used,			\
		 event ": minor=%d dev=%s " rest "\n", to->minor, to->dev,	\
		 ##__VA_ARGS__);						\
} while (0)

/* Each event is there to be enabled; nothing is recorded of what is not. */
TEST_F(introspect_trace, events)
{
	static const char *const events[] = { "open", "bind", "attach", "detach", "close" };
	struct by_group by = { -1, self->pci.bdf };
	char path[128];

	for (int i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), TRACING "/events/vfio/vfio_%s/format", events[i]);
		EXPECT_EQ(BY_CORE(-1, 0), access(path, R_OK));
	}
	EXPECT_EQ(core_is_rust(), trace_begin());
	trace_end();
	if (!core_is_rust())
		return;
	by.group = has_iommufd() ? -1 : group_start(&self->pci, self->space);
	close(BY_SPACE(cdev_open(&self->pci), open_by_group(&by)));
	close(by.group);
	EXPECT_STREQ("", trace_end());
}

/* A device's whole life, what failed of it and what did not. */
TEST_F(introspect_trace, device)
{
	uint32_t devid, hwpt[2], ioas, pt;
	int fd, ifd = self->space;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ASSERT_EQ(core_is_rust(), trace_begin());
	fd = cdev_open(&self->pci);
	ASSERT_GE(fd, 0);
	want(&self->wanted, "vfio_open", "access=cdev err=0");

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	want(&self->wanted, "vfio_bind", "iommufd=-1 devid=0 err=%d", -EFAULT);
	EXPECT_EQ(-EBADF, cdev_bind(fd, 1000, NULL));
	want(&self->wanted, "vfio_bind", "iommufd=1000 devid=0 err=%d", -EBADF);
	EXPECT_EQ(0, cdev_bind(fd, ifd, &devid));
	want(&self->wanted, "vfio_bind", "iommufd=%d devid=%u err=0", ifd, devid);
	EXPECT_EQ(-EINVAL, cdev_bind(fd, ifd, NULL));
	want(&self->wanted, "vfio_bind", "iommufd=%d devid=0 err=%d", ifd, -EINVAL);

	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	want(&self->wanted, "vfio_attach", "pasid=0 pt_id=0 used=0 err=%d", -EFAULT);
	pt = BAD_ID;
	EXPECT_EQ(-ENOENT, cdev_attach(fd, &pt));
	want(&self->wanted, "vfio_attach", "pasid=0 pt_id=%u used=0 err=%d", BAD_ID, -ENOENT);
	ASSERT_EQ(0, ioas_alloc(ifd, &ioas));
	if (pasid_tables(&(struct session){ fd, ifd, devid, ioas }) == -EOPNOTSUPP)
		SKIP(return, "the IOMMU has no page tables for PASIDs");
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, hwpt_alloc(ifd, devid, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt[i]));
	pt = hwpt[0];
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	want(&self->wanted, "vfio_attach", "pasid=0 pt_id=%u used=%u err=0", hwpt[0], hwpt[0]);
	pt = hwpt[1];
	EXPECT_EQ(0, cdev_attach_pasid(fd, 5, &pt));
	want(&self->wanted, "vfio_attach", "pasid=5 pt_id=%u used=%u err=0", hwpt[1], hwpt[1]);
	pt = BAD_ID;
	EXPECT_EQ(-ENOENT, cdev_attach_pasid(fd, 5, &pt));
	want(&self->wanted, "vfio_attach", "pasid=5 pt_id=%u used=0 err=%d", BAD_ID, -ENOENT);

	EXPECT_EQ(0, cdev_detach_pasid(fd, 5));
	want(&self->wanted, "vfio_detach", "pasid=5 err=0");
	EXPECT_EQ(0, cdev_detach(fd));
	want(&self->wanted, "vfio_detach", "pasid=0 err=0");
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL));
	want(&self->wanted, "vfio_detach", "pasid=0 err=%d", -EFAULT);

	/* An address space goes in, the page table that was made for it is used. */
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(fd, &pt));
	EXPECT_NE(ioas, pt);
	want(&self->wanted, "vfio_attach", "pasid=0 pt_id=%u used=%u err=0", ioas, pt);

	/* The device has no PASIDs. */
	EXPECT_EQ(BY_CORE(-ENOTTY, -ENOSPC), process_bind(fd, NULL));
	want(&self->wanted, "vfio_bind_process", "pasid=0 err=%d", -ENOSPC);
	EXPECT_EQ(BY_CORE(-ENOTTY, -ENOENT), process_unbind(fd));
	want(&self->wanted, "vfio_unbind_process", "pasid=0 err=%d", -ENOENT);
	close(fd);
	want(&self->wanted, "vfio_close", "access=cdev bound=yes err=0");

	fd = cdev_open(&self->pci);
	want(&self->wanted, "vfio_open", "access=cdev err=0");
	close(fd);
	want(&self->wanted, "vfio_close", "access=cdev bound=no err=0");
	EXPECT_STREQ(BY_CORE("", self->wanted.text), trace_end());
}

/* Through the group: it is opened, and needs no bind. */
TEST_F(introspect_trace, group)
{
	struct by_group by = { group_open(&self->pci), self->pci.bdf };
	int fd;

	ASSERT_GE(by.group, 0);
	ASSERT_EQ(core_is_rust(), trace_begin());
	EXPECT_EQ(-EINVAL, open_by_group(&by));
	want(&self->wanted, "vfio_open", "access=group err=%d", -EINVAL);
	ASSERT_EQ(0, space_set(by.group, self->space));
	fd = open_by_group(&by);
	ASSERT_GE(fd, 0);
	want(&self->wanted, "vfio_open", "access=group err=0");
	close(fd);
	want(&self->wanted, "vfio_close", "access=group bound=yes err=0");
	/* There is no such device in the group. */
	by.name = "0000:00:00.0";
	EXPECT_EQ(-ENODEV, open_by_group(&by));
	snprintf(self->wanted.text + strlen(self->wanted.text), 128,
		 "vfio_open: minor=-1 dev= access=group err=%d\n", -ENODEV);
	EXPECT_STREQ(BY_CORE("", self->wanted.text), trace_end());
	close(by.group);
}

/* What has no device (any more) has a number. */
TEST_F(introspect_trace, no_device)
{
	const char *kept = "/tmp/introspect-no-device";
	int fd;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	if (!core_is_rust())
		SKIP(return, "the core in C would wait for the unbound file");
	unlink(kept);
	ASSERT_EQ(0, mknod(kept, S_IFCHR | 0600, makedev(self->major, self->wanted.minor)));
	fd = open_path((void *)kept);
	ASSERT_GE(fd, 0);
	ASSERT_TRUE(trace_begin());
	ASSERT_EQ(0, pci_unbind(&self->pci));
	EXPECT_EQ(-ENODEV, open_path((void *)kept));
	EXPECT_EQ(-ENODEV, cdev_bind(fd, self->space, NULL));
	close(fd);
	/* What the core does not see. */
	EXPECT_EQ(-ENXIO, open_path((void *)kept));
	snprintf(self->wanted.text, sizeof(self->wanted.text),
		 "vfio_open: minor=%d dev= access=cdev err=%d\n"
		 "vfio_bind: minor=%d dev= iommufd=-1 devid=0 err=%d\n"
		 "vfio_close: minor=%d dev= access=cdev bound=no err=0\n",
		 self->wanted.minor, -ENODEV, self->wanted.minor, -ENODEV, self->wanted.minor);
	EXPECT_STREQ(self->wanted.text, trace_end());
	unlink(kept);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What operations cost whose cost must not grow, and calls that are refused, for "make test-costs".
 */
#include "count.h"
#include "crowd.h"

/* The crowd, and one in the middle of it. */
#define MANY	1024
#define SOME	500

static int group_open(int number)
{
	char folder[64], node[64], group[64];

	snprintf(folder, sizeof(folder), DEVICE, number);
	find_nodes(folder, node, group);
	return must_open(group);
}

/* One of the driver's attributes that take a device off it, and give it back. */
static int bind_attr, unbind_attr;

static int tell(int attr, const char *name)
{
	return pwrite(attr, name, strlen(name), 0) == (ssize_t)strlen(name);
}

static int unknown(int group)
{
	return ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "no-such-device");
}

int main(void)
{
	int iommufd, null, fd, info_fd, group;
	char name[32], text[1024];

	iommufd = must_open("/dev/iommu");
	null = must_open("/dev/null");
	put(PARAMETER("iommufd", "allow_unsafe_interrupts"), "Y");
	bind_attr = open(DRIVER "bind", O_WRONLY | O_CLOEXEC);
	unbind_attr = open(DRIVER "unbind", O_WRONLY | O_CLOEXEC);
	if (bind_attr < 0 || unbind_attr < 0)
		fail(DRIVER);

	/* Alone in its group, which it makes and takes away. */
	crowd(1);
	OPERATION("unregister_1", 1, ({ MEASURE(1, MUST(tell(unbind_attr, "vfio-bare.0")));
					MUST(tell(bind_attr, "vfio-bare.0")); }));
	OPERATION("register_1", 2, ({ MUST(tell(unbind_attr, "vfio-bare.0"));
				      MEASURE(2, MUST(tell(bind_attr, "vfio-bare.0"))); }));

	/*
	 * BIND that is refused, and one that is not, for fdinfo.  On ours the first refusals are told in
	 * the log, until that is full of them.
	 */
	fd = device_open(0);
	for (int i = 0; i < TOLD; i++)
		REFUSED(bind_to(fd, BIND_SIZE, 1000), EBADF);
	OPERATION("bind_short", 3, MEASURE(3, REFUSED(bind_to(fd, 15, iommufd), EINVAL)));
	OPERATION("bind_no_file", 4, MEASURE(4, REFUSED(bind_to(fd, BIND_SIZE, 1000), EBADF)));
	OPERATION("bind_other_file", 5, MEASURE(5, REFUSED(bind_to(fd, BIND_SIZE, null), EBADFD)));
	OPERATION("bind", 6, ({ int other = device_open(0);
				MEASURE(6, MUST(!bind_to(other, BIND_SIZE, iommufd))); close(other); }));
	MUST(!bind_to(fd, BIND_SIZE, iommufd));
	OPERATION("bind_again", 7, MEASURE(7, REFUSED(bind_to(fd, BIND_SIZE, iommufd), EINVAL)));
	info_fd = fdinfo_of(fd);
	OPERATION("fdinfo", 8, MEASURE(8, MUST(pread(info_fd, text, sizeof(text), 0) > 0)));
	close(info_fd);
	close(fd);

	/* One of two, and the group stays. */
	crowd(2);
	OPERATION("unregister_2", 9, ({ MEASURE(9, MUST(tell(unbind_attr, "vfio-bare.1")));
					MUST(tell(bind_attr, "vfio-bare.1")); }));
	OPERATION("register_2", 10, ({ MUST(tell(unbind_attr, "vfio-bare.1"));
				       MEASURE(10, MUST(tell(bind_attr, "vfio-bare.1"))); }));
	group = group_open(0);
	OPERATION("unknown_2", 11, MEASURE(11, REFUSED(unknown(group), ENODEV)));
	close(group);

	/* One of many. */
	crowd(MANY);
	snprintf(name, sizeof(name), "vfio-bare.%d", SOME);
	OPERATION("unregister_many", 12, ({ MEASURE(12, MUST(tell(unbind_attr, name)));
					    MUST(tell(bind_attr, name)); }));
	OPERATION("register_many", 13, ({ MUST(tell(unbind_attr, name));
					  MEASURE(13, MUST(tell(bind_attr, name))); }));
	group = group_open(0);
	OPERATION("unknown_many", 14, MEASURE(14, REFUSED(unknown(group), ENODEV)));
	close(group);

	/* The same in one set, and with a driver that looks at names. */
	crowd(0);
	put(PARAMETER("vfio_bare", "one_set"), "Y");
	put(PARAMETER("vfio_bare", "match"), "Y");
	crowd(MANY);
	OPERATION("unregister_set", 15, ({ MEASURE(15, MUST(tell(unbind_attr, name)));
					   MUST(tell(bind_attr, name)); }));
	OPERATION("register_set", 16, ({ MUST(tell(unbind_attr, name));
					 MEASURE(16, MUST(tell(bind_attr, name))); }));
	group = group_open(0);
	OPERATION("unknown_match", 17, MEASURE(17, REFUSED(unknown(group), ENODEV)));
	close(group);
	crowd(0);

	return end();
}

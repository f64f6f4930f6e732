// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the operations on an emulated device cost, and those of its driver, for "make bench".  The device is one
 * of mtty's, which the program makes.
 */
#include "bench.h"
#include "count.h"

#define UUID	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define TYPE	"/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1"
#define FOLDER	"/sys/bus/mdev/devices/" UUID

static int attribute;

/* Through one file of an attribute that stays open, so that the write alone is counted. */
static int make(void)
{
	return pwrite(attribute, UUID, strlen(UUID), 0) == (ssize_t)strlen(UUID);
}

static int take_away(int fd)
{
	return pwrite(fd, "1", 1, 0) == 1;
}

static int remove_file(void)
{
	int fd = open(FOLDER "/remove", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail(FOLDER "/remove");
	return fd;
}

int main(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	char node[64], group[64];
	uint32_t one, two, word;
	int iommufd, fd;

	attribute = open(TYPE "/create", O_WRONLY | O_CLOEXEC);
	if (attribute < 0)
		fail(TYPE);
	OPERATION("create", 1, ({ MEASURE(1, MUST(make())); fd = remove_file(); MUST(take_away(fd)); close(fd); }));
	OPERATION("remove", 2, ({ MUST(make()); fd = remove_file(); MEASURE(2, MUST(take_away(fd))); close(fd); }));

	MUST(make());
	find_nodes(FOLDER, node, group);
	iommufd = must_open("/dev/iommu");
	one = new_ioas(iommufd);
	two = new_ioas(iommufd);
	OPERATION("emulated_open_close", 3, MEASURE(3, MUST(!close(open(node, O_RDWR | O_CLOEXEC)))));
	OPERATION("emulated_bind", 4, ({ fd = must_open(node); MEASURE(4, MUST(!bind_to(fd, BIND_SIZE, iommufd)));
					 close(fd); }));
	OPERATION("emulated_close_bound", 5, ({ fd = open_bound(node, iommufd); MEASURE(5, close(fd)); }));
	fd = open_bound(node, iommufd);
	OPERATION("emulated_get_info", 6, MEASURE(6, MUST(!ioctl(fd, VFIO_DEVICE_GET_INFO, &info))));
	OPERATION("emulated_attach", 7, ({ MEASURE(7, MUST(!attach(fd, one))); MUST(!detach(fd)); }));
	OPERATION("emulated_replace", 8, ({ MUST(!attach(fd, one)); MEASURE(8, MUST(!attach(fd, two)));
					    MUST(!detach(fd)); }));
	OPERATION("emulated_detach", 9, ({ MUST(!attach(fd, one)); MEASURE(9, MUST(!detach(fd))); }));
	OPERATION("emulated_pread", 10, MEASURE(10, MUST(pread(fd, &word, 4, 7ULL << 40) == 4)));
	close(fd);
	fd = remove_file();
	MUST(take_away(fd));
	return end();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the cost of operations grows with the number of devices.  For each operation and number the program prints a line
 *
 *	OPERATION NUMBER COUNT
 */
#include <linux/interval_tree.h>

#include "quick.h"

#define MOST	4096

static const unsigned int numbers[] = { 1, 8, 64, 512, MOST };

/* What the devices of a crowd have in common */
enum kind { NOTHING, GROUP, SET, CONTAINER, RANGES };

static const char *const kinds[] = {
	[NOTHING] = "own", [GROUP] = "group", [SET] = "set", [CONTAINER] = "container", [RANGES] = "ranges",
};

static struct vfio_device *crowd[MOST];
/* Of a crowd in one container: its groups, and the container */
static struct file *groups[MOST], *container;
static int container_fd;

#define COUNT(kind, name, number, statement) do {	\
		unsigned long count_;			\
							\
		count_begin();				\
		statement;				\
		count_ = count_end();			\
		report(kinds[kind], name, number, count_); \
	} while (0)

static void report(const char *kind, const char *name, unsigned int number, unsigned long count)
{
	print(kind);
	print("_");
	print(name);
	print(" ");
	print_number(number);
	print(" ");
	print_number(count);
	print("\n");
}

/* Groups come to a container that has a container driver. */
static void join_container(unsigned int index)
{
	groups[index] = group_open(FREE_GROUP + index);
	EXPECT(file_ioctl(groups[index], VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
	if (!index)
		EXPECT(file_ioctl(container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
}

static void join(enum kind kind, unsigned int index)
{
	char name[16];
	struct device *parent;

	snprintf(name, sizeof(name), "%s%u", kinds[kind], index);
	parent = parent_make(name, false);
	if (kind == GROUP && index)
		iommu_group_join(parent, crowd[0]->dev);
	else
		iommu_group_make(parent);
	crowd[index] = vdev_alloc(parent, false);
	if (kind == SET)
		EXPECT(vfio_assign_device_set(crowd[index], crowd), 0);
	vdev_register(crowd[index]);
	if (kind == CONTAINER)
		join_container(index);
}

static void leave(enum kind kind, unsigned int index)
{
	if (kind == CONTAINER)
		file_close(groups[index]);
	vfio_unregister_group_dev(crowd[index]);
	vfio_put_device(crowd[index]);
}

/* By the name of the device */
static void count_names(unsigned int number)
{
	struct file *group = group_open(FREE_GROUP);
	const char *oldest = dev_name(crowd[0]->dev), *newest = dev_name(crowd[number - 1]->dev);
	int fd;

	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd), 0);
	COUNT(GROUP, "get_oldest", number, fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, oldest));
	COUNT(GROUP, "close_oldest", number, fd_close(fd));
	COUNT(GROUP, "get_newest", number, fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, newest));
	fd_close(fd);
	COUNT(GROUP, "get_unknown", number, EXPECT(file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "no-such-device"),
						   -ENODEV));
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	file_close(group);
}

static void count(enum kind kind, unsigned int number)
{
	struct vfio_device *middle = crowd[number / 2];
	unsigned int middle_group = kind == GROUP ? FREE_GROUP : FREE_GROUP + number / 2;
	struct file *file;

	COUNT(kind, "open", number, file = device_open(middle));
	COUNT(kind, "bind", number, EXPECT(bind_to(file, BIND_SIZE, iommufd), 0));
	COUNT(kind, "fdinfo", number, file_fdinfo(file));
	COUNT(kind, "close", number, file_close(file));
	COUNT(kind, "group_open_close", number, file_close(group_open(middle_group)));
	if (kind == GROUP)
		count_names(number);
	COUNT(kind, "unregister", number, vfio_unregister_group_dev(middle));
	COUNT(kind, "register", number, vdev_register(middle));
}

static void count_in_container(unsigned int number)
{
	struct file *group = groups[number / 2];
	const char *name = dev_name(crowd[number / 2]->dev);
	int fd;

	COUNT(CONTAINER, "get_device_fd", number, fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
	COUNT(CONTAINER, "close_device", number, fd_close(fd));
	if (number == 1)
		return;
	COUNT(CONTAINER, "unset_container", number, EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0));
	COUNT(CONTAINER, "set_container", number, EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0));
}

static void count_crowd(enum kind kind)
{
	unsigned int number = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++) {
		while (number < numbers[i])
			join(kind, number++);
		if (kind == CONTAINER)
			count_in_container(number);
		else
			count(kind, number);
	}
	while (number)
		leave(kind, --number);
}

static void count_containers(void)
{
	backend_register();
	container = misc_open("vfio");
	container_fd = fd_add(container);
	count_crowd(CONTAINER);
	fd_close(container_fd);
	backend_unregister();
}

/* Ranges with a gap of one page between each, to half as many */
static void count_combine(void)
{
	static struct interval_tree_node nodes[512];

	for (unsigned int number = 8; number <= ARRAY_SIZE(nodes); number *= 8) {
		struct rb_root_cached root = RB_ROOT_CACHED;

		for (unsigned int i = 0; i < number; i++) {
			nodes[i].start = 2 * i * PAGE_SIZE;
			nodes[i].last = nodes[i].start + PAGE_SIZE - 1;
			interval_tree_insert(&nodes[i], &root);
		}
		COUNT(RANGES, "combine", number, vfio_combine_iova_ranges(&root, number, number / 2));
	}
}

void scaling(void)
{
	count_crowd(NOTHING);
	count_crowd(GROUP);
	count_crowd(SET);
	count_containers();
	count_combine();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations that are counted.  For each operation the program prints a line
 *
 *	OPERATION COUNT COUNT ...
 *
 * with the count of each round.
 */
#include <linux/file.h>
#include <linux/iommufd.h>

#include "vfio.h"

#include "quick.h"

#define WARM_UP	2
#define ROUNDS	3

static unsigned long counts[ROUNDS];
static unsigned int round;

#define MEASURE(statement) do {			\
		count_begin();			\
		statement;			\
		counts[round] = count_end();	\
	} while (0)

/* Runs @statement, which contains one MEASURE(...), with warm-up. */
#define OPERATION(name, statement) do {						\
		for (unsigned int i_ = 0; i_ < WARM_UP + ROUNDS; i_++) {	\
			round = i_ < WARM_UP ? 0 : i_ - WARM_UP;		\
			statement;						\
		}								\
		report(name);							\
	} while (0)

static void report(const char *name)
{
	print(name);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		print(" ");
		print_number(counts[i]);
	}
	print("\n");
}

/* A device whose node is opened */
static void count_node(struct vfio_device *vdev, struct vfio_device *emulated)
{
	struct file *file;

	OPERATION("open_close", MEASURE(file_close(device_open(vdev))));
	OPERATION("open_bind_close", MEASURE(file_close(device_open_bound(vdev))));
	OPERATION("bind", ({ file = device_open(vdev); MEASURE(EXPECT(bind_to(file, BIND_SIZE, iommufd), 0));
			     file_close(file); }));
	OPERATION("bind_emulated", ({ file = device_open(emulated);
				      MEASURE(EXPECT(bind_to(file, BIND_SIZE, iommufd), 0));
				      file_close(file); }));
	OPERATION("close_bound", ({ file = device_open_bound(vdev); MEASURE(file_close(file)); }));
	OPERATION("close_bound_emulated", ({ file = device_open_bound(emulated); MEASURE(file_close(file)); }));
}

static void count_refusals(struct vfio_device *vdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	static const struct file_operations no_operations;
	int other = fd_add(file_make(&no_operations, NULL));
	struct file *file = device_open(vdev), *second = device_open(vdev);

	OPERATION("bind_short", MEASURE(EXPECT(bind_to(file, 15, iommufd), -EINVAL)));
	OPERATION("bind_no_file", MEASURE(EXPECT(bind_to(file, BIND_SIZE, 1000), -EBADF)));
	OPERATION("bind_other_file", MEASURE(EXPECT(bind_to(file, BIND_SIZE, other), -EBADFD)));
	OPERATION("refused_get_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_INFO, &info), -EINVAL)));
	OPERATION("refused_pread", MEASURE(EXPECT(file_read(file), -EINVAL)));
	OPERATION("refused_pwrite", MEASURE(EXPECT(file_write(file), -EINVAL)));
	OPERATION("refused_mmap", MEASURE(EXPECT(file_mmap(file), -EINVAL)));
	EXPECT(bind_to(file, BIND_SIZE, iommufd), 0);
	OPERATION("bind_again", MEASURE(EXPECT(bind_to(file, BIND_SIZE, iommufd), -EINVAL)));
	OPERATION("bind_second", MEASURE(EXPECT(bind_to(second, BIND_SIZE, iommufd), -EINVAL)));
	file_close(second);
	file_close(file);
	fd_close(other);
}

static void count_bound(struct vfio_device *vdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | 0xfeff,
	};
	struct file *file = device_open_bound(vdev);

	OPERATION("get_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_INFO, &info), 0)));
	OPERATION("get_irq_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_IRQ_INFO, &irq), 0)));
	OPERATION("get_region_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_REGION_INFO, &region), 0)));
	OPERATION("feature_probe", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_FEATURE, &feature), -ENOTTY)));
	OPERATION("reset_refused", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_RESET, NULL), -ENOTTY)));
	OPERATION("pread", MEASURE(EXPECT(file_read(file), 4)));
	OPERATION("pwrite", MEASURE(EXPECT(file_write(file), 4)));
	OPERATION("mmap", MEASURE(EXPECT(file_mmap(file), 0)));
	OPERATION("attach", ({ MEASURE(EXPECT(attach(file, 1), 0)); EXPECT(detach(file), 0); }));
	OPERATION("replace", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(attach(file, 2), 0));
				EXPECT(detach(file), 0); }));
	OPERATION("detach", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(detach(file), 0)); }));
	OPERATION("fdinfo", MEASURE(file_fdinfo(file)));
	file_close(file);
}

static void count_emulated(struct vfio_device *vdev)
{
	struct file *file = device_open_bound(vdev);
	u32 word = 0;

	OPERATION("attach_emulated", ({ MEASURE(EXPECT(attach(file, 1), 0)); EXPECT(detach(file), 0); }));
	OPERATION("detach_emulated", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(detach(file), 0)); }));
	EXPECT(attach(file, 1), 0);
	OPERATION("dma_rw", MEASURE(EXPECT(vfio_dma_rw(vdev, 0, &word, sizeof(word), false), 0)));
	file_close(file);
}

/* A device's life without users.  It is alone in its group. */
static void count_device(struct device *parent, struct device *emulated)
{
	struct vfio_device *vdev;

	OPERATION("alloc", ({ MEASURE(vdev = vdev_alloc(parent, false)); vfio_put_device(vdev); }));
	OPERATION("put", ({ vdev = vdev_alloc(parent, false); MEASURE(vfio_put_device(vdev)); }));
	OPERATION("register", ({ vdev = vdev_alloc(parent, false); MEASURE(vdev_register(vdev));
				 vfio_unregister_group_dev(vdev); vfio_put_device(vdev); }));
	OPERATION("unregister", ({ vdev = vdev_alloc(parent, false); vdev_register(vdev);
				   MEASURE(vfio_unregister_group_dev(vdev)); vfio_put_device(vdev); }));
	OPERATION("put_registered", ({ vdev = vdev_alloc(parent, false); vdev_register(vdev);
				       vfio_unregister_group_dev(vdev); MEASURE(vfio_put_device(vdev)); }));
	OPERATION("register_emulated", ({ vdev = vdev_alloc(emulated, true); MEASURE(vdev_register(vdev));
					  vfio_unregister_group_dev(vdev); vfio_put_device(vdev); }));
	OPERATION("unregister_emulated", ({ vdev = vdev_alloc(emulated, true); vdev_register(vdev);
					    MEASURE(vfio_unregister_group_dev(vdev)); vfio_put_device(vdev); }));
}

/* An IOMMU driver for containers, which does nothing */

static void *backend_open(unsigned long arg)
{
	return &iommufd;
}

static void backend_release(void *data)
{
}

static long backend_ioctl(void *data, unsigned int cmd, unsigned long arg)
{
	return cmd == VFIO_CHECK_EXTENSION && arg == VFIO_TYPE1v2_IOMMU;
}

static int backend_attach(void *data, struct iommu_group *group, enum vfio_group_type type)
{
	return 0;
}

static void backend_detach(void *data, struct iommu_group *group)
{
}

static const struct vfio_iommu_driver_ops backend_ops = {
	.name = "quick",
	.owner = THIS_MODULE,
	.open = backend_open,
	.release = backend_release,
	.ioctl = backend_ioctl,
	.attach_group = backend_attach,
	.detach_group = backend_detach,
};

static const void *number(unsigned long value)
{
	return (const void *)value;
}

static void count_group(struct vfio_device *vdev, int id)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	dev_t devt = find_region("vfio") | id;
	const char *name = dev_name(vdev->dev);
	struct file *group, *container;
	int container_fd, fd;

	OPERATION("group_open_close", MEASURE(file_close(node_open(devt))));
	OPERATION("container_open_close", MEASURE(file_close(misc_open("vfio"))));
	container = misc_open("vfio");
	container_fd = fd_add(container);
	OPERATION("check_extension_none", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
								    number(VFIO_TYPE1v2_IOMMU)), 0)));
	EXPECT(vfio_register_iommu_driver(&backend_ops), 0);
	OPERATION("check_extension", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
							       number(VFIO_TYPE1v2_IOMMU)), 1)));
	group = node_open(devt);
	OPERATION("group_get_status", MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_GET_STATUS, &status), 0)));
	OPERATION("set_container", ({ MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0));
				      EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	OPERATION("unset_container", ({ EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
					MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0)); }));
	OPERATION("set_iommu", ({ EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
				  MEASURE(EXPECT(file_ioctl(container, VFIO_SET_IOMMU,
							    number(VFIO_TYPE1v2_IOMMU)), 0));
				  EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container_fd), 0);
	EXPECT(file_ioctl(container, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
	OPERATION("check_extension_set", MEASURE(EXPECT(file_ioctl(container, VFIO_CHECK_EXTENSION,
								   number(VFIO_TYPE1v2_IOMMU)), 1)));
	OPERATION("get_device_fd", ({ MEASURE(fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
				      fd_close(fd); }));
	OPERATION("get_device_fd_close", MEASURE(fd_close(file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name))));
	OPERATION("get_device_fd_unknown", MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "no-such-device"),
							  -ENODEV)));
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	OPERATION("set_container_iommufd", ({ MEASURE(EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd), 0));
					      EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_SET_CONTAINER, &iommufd), 0);
	OPERATION("get_device_fd_iommufd", ({ MEASURE(fd = file_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
					      fd_close(fd); }));
	EXPECT(file_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	file_close(group);
	fd_close(container_fd);
	vfio_unregister_iommu_driver(&backend_ops);
}

/* Two users do the same, each with a device of their own.  Prints the number of locks that they share. */
#define SHARE(name, first, second) do {		\
		lock_user = 1;			\
		first;				\
		lock_user = 2;			\
		second;				\
		lock_user = 0;			\
		print(kind);			\
		print("_");			\
		print(name);			\
		print(" ");			\
		print_number(shared_locks());	\
		print("\n");			\
	} while (0)

#define SHARE_CALL(name, a, b, cmd, arg, result) \
	SHARE(name, EXPECT(file_ioctl(a, cmd, arg), result), EXPECT(file_ioctl(b, cmd, arg), result))

static void share_nodes(const char *kind, struct vfio_device *one, struct vfio_device *two, int other_iommufd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | 0xfeff,
	};
	struct file *a, *b;

	SHARE("open", a = device_open(one), b = device_open(two));
	SHARE("bind", EXPECT(bind_to(a, BIND_SIZE, iommufd), 0), EXPECT(bind_to(b, BIND_SIZE, other_iommufd), 0));
	SHARE_CALL("get_info", a, b, VFIO_DEVICE_GET_INFO, &info, 0);
	SHARE_CALL("get_irq_info", a, b, VFIO_DEVICE_GET_IRQ_INFO, &irq, 0);
	SHARE_CALL("get_region_info", a, b, VFIO_DEVICE_GET_REGION_INFO, &region, 0);
	SHARE_CALL("feature", a, b, VFIO_DEVICE_FEATURE, &feature, -ENOTTY);
	SHARE_CALL("reset", a, b, VFIO_DEVICE_RESET, NULL, -ENOTTY);
	SHARE("pread", EXPECT(file_read(a), 4), EXPECT(file_read(b), 4));
	SHARE("pwrite", EXPECT(file_write(a), 4), EXPECT(file_write(b), 4));
	SHARE("mmap", EXPECT(file_mmap(a), 0), EXPECT(file_mmap(b), 0));
	SHARE("attach", EXPECT(attach(a, 1), 0), EXPECT(attach(b, 1), 0));
	SHARE("detach", EXPECT(detach(a), 0), EXPECT(detach(b), 0));
	SHARE("fdinfo", file_fdinfo(a), file_fdinfo(b));
	SHARE("close", file_close(a), file_close(b));
	/* A control: two files of one device must share locks. */
	SHARE("same_device", file_close(device_open_bound(one)), file_close(device_open_bound(one)));
}

/* @group: the minor of the group of @one.  The next minor is that of the group of @two. */
static void share_groups(const char *kind, struct vfio_device *one, struct vfio_device *two, unsigned int group,
			 int other_iommufd)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	const char *first = dev_name(one->dev), *second = dev_name(two->dev);
	dev_t devt = find_region("vfio") + group;
	struct file *a, *b, *containers[2];
	int container[2], fd[2];

	SHARE("group_open", a = node_open(devt), b = node_open(devt + 1));
	SHARE_CALL("group_get_status", a, b, VFIO_GROUP_GET_STATUS, &status, 0);
	SHARE("container_open", containers[0] = misc_open("vfio"), containers[1] = misc_open("vfio"));
	container[0] = fd_add(containers[0]);
	container[1] = fd_add(containers[1]);
	SHARE("set_container", EXPECT(file_ioctl(a, VFIO_GROUP_SET_CONTAINER, &container[0]), 0),
	      EXPECT(file_ioctl(b, VFIO_GROUP_SET_CONTAINER, &container[1]), 0));
	SHARE_CALL("check_extension", containers[0], containers[1], VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU), 1);
	SHARE_CALL("set_iommu", containers[0], containers[1], VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU), 0);
	SHARE("get_device_fd", fd[0] = file_ioctl(a, VFIO_GROUP_GET_DEVICE_FD, first),
	      fd[1] = file_ioctl(b, VFIO_GROUP_GET_DEVICE_FD, second));
	SHARE("device_close", fd_close(fd[0]), fd_close(fd[1]));
	SHARE_CALL("unset_container", a, b, VFIO_GROUP_UNSET_CONTAINER, NULL, 0);
	SHARE("container_close", fd_close(container[0]), fd_close(container[1]));
	SHARE("set_iommufd", EXPECT(file_ioctl(a, VFIO_GROUP_SET_CONTAINER, &iommufd), 0),
	      EXPECT(file_ioctl(b, VFIO_GROUP_SET_CONTAINER, &other_iommufd), 0));
	SHARE("iommufd_device_fd", fd[0] = file_ioctl(a, VFIO_GROUP_GET_DEVICE_FD, first),
	      fd[1] = file_ioctl(b, VFIO_GROUP_GET_DEVICE_FD, second));
	SHARE("iommufd_device_close", fd_close(fd[0]), fd_close(fd[1]));
	SHARE_CALL("unset_iommufd", a, b, VFIO_GROUP_UNSET_CONTAINER, NULL, 0);
	SHARE("group_close", file_close(a), file_close(b));
}

/* Two devices of a kind, with groups, sets, containers and iommufds of their own.  @group: the next free minor. */
static void share_locks(bool emulated, unsigned int group)
{
	const char *kind = emulated ? "emulated" : "physical";
	struct vfio_device *vdevs[2];
	int other_iommufd = iommufd_open();

	for (unsigned int i = 0; i < ARRAY_SIZE(vdevs); i++) {
		struct device *parent = parent_make(i ? "two" : "one", emulated);

		if (!emulated)
			iommu_group_make(parent);
		vdevs[i] = vdev_alloc(parent, emulated);
		vdev_register(vdevs[i]);
	}
	EXPECT(vfio_register_iommu_driver(&backend_ops), 0);
	share_nodes(kind, vdevs[0], vdevs[1], other_iommufd);
	share_groups(kind, vdevs[0], vdevs[1], group, other_iommufd);
	vfio_unregister_iommu_driver(&backend_ops);
	for (unsigned int i = 0; i < ARRAY_SIZE(vdevs); i++) {
		vfio_unregister_group_dev(vdevs[i]);
		vfio_put_device(vdevs[i]);
	}
	fd_close(other_iommufd);
}

void operations(void)
{
	struct device *parent = parent_make("physical", false), *alone = parent_make("alone", false);
	int id = iommu_group_make(parent);
	struct vfio_device *physical, *emulated;

	iommu_group_make(alone);
	EXPECT(init_module(), 0);
	/* The descriptors of standard input, output and error */
	for (int i = 0; i < 3; i++)
		get_unused_fd_flags(0);
	iommufd = iommufd_open();
	physical = vdev_alloc(parent, false);
	vdev_register(physical);
	emulated = vdev_alloc(parent_make("emulated", true), true);
	vdev_register(emulated);
	if (only_scaling) {
		scaling(2);
	} else if (only_locks) {
		share_locks(false, 2);
		share_locks(true, 2);
	} else {
		count_node(physical, emulated);
		count_refusals(physical);
		count_bound(physical);
		count_emulated(emulated);
		count_device(alone, parent_make("alone-emulated", true));
		count_group(physical, id);
	}
	vfio_unregister_group_dev(physical);
	vfio_put_device(physical);
	vfio_unregister_group_dev(emulated);
	vfio_put_device(emulated);
	cleanup_module();
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations that are counted.  For each operation the program prints a line
 *
 *	OPERATION COUNT COUNT ...
 *
 * with the count of each round.
 */
#include <linux/file.h>

#include "quick.h"

unsigned long counts[ROUNDS];
unsigned int counted_round;

void report_rounds(const char *name)
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

static void count_attach(struct file *file)
{
	OPERATION("attach", ({ MEASURE(EXPECT(attach(file, 1), 0)); EXPECT(detach(file), 0); }));
	OPERATION("replace", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(attach(file, 2), 0));
				EXPECT(detach(file), 0); }));
	OPERATION("detach", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(detach(file), 0)); }));
	OPERATION("attach_pasid", ({ MEASURE(EXPECT(attach_pasid(file, 1, 1), 0)); EXPECT(detach_pasid(file, 1), 0); }));
	OPERATION("replace_pasid", ({ EXPECT(attach_pasid(file, 1, 1), 0);
				      MEASURE(EXPECT(attach_pasid(file, 1, 2), 0));
				      EXPECT(detach_pasid(file, 1), 0); }));
	OPERATION("detach_pasid", ({ EXPECT(attach_pasid(file, 1, 1), 0);
				     MEASURE(EXPECT(detach_pasid(file, 1), 0)); }));
}

static void count_logging(struct file *file)
{
	OPERATION("logging_start", ({ MEASURE(EXPECT(logging_start(file), 0)); EXPECT(logging_stop(file), 0); }));
	OPERATION("logging_stop", ({ EXPECT(logging_start(file), 0); MEASURE(EXPECT(logging_stop(file), 0)); }));
	EXPECT(logging_start(file), 0);
	OPERATION("logging_report", MEASURE(EXPECT(logging_report(file), 0)));
	EXPECT(logging_stop(file), 0);
}

static void count_bound(struct vfio_device *vdev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct {
		struct vfio_region_info info;
		char caps[64];
	} with_caps = { .info = { .argsz = sizeof(with_caps), .index = REGION_WITH_CAPABILITY } };
	struct file *file = device_open_bound(vdev);

	OPERATION("get_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_INFO, &info), 0)));
	OPERATION("get_irq_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_IRQ_INFO, &irq), 0)));
	OPERATION("get_region_info", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_REGION_INFO, &region), 0)));
	OPERATION("get_region_info_caps", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_GET_REGION_INFO, &with_caps), 0)));
	OPERATION("feature_probe", MEASURE(EXPECT(feature_probe(file), -ENOTTY)));
	OPERATION("reset_refused", MEASURE(EXPECT(file_ioctl(file, VFIO_DEVICE_RESET, NULL), -ENOTTY)));
	OPERATION("pread", MEASURE(EXPECT(file_read(file), 4)));
	OPERATION("pwrite", MEASURE(EXPECT(file_write(file), 4)));
	OPERATION("mmap", MEASURE(EXPECT(file_mmap(file), 0)));
	count_attach(file);
	count_logging(file);
	OPERATION("fdinfo", MEASURE(file_fdinfo(file)));
	file_close(file);
}

static void count_emulated(struct vfio_device *vdev)
{
	struct file *file = device_open_bound(vdev);

	OPERATION("attach_emulated", ({ MEASURE(EXPECT(attach(file, 1), 0)); EXPECT(detach(file), 0); }));
	OPERATION("detach_emulated", ({ EXPECT(attach(file, 1), 0); MEASURE(EXPECT(detach(file), 0)); }));
	EXPECT(attach(file, 1), 0);
	count_memory(vdev, "iommufd");
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

/* The module is loaded and unloaded once. */
static void report_life(unsigned long load, unsigned long unload)
{
	print("load ");
	print_number(load);
	print("\nunload ");
	print_number(unload);
	print("\n");
}

static void count_all(struct vfio_device *physical, struct vfio_device *emulated)
{
	struct device *alone = parent_make("alone", false);

	iommu_group_make(alone);
	count_node(physical, emulated);
	count_refusals(physical);
	count_bound(physical);
	count_emulated(emulated);
	count_device(alone, parent_make("alone-emulated", true));
	count_group(physical, PHYSICAL_GROUP);
	count_emulated_group(emulated, EMULATED_GROUP);
	count_exports(physical);
}

void operations(void)
{
	struct device *parent = parent_make("physical", false);
	struct vfio_device *physical, *emulated;
	unsigned long load;

	iommu_group_make(parent);
	count_begin();
	EXPECT(init_module(), 0);
	load = count_end();
	/* The descriptors of standard input, output and error */
	for (int i = 0; i < 3; i++)
		get_unused_fd_flags(0);
	iommufd = iommufd_open();
	physical = vdev_alloc(parent, false);
	vdev_register(physical);
	emulated = vdev_alloc(parent_make("emulated", true), true);
	vdev_register(emulated);
	if (only_scaling)
		scaling();
	else if (only_locks)
		share_locks();
	else
		count_all(physical, emulated);
	vfio_unregister_group_dev(physical);
	vfio_put_device(physical);
	vfio_unregister_group_dev(emulated);
	vfio_put_device(emulated);
	count_begin();
	cleanup_module();
	if (!only_scaling && !only_locks)
		report_life(load, count_end());
}

// SPDX-License-Identifier: GPL-2.0-only
/* The example in C of Documentation/sva.rst, which shows the part below. */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>
#include <linux/vfio_sva.h>

/* Starting and stopping DMA is specific to the device. */
static void submit(uint32_t pasid, void *buffer, size_t size)
{
	printf("PASID %u: %zu bytes at %p\n", pasid, size, buffer);
}

static void drain(uint32_t pasid)
{
	printf("PASID %u: done\n", pasid);
}

int main(int argc, char **argv)
{
	static char buffer[1 << 20];	/* neither mapped for DMA nor pinned */
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_bind_process process = { .argsz = sizeof(process) };
	struct vfio_unbind_process unbind = { .argsz = sizeof(unbind) };
	int device;

	if (argc != 2)
		errx(2, "usage: %s /dev/vfio/devices/vfioN", argv[0]);
	device = open(argv[1], O_RDWR | O_CLOEXEC);
	bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (device < 0 || bind.iommufd < 0)
		err(1, "open");
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "bind to iommufd");

	if (ioctl(device, VFIO_BIND_PROCESS, &process))
		err(1, "bind process");
	submit(process.pasid, buffer, sizeof(buffer));
	drain(process.pasid);
	/* No DMA with the PASID is in flight. */
	if (ioctl(device, VFIO_UNBIND_PROCESS, &unbind))
		err(1, "unbind");
	return 0;
}

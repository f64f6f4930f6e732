// SPDX-License-Identifier: GPL-2.0-only
/* What the operations on the device of vfio-null.ko cost, and the calls of its driver, for "make bench". */
#include <sys/eventfd.h>

#include <linux/vfio.h>

#include "bench.h"
#include "count.h"
#include "null/null.h"

#define PAGE	4096UL
#define RANGES	256

static int control;

static int command(unsigned int number, unsigned long arg)
{
	return ioctl(control, number, arg);
}

static int attach_pasid(int fd, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg), .flags = VFIO_DEVICE_ATTACH_PASID, .pt_id = pt, .pasid = 1,
	};

	return ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
}

static int detach_pasid(int fd)
{
	struct vfio_device_detach_iommufd_pt arg = {
		.argsz = sizeof(arg), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = 1,
	};

	return ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
}

/* The device's life without users */
static void life(void)
{
	OPERATION("alloc", 1, ({ MEASURE(1, MUST(!command(NULL_ALLOC, 0))); MUST(!command(NULL_PUT, 0)); }));
	OPERATION("put", 2, ({ MUST(!command(NULL_ALLOC, 0)); MEASURE(2, MUST(!command(NULL_PUT, 0))); }));
	MUST(!command(NULL_ALLOC, 0));
	OPERATION("register", 3, ({ MEASURE(3, MUST(!command(NULL_REGISTER, 0))); MUST(!command(NULL_UNREGISTER, 0));
				    MUST(!command(NULL_PUT, 0)); MUST(!command(NULL_ALLOC, 0)); }));
	OPERATION("unregister", 4, ({ MUST(!command(NULL_REGISTER, 0)); MEASURE(4, MUST(!command(NULL_UNREGISTER, 0)));
				      MUST(!command(NULL_PUT, 0)); MUST(!command(NULL_ALLOC, 0)); }));
	OPERATION("put_registered", 5, ({ MUST(!command(NULL_REGISTER, 0)); MUST(!command(NULL_UNREGISTER, 0));
					  MEASURE(5, MUST(!command(NULL_PUT, 0))); MUST(!command(NULL_ALLOC, 0)); }));
}

static void node(const char *name, int iommufd)
{
	int fd;

	OPERATION("null_open", 10, ({ MEASURE(10, fd = open(name, O_RDWR | O_CLOEXEC)); MUST(fd >= 0); close(fd); }));
	OPERATION("null_close", 11, ({ fd = must_open(name); MEASURE(11, close(fd)); }));
	OPERATION("null_bind", 12, ({ fd = must_open(name); MEASURE(12, MUST(!bind_to(fd, BIND_SIZE, iommufd)));
				      close(fd); }));
	OPERATION("null_close_bound", 13, ({ fd = open_bound(name, iommufd); MEASURE(13, close(fd)); }));
}

static void page_tables(int fd, uint32_t one, uint32_t two)
{
	OPERATION("null_attach", 20, ({ MEASURE(20, MUST(!attach(fd, one))); MUST(!detach(fd)); }));
	OPERATION("null_replace", 21, ({ MUST(!attach(fd, one)); MEASURE(21, MUST(!attach(fd, two)));
					 MUST(!detach(fd)); }));
	OPERATION("null_detach", 22, ({ MUST(!attach(fd, one)); MEASURE(22, MUST(!detach(fd))); }));
	OPERATION("null_attach_pasid", 23, ({ MEASURE(23, MUST(!attach_pasid(fd, one))); MUST(!detach_pasid(fd)); }));
	OPERATION("null_replace_pasid", 24, ({ MUST(!attach_pasid(fd, one)); MEASURE(24, MUST(!attach_pasid(fd, two)));
					       MUST(!detach_pasid(fd)); }));
	OPERATION("null_detach_pasid", 25, ({ MUST(!attach_pasid(fd, one)); MEASURE(25, MUST(!detach_pasid(fd))); }));
}

static int start_logging(int fd)
{
	static struct vfio_device_feature_dma_logging_range ranges[RANGES];
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_logging_control control;
	} arg = {
		.feature = { .argsz = sizeof(arg),
			     .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START },
		.control = { .page_size = PAGE, .num_ranges = RANGES, .ranges = (uintptr_t)ranges },
	};

	for (int i = 0; i < RANGES; i++) {
		ranges[i].iova = 2 * i * PAGE;
		ranges[i].length = PAGE;
	}
	return ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

static int stop_logging(int fd)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg), .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
	};

	return ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

static int report_logging(int fd)
{
	static uint64_t bitmap[2 * RANGES / 64];
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_logging_report report;
	} arg = {
		.feature = { .argsz = sizeof(arg),
			     .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT },
		.report = { .length = 2 * RANGES * PAGE, .page_size = PAGE, .bitmap = (uintptr_t)bitmap },
	};

	return ioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}

static void use(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct vfio_region_info info;
		char caps[64];
	} region = { .info.argsz = sizeof(region) };
	static char page[PAGE];
	void *mapped;

	OPERATION("null_get_info", 30, MEASURE(30, MUST(!ioctl(fd, VFIO_DEVICE_GET_INFO, &info))));
	OPERATION("null_region", 31, MEASURE(31, MUST(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region))));
	region.info.index = NULL_CAPABLE_REGION;
	OPERATION("null_region_caps", 32, MEASURE(32, MUST(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region))));
	OPERATION("null_reset", 33, MEASURE(33, MUST(!ioctl(fd, VFIO_DEVICE_RESET))));
	OPERATION("null_pread", 34, MEASURE(34, MUST(pread(fd, page, 4, 0) == 4)));
	OPERATION("null_pwrite", 35, MEASURE(35, MUST(pwrite(fd, page, PAGE, 0) == PAGE)));
	OPERATION("null_mmap", 36, ({ MEASURE(36, mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
				      MUST(mapped != MAP_FAILED); munmap(mapped, PAGE); }));
	OPERATION("logging_start", 37, ({ MEASURE(37, MUST(!start_logging(fd))); MUST(!stop_logging(fd)); }));
	OPERATION("logging_stop", 38, ({ MUST(!start_logging(fd)); MEASURE(38, MUST(!stop_logging(fd))); }));
	OPERATION("logging_report", 39, MEASURE(39, MUST(!report_logging(fd))));
}

/* What the driver calls.  @fd is attached to @ioas. */
static void calls(int iommufd, uint32_t ioas)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map), .ioas_id = ioas, .length = NULL_PAGES * PAGE,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
	};
	void *memory = mmap(NULL, NULL_PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int event = eventfd(0, EFD_CLOEXEC);

	map.user_va = (uintptr_t)memory;
	if (memory == MAP_FAILED || event < 0 || ioctl(iommufd, IOMMU_IOAS_MAP, &map))
		fail("memory");
	OPERATION("pin", 40, ({ MEASURE(40, MUST(command(NULL_PIN, 1) == 1)); MUST(!command(NULL_UNPIN, 1)); }));
	OPERATION("unpin", 41, ({ MUST(command(NULL_PIN, 1) == 1); MEASURE(41, MUST(!command(NULL_UNPIN, 1))); }));
	OPERATION("pin_many", 42, ({ MEASURE(42, MUST(command(NULL_PIN, NULL_PAGES) == NULL_PAGES));
				     MUST(!command(NULL_UNPIN, NULL_PAGES)); }));
	OPERATION("unpin_many", 43, ({ MUST(command(NULL_PIN, NULL_PAGES) == NULL_PAGES);
				       MEASURE(43, MUST(!command(NULL_UNPIN, NULL_PAGES))); }));
	OPERATION("dma_read", 44, MEASURE(44, MUST(!command(NULL_READ, PAGE))));
	OPERATION("dma_write_many", 45, MEASURE(45, MUST(!command(NULL_WRITE, NULL_PAGES * PAGE))));
	OPERATION("virqfd_enable", 46, ({ MEASURE(46, MUST(!command(NULL_ENABLE, event)));
					  MUST(!command(NULL_DISABLE, 0)); }));
	OPERATION("virqfd_disable", 47, ({ MUST(!command(NULL_ENABLE, event));
					   MEASURE(47, MUST(!command(NULL_DISABLE, 0))); }));
	MUST(!command(NULL_ENABLE, event));
	OPERATION("virqfd_event", 48, MEASURE(48, MUST(!eventfd_write(event, 1))));
	MUST(!command(NULL_DISABLE, 0));
	OPERATION("capabilities", 49, MEASURE(49, MUST(!command(NULL_CAPABILITIES, 32))));
}

int main(void)
{
	char device_node[64], group[64];
	int iommufd = must_open("/dev/iommu"), fd;
	uint32_t one = new_ioas(iommufd), two = new_ioas(iommufd);

	control = must_open("/dev/vfio-null");
	life();
	MUST(!command(NULL_REGISTER, 0));
	find_nodes(NULL_PARENT, device_node, group);
	node(device_node, iommufd);
	fd = open_bound(device_node, iommufd);
	page_tables(fd, one, two);
	use(fd);
	MUST(!attach(fd, one));
	calls(iommufd, one);
	close(fd);
	MUST(!command(NULL_UNREGISTER, 0));
	MUST(!command(NULL_PUT, 0));
	return end();
}

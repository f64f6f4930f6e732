// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the operations on a device's node cost, for "make bench".
 *
 * Argument: the folder in sysfs of a PCI device that sits on vfio-pci, alone in its group.
 */
#include "bench.h"
#include "count.h"

#define MANY	10000
#define PAGE	4096

static char node[64], group[64];

static int open_node(void)
{
	return open(node, O_RDWR | O_CLOEXEC);
}

/* An IOAS with many mappings of one page, which the IOMMU cannot join. */
static uint32_t crowded_ioas(int iommufd)
{
	uint32_t ioas = new_ioas(iommufd);
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < MANY; i++) {
		struct iommu_ioas_map map = {
			.size = sizeof(map), .ioas_id = ioas, .user_va = (uintptr_t)page, .length = PAGE,
			.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
			.iova = (uint64_t)(2 * i + 16) * PAGE,
		};

		if (ioctl(iommufd, IOMMU_IOAS_MAP, &map))
			fail("IOMMU_IOAS_MAP");
	}
	return ioas;
}

static uint64_t region_offset(int fd, uint32_t index)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region))
		fail("GET_REGION_INFO");
	return region.offset;
}

static void refused(int iommufd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = must_open(node), other, null = must_open("/dev/null"), group_fd;
	uint32_t word = 0;

	for (int i = 0; i < TOLD; i++)
		REFUSED(bind_to(fd, BIND_SIZE, 1000), EBADF);
	OPERATION("bind_short", 10, MEASURE(10, REFUSED(bind_to(fd, 15, iommufd), EINVAL)));
	OPERATION("bind_no_file", 11, MEASURE(11, REFUSED(bind_to(fd, BIND_SIZE, 1000), EBADF)));
	OPERATION("bind_other_file", 12, MEASURE(12, REFUSED(bind_to(fd, BIND_SIZE, null), EBADFD)));
	group_fd = must_open(group);
	OPERATION("bind_group", 13, MEASURE(13, REFUSED(bind_to(fd, BIND_SIZE, iommufd), EBUSY)));
	close(group_fd);
	OPERATION("refused_get_info", 14, MEASURE(14, REFUSED(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), EINVAL)));
	OPERATION("refused_pread", 15, MEASURE(15, REFUSED(pread(fd, &word, 4, 0), EINVAL)));
	OPERATION("refused_pwrite", 16, MEASURE(16, REFUSED(pwrite(fd, &word, 4, 0), EINVAL)));
	OPERATION("refused_mmap", 17, MEASURE(17, MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL)));
	other = open_bound(node, iommufd);
	OPERATION("bind_second", 18, MEASURE(18, REFUSED(bind_to(fd, BIND_SIZE, iommufd), EINVAL)));
	OPERATION("bind_again", 19, MEASURE(19, REFUSED(bind_to(other, BIND_SIZE, iommufd), EINVAL)));
	close(other);
	close(null);
	close(fd);
}

static void use(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSI_IRQ_INDEX };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	/* Of a feature that nobody has. */
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature), .flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | 0xfeff,
	};
	static char page[PAGE], text[1024];
	uint64_t config = region_offset(fd, VFIO_PCI_CONFIG_REGION_INDEX);
	uint64_t bar = region_offset(fd, VFIO_PCI_BAR0_REGION_INDEX);
	int info_fd = fdinfo_of(fd);
	volatile uint32_t *mapped = NULL;
	uint32_t word = 0;

	OPERATION("get_info", 30, MEASURE(30, MUST(!ioctl(fd, VFIO_DEVICE_GET_INFO, &info))));
	OPERATION("get_irq_info", 31, MEASURE(31, MUST(!ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq))));
	OPERATION("get_region_info", 32, MEASURE(32, MUST(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region))));
	OPERATION("feature_probe", 33, MEASURE(33, REFUSED(ioctl(fd, VFIO_DEVICE_FEATURE, &feature), ENOTTY)));
	OPERATION("reset", 34, MEASURE(34, REFUSED(ioctl(fd, VFIO_DEVICE_RESET), EINVAL)));
	OPERATION("config_pread", 35, MEASURE(35, MUST(pread(fd, &word, 4, config) == 4)));
	OPERATION("config_pwrite", 36, MEASURE(36, MUST(pwrite(fd, &word, 4, config) == 4)));
	OPERATION("bar_pread", 37, MEASURE(37, MUST(pread(fd, &word, 4, bar) == 4)));
	OPERATION("bar_pread_page", 38, MEASURE(38, MUST(pread(fd, page, PAGE, bar + PAGE) == PAGE)));
	OPERATION("bar_pwrite_page", 39, MEASURE(39, MUST(pwrite(fd, page, PAGE, bar + PAGE) == PAGE)));
	OPERATION("mmap", 40, ({ MEASURE(40, mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, bar));
				 MUST(mapped != MAP_FAILED); munmap((void *)mapped, PAGE); }));
	OPERATION("first_touch", 41, ({ mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, bar);
					MUST(mapped != MAP_FAILED); MEASURE(41, word = *mapped);
					munmap((void *)mapped, PAGE); }));
	OPERATION("munmap", 42, ({ mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, bar);
				   MUST(mapped != MAP_FAILED); word = *mapped;
				   MEASURE(42, munmap((void *)mapped, PAGE)); }));
	OPERATION("fdinfo", 43, MEASURE(43, MUST(pread(info_fd, text, sizeof(text), 0) > 0)));
	close(info_fd);
}

static void page_tables(int iommufd, int fd)
{
	uint32_t one = new_ioas(iommufd), two = new_ioas(iommufd), many = crowded_ioas(iommufd);

	OPERATION("attach", 50, ({ MEASURE(50, MUST(!attach(fd, one))); MUST(!detach(fd)); }));
	OPERATION("replace", 51, ({ MUST(!attach(fd, one)); MEASURE(51, MUST(!attach(fd, two)));
				    MUST(!detach(fd)); }));
	OPERATION("detach", 52, ({ MUST(!attach(fd, one)); MEASURE(52, MUST(!detach(fd))); }));
	OPERATION("attach_many", 53, ({ MEASURE(53, MUST(!attach(fd, many))); MUST(!detach(fd)); }));
	OPERATION("detach_many", 54, ({ MUST(!attach(fd, many)); MEASURE(54, MUST(!detach(fd))); }));
}

int main(int argc, char **argv)
{
	int iommufd, kvm, fd;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_device FOLDER\n");
		return 1;
	}
	find_nodes(argv[1], node, group);
	iommufd = must_open("/dev/iommu");

	/* What is not the core's, to compare with. */
	OPERATION("getppid", 1, MEASURE(1, MUST(getppid() >= 0)));
	OPERATION("null_open_close", 2, MEASURE(2, MUST(!close(open("/dev/null", O_RDWR | O_CLOEXEC)))));

	OPERATION("open_close", 3, MEASURE(3, MUST(!close(open_node()))));
	OPERATION("open_bind_close", 4, MEASURE(4, ({ fd = open_node(); MUST(!bind_to(fd, BIND_SIZE, iommufd));
						      close(fd); })));
	OPERATION("bind", 5, ({ fd = open_node(); MEASURE(5, MUST(!bind_to(fd, BIND_SIZE, iommufd))); close(fd); }));
	OPERATION("close_bound", 6, ({ fd = open_bound(node, iommufd); MEASURE(6, close(fd)); }));
	refused(iommufd);
	fd = open_bound(node, iommufd);
	use(fd);
	page_tables(iommufd, fd);
	kvm = new_kvm_vfio();
	OPERATION("kvm_add", 60, ({ MEASURE(60, MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_ADD, fd)));
				    MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_DEL, fd)); }));
	OPERATION("kvm_del", 61, ({ MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_ADD, fd));
				    MEASURE(61, MUST(!kvm_file(kvm, KVM_DEV_VFIO_FILE_DEL, fd))); }));
	return end();
}

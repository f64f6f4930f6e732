// SPDX-License-Identifier: GPL-2.0-only
/*
 * Displays that are mediated devices, of the sample drivers mdpy and mbochs: planes,
 * framebuffers in regions, page faults, dma-bufs.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "lib/cdev.h"
#include "lib/mdev.h"
#include "lib/sysfs.h"
#include "lib/test.h"

#define PAGE 4096u
#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)
#define READ_WRITE_MMAP (READ_WRITE | VFIO_REGION_INFO_FLAG_MMAP)

/* drm_fourcc.h, drm_mode.h */
#define XRGB8888 0x34325258
#define PRIMARY_PLANE 1

static int query_plane(int fd, uint32_t flags, uint32_t type,
		       struct vfio_device_gfx_plane_info *plane)
{
	int ret;

	*plane = (struct vfio_device_gfx_plane_info){
		.argsz = sizeof(*plane),
		.flags = flags,
		.drm_plane_type = type,
	};
	ret = xioctl(fd, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
	/* mbochs makes a buffer and forgets where, but finds it the next time. */
	if (ret == -ENOMEM && flags == VFIO_GFX_PLANE_TYPE_DMABUF)
		ret = xioctl(fd, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
	return ret;
}

/* Refused whatever the display: the other kind of plane, too little memory. */
static bool refuses_plane(int fd, uint32_t kind, uint32_t other)
{
	const uint32_t probe = VFIO_GFX_PLANE_TYPE_PROBE;
	struct vfio_device_gfx_plane_info plane, *edge;
	size_t size = offsetof(struct vfio_device_gfx_plane_info, region_index) + 4;

	edge = edge_alloc(size - 1);
	edge->argsz = size;
	edge->flags = probe | kind;
	return query_plane(fd, probe | kind, 0, &plane) == 0 &&
	       query_plane(fd, probe | other, 0, &plane) == -EINVAL &&
	       query_plane(fd, probe | kind | other, 0, &plane) == -EINVAL &&
	       query_plane(fd, probe, 0, &plane) == -EINVAL &&
	       query_plane(fd, other, 0, &plane) == -EINVAL &&
	       query_plane(fd, 0, 0, &plane) == -EINVAL &&
	       xioctl(fd, VFIO_DEVICE_QUERY_GFX_PLANE, edge) == -EFAULT;
}

/* ---- mdpy: a framebuffer in a region ---- */

#define MDPY_FORMAT 0x44	/* in the configuration space, then width and height */
#define MDPY_REGION 16		/* the framebuffer's, besides BAR 0 */

FIXTURE(mdpy) {
	struct opened d;
};

FIXTURE_VARIANT(mdpy) {
	const char *type;
	uint32_t width, height, size;
};

FIXTURE_VARIANT_ADD(mdpy, vga) { "mdpy-vga", 640, 480, 2 << 20 };
FIXTURE_VARIANT_ADD(mdpy, xga) { "mdpy-xga", 1024, 768, 4 << 20 };
FIXTURE_VARIANT_ADD(mdpy, hd) { "mdpy-hd", 1920, 1080, 8 << 20 };

FIXTURE_SETUP(mdpy)
{
	int ret = mdev_sample_open("mdpy", variant->type, &self->d);

	if (ret == -ENOENT)
		SKIP(return, "no module mdpy");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN_PARENT(mdpy)
{
	EXPECT_EQ(0, mdev_sample_close("mdpy"));
}

/* semantics: 120, 127.  What it says of its framebuffer, in three places. */
TEST_F(mdpy, plane)
{
	struct vfio_device_gfx_plane_info plane;
	uint32_t config[3];
	int fd = self->d.fd;

	EXPECT_TRUE(refuses_plane(fd, VFIO_GFX_PLANE_TYPE_REGION, VFIO_GFX_PLANE_TYPE_DMABUF));
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_REGION, PRIMARY_PLANE, &plane));
	EXPECT_EQ(XRGB8888, plane.drm_format);
	EXPECT_EQ(variant->width, plane.width);
	EXPECT_EQ(variant->height, plane.height);
	EXPECT_EQ(variant->width * 4, plane.stride);
	EXPECT_EQ(variant->size, plane.size);
	EXPECT_EQ(MDPY_REGION, plane.region_index);
	EXPECT_TRUE(region_is(fd, plane.region_index, plane.size, READ_WRITE_MMAP));
	EXPECT_TRUE(region_is(fd, 0, plane.size, READ_WRITE_MMAP));
	for (int i = 1; i < 6; i++)
		EXPECT_TRUE(region_is(fd, i, 0, 0));
	EXPECT_EQ((ssize_t)sizeof(config),
		  config_read(fd, MDPY_FORMAT, config, sizeof(config)));
	EXPECT_EQ(XRGB8888, config[0]);
	EXPECT_EQ(variant->width, config[1]);
	EXPECT_EQ(variant->height, config[2]);
	EXPECT_EQ(-ENOTTY, xioctl(fd, VFIO_DEVICE_GET_GFX_DMABUF, config));
}

/* The picture that it begins with: from black to white. */
static bool is_gradient(const uint8_t *fb, uint32_t width, uint32_t height)
{
	for (uint32_t y = 0; y < height; y++) {
		const uint8_t *row = fb + y * width * 4;

		if (row[0] != y * 255 / height || row[width * 4 - 1] != row[0])
			return false;
	}
	return true;
}

/* semantics: 120, 122.  The framebuffer is memory, by mappings, reads and writes. */
TEST_F(mdpy, framebuffer)
{
	struct vfio_region_info info;
	uint32_t *fb, *again, word;
	struct opened d;

	ASSERT_EQ(0, cdev_region(self->d.fd, MDPY_REGION, &info));
	fb = region_map(self->d.fd, &info, info.size);
	ASSERT_NE(MAP_FAILED, fb);
	EXPECT_TRUE(is_gradient((uint8_t *)fb, variant->width, variant->height));
	for (uint32_t i = 0; i < info.size / 4; i += 1000)
		fb[i] = ~i;
	again = region_map(self->d.fd, &info, info.size);
	ASSERT_NE(MAP_FAILED, again);
	for (uint32_t i = 0; i < info.size / 4; i += 1000)
		EXPECT_EQ(~i, again[i]);

	/* It reads and writes the first pixel whatever the offset; so that one. */
	EXPECT_TRUE(region_read(self->d.fd, MDPY_REGION, 0, &word, 4));
	EXPECT_EQ(~0U, word);
	word = 0x00c0ffee;
	EXPECT_TRUE(region_write(self->d.fd, MDPY_REGION, 0, &word, 4));
	EXPECT_EQ(0x00c0ffee, fb[0]);
	EXPECT_FALSE(region_read(self->d.fd, MDPY_REGION, info.size, &word, 4));
	EXPECT_EQ(EFAULT, errno);

	/* It stays through a close, and a reset paints it anew. */
	munmap(fb, info.size);
	munmap(again, info.size);
	open_path_close(&self->d);
	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d));
	fb = region_map(d.fd, &info, info.size);
	ASSERT_NE(MAP_FAILED, fb);
	EXPECT_EQ(0x00c0ffee, fb[0]);
	EXPECT_EQ(~1000U, fb[1000]);
	EXPECT_EQ(0, xioctl(d.fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_TRUE(is_gradient((uint8_t *)fb, variant->width, variant->height));
	munmap(fb, info.size);
}

/* ---- mbochs: a framebuffer in pages that come when they are touched, and dma-bufs of them ---- */

#define MBOCHS_REGISTERS 2	/* region: BAR 2, */
#define MBOCHS_DISPI 0x500	/* from here on 16 bits each */
#define MBOCHS_EDID 9		/* region: the monitor that is told of */

enum {
	DISPI_ID, DISPI_XRES, DISPI_YRES, DISPI_BPP, DISPI_ENABLE, DISPI_BANK,
	DISPI_VIRT_WIDTH, DISPI_VIRT_HEIGHT, DISPI_X, DISPI_Y, DISPI_MEMORY_64K,
};

FIXTURE(mbochs) {
	struct opened d;
	struct vfio_region_info memory;
};

FIXTURE_SETUP(mbochs)
{
	int ret = mdev_sample_open("mbochs", "mbochs-small", &self->d);

	if (ret == -ENOENT)
		SKIP(return, "no module mbochs");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, cdev_region(self->d.fd, 0, &self->memory));
}

FIXTURE_TEARDOWN_PARENT(mbochs)
{
	EXPECT_EQ(0, mdev_sample_close("mbochs"));
}

static int dispi_read(int fd, int reg)
{
	uint16_t value;

	return region_read(fd, MBOCHS_REGISTERS, MBOCHS_DISPI + 2 * reg, &value, 2) ? value : -1;
}

static void dispi_write(int fd, int reg, uint16_t value)
{
	if (!region_write(fd, MBOCHS_REGISTERS, MBOCHS_DISPI + 2 * reg, &value, 2))
		abort();
}

/* A mode of 32 bits a pixel, from the memory's page @page on. */
static void set_mode(int fd, uint16_t width, uint16_t height, uint16_t page)
{
	dispi_write(fd, DISPI_XRES, width);
	dispi_write(fd, DISPI_YRES, height);
	dispi_write(fd, DISPI_BPP, 32);
	/* Pages are lines of 1024 pixels. */
	dispi_write(fd, DISPI_VIRT_WIDTH, 1024);
	dispi_write(fd, DISPI_Y, page);
	dispi_write(fd, DISPI_ENABLE, 1);
}

/* semantics: 122.  Its registers, and the end of what they hold. */
TEST_F(mbochs, registers)
{
	int fd = self->d.fd;

	EXPECT_EQ(0xb0c5, dispi_read(fd, DISPI_ID));
	EXPECT_EQ(4 * 16, dispi_read(fd, DISPI_MEMORY_64K));
	set_mode(fd, 640, 480, 3);
	EXPECT_EQ(640, dispi_read(fd, DISPI_XRES));
	EXPECT_EQ(480, dispi_read(fd, DISPI_YRES));
	EXPECT_EQ(3, dispi_read(fd, DISPI_Y));
	EXPECT_EQ(0, xioctl(fd, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0xb0c5, dispi_read(fd, DISPI_ID));
	EXPECT_EQ(0, dispi_read(fd, DISPI_XRES));
	EXPECT_EQ(0, dispi_read(fd, DISPI_ENABLE));
}

/* semantics: 48, 120, 127.  A region with a capability, which says what kind it is. */
TEST_F(mbochs, edid)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_type type;
	} arg = { .info = { .argsz = sizeof(arg.info), .index = MBOCHS_EDID } };
	struct vfio_region_gfx_edid regs;
	uint8_t edid[128], seen[128];
	uint32_t state, size;
	int fd = self->d.fd;

	/* How much room it wants, then the whole. */
	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &arg));
	EXPECT_EQ(READ_WRITE | VFIO_REGION_INFO_FLAG_CAPS, arg.info.flags);
	EXPECT_EQ(sizeof(arg), arg.info.argsz);
	EXPECT_EQ(0, arg.info.cap_offset);
	EXPECT_EQ(0, arg.type.type);
	ASSERT_EQ(0, xioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &arg));
	EXPECT_EQ(sizeof(arg), arg.info.argsz);
	EXPECT_EQ(sizeof(arg.info), arg.info.cap_offset);
	EXPECT_EQ(VFIO_REGION_INFO_CAP_TYPE, arg.type.header.id);
	EXPECT_EQ(0, arg.type.header.next);
	EXPECT_EQ(VFIO_REGION_TYPE_GFX, arg.type.type);
	EXPECT_EQ(VFIO_REGION_SUBTYPE_GFX_EDID, arg.type.subtype);

	ASSERT_TRUE(region_read(fd, MBOCHS_EDID, 0, &regs, sizeof(regs)));
	EXPECT_EQ(800, regs.max_xres);
	EXPECT_EQ(600, regs.max_yres);
	ASSERT_GE(regs.edid_max_size, sizeof(edid));
	for (size_t i = 0; i < sizeof(edid); i++)
		edid[i] = i * 3;
	size = sizeof(edid);
	EXPECT_TRUE(region_write(fd, MBOCHS_EDID,
				 offsetof(struct vfio_region_gfx_edid, edid_size), &size, 4));
	EXPECT_TRUE(region_write(fd, MBOCHS_EDID, regs.edid_offset, edid, sizeof(edid)));
	/* The guest sees it with the plug in. */
	for (int up = 1; up >= 0; up--) {
		state = up ? VFIO_DEVICE_GFX_LINK_STATE_UP : VFIO_DEVICE_GFX_LINK_STATE_DOWN;
		EXPECT_TRUE(region_write(fd, MBOCHS_EDID,
					 offsetof(struct vfio_region_gfx_edid, link_state),
					 &state, 4));
		EXPECT_TRUE(region_read(fd, MBOCHS_REGISTERS, 0, seen, sizeof(seen)));
		EXPECT_EQ(up, !memcmp(seen, edid, sizeof(edid)));
	}
}

/* semantics: 95, 122.  Its memory by reads and writes; it is gone with the last close. */
TEST_F(mbochs, memory)
{
	uint32_t data[64], seen[64], *memory;
	struct opened d;

	for (int i = 0; i < 64; i++)
		data[i] = i * 0x01010101;
	/* Across a page's end. */
	EXPECT_TRUE(region_write(self->d.fd, 0, 5 * PAGE - 128, data, sizeof(data)));
	EXPECT_TRUE(region_read(self->d.fd, 0, 5 * PAGE - 128, seen, sizeof(seen)));
	EXPECT_EQ(0, memcmp(data, seen, sizeof(data)));
	open_path_close(&self->d);

	ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d));
	EXPECT_TRUE(region_read(d.fd, 0, 5 * PAGE - 128, seen, sizeof(seen)));
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(0, seen[i]);
	memory = region_map(d.fd, &self->memory, self->memory.size);
	ASSERT_NE(MAP_FAILED, memory);
	for (uint32_t i = 0; i < self->memory.size / 4; i += 500)
		EXPECT_EQ(0, memory[i]);
	munmap(memory, self->memory.size);
}

static int get_dmabuf(int fd, uint32_t id)
{
	return xioctl(fd, VFIO_DEVICE_GET_GFX_DMABUF, &id);
}

/*
 * The buffer that is shown now, as a dma-buf.  Once for each mode: mbochs does not count
 * whom it has given one buffer to.
 */
static int export_dmabuf(int fd, struct vfio_device_gfx_plane_info *plane)
{
	int ret = query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, plane);

	return ret ? ret : get_dmabuf(fd, plane->dmabuf_id);
}

/* mbochs never frees the list of a buffer's pages, which would be counted as ours. */
static bool leaks_are_looked_for(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/* semantics: 120.  The planes that its registers make. */
TEST_F(mbochs, plane)
{
	struct vfio_device_gfx_plane_info plane;
	int fd = self->d.fd;
	uint32_t id;

	EXPECT_TRUE(refuses_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, VFIO_GFX_PLANE_TYPE_REGION));
	EXPECT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_EQ(0, plane.width);
	EXPECT_EQ(0, plane.dmabuf_id);
	EXPECT_EQ(-ENOENT, get_dmabuf(fd, 1));
	EXPECT_EQ(-EFAULT, xioctl(fd, VFIO_DEVICE_GET_GFX_DMABUF, edge_alloc(3)));
	if (leaks_are_looked_for())
		SKIP(return, "mbochs leaks memory");

	set_mode(fd, 800, 600, 0);
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_EQ(XRGB8888, plane.drm_format);
	EXPECT_EQ(800, plane.width);
	EXPECT_EQ(600, plane.height);
	EXPECT_EQ(PAGE, plane.stride);
	EXPECT_EQ(600 * PAGE, plane.size);
	id = plane.dmabuf_id;
	EXPECT_NE(0, id);
	/* The same buffer for the same mode. */
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_EQ(id, plane.dmabuf_id);
	set_mode(fd, 800, 600, 7);
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_NE(id, plane.dmabuf_id);
	/* More than there is memory for; none at all. */
	set_mode(fd, 800, 600, 1000);
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_EQ(0, plane.dmabuf_id);
	dispi_write(fd, DISPI_ENABLE, 0);
	ASSERT_EQ(0, query_plane(fd, VFIO_GFX_PLANE_TYPE_DMABUF, PRIMARY_PLANE, &plane));
	EXPECT_EQ(0, plane.dmabuf_id);
}

/*
 * semantics: 120.  A buffer as a file, of the size that the plane has.  What is in it
 * cannot be seen: mbochs opens it for reading alone, with which the mapping is no shared
 * one, which mbochs refuses.
 */
TEST_F(mbochs, dmabuf)
{
	static const struct {
		uint16_t width, height, page;
	} modes[] = { { 64, 64, 0 }, { 640, 480, 0 }, { 640, 480, 100 }, { 1024, 1024, 0 } };
	struct vfio_device_gfx_plane_info plane;
	char text[512], path[64], want[64];
	int fd = self->d.fd, buf;

	if (leaks_are_looked_for())
		SKIP(return, "mbochs leaks memory");
	for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
		set_mode(fd, modes[m].width, modes[m].height, modes[m].page);
		buf = export_dmabuf(fd, &plane);
		ASSERT_GE(buf, 0);
		EXPECT_EQ(m + 1, plane.dmabuf_id);
		EXPECT_EQ(modes[m].height * PAGE, plane.size);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", buf);
		ASSERT_EQ(0, sysfs_link(path, text, sizeof(text)));
		EXPECT_EQ(0, strncmp(text, "dmabuf:", 7));
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", buf);
		ASSERT_GT(sysfs_read(path, text, sizeof(text)), 0);
		snprintf(want, sizeof(want), "size:\t%u\n", plane.size);
		EXPECT_NE(NULL, strstr(text, want));
		EXPECT_NE(NULL, strstr(text, "exp_name:\tmbochs"));
		EXPECT_EQ(plane.size, lseek64(buf, 0, SEEK_END));
		EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buf, 0));
		EXPECT_EQ(EINVAL, errno);
		close(buf);
	}
}

enum { DEVICE, SPACE, DMABUF, MAPPING, HANDLES };

/* The @n-th order of the handles. */
static void nth_order(int n, int *order)
{
	int rest[HANDLES];

	for (int i = 0; i < HANDLES; i++)
		rest[i] = i;
	for (int i = 0; i < HANDLES; i++) {
		int left = HANDLES - i, k = n % left;

		n /= left;
		order[i] = rest[k];
		memmove(rest + k, rest + k + 1, (left - k - 1) * sizeof(*rest));
	}
}

/*
 * semantics: 95, 109, 198.  Files and mappings end in all orders; what is left of them
 * works, and the last one makes room for the next owner.
 */
TEST_F(mbochs, close_in_any_order)
{
	struct vfio_device_gfx_plane_info plane;

	if (leaks_are_looked_for())
		SKIP(return, "mbochs leaks memory");
	open_path_close(&self->d);
	for (int n = 0; n < 24; n++) {
		bool open[HANDLES] = { true, true, true, true };
		volatile uint32_t *memory;
		int order[HANDLES], buf;
		struct opened d;

		ASSERT_EQ(0, mdev_use(mdev_uuids[0], NULL, &d))
			TH_LOG("order %d", n);
		set_mode(d.fd, 64, 64, 3);
		buf = export_dmabuf(d.fd, &plane);
		ASSERT_GE(buf, 0);
		memory = region_map(d.fd, &self->memory, self->memory.size);
		ASSERT_NE(MAP_FAILED, memory);
		EXPECT_EQ(0, memory[3000]);
		memory[3000] = 1000 + n;

		nth_order(n, order);
		for (int i = 0; i < HANDLES; i++) {
			open[order[i]] = false;
			switch (order[i]) {
			case DEVICE:
				close(d.fd);
				break;
			case SPACE:
				close_fd(&d.space);
				close_fd(&d.group);
				break;
			case DMABUF:
				close(buf);
				break;
			case MAPPING:
				munmap((void *)memory, self->memory.size);
				break;
			}
			if (open[DEVICE])
				EXPECT_EQ(0xb0c5, dispi_read(d.fd, DISPI_ID));
			if (open[DMABUF])
				EXPECT_EQ(plane.size, lseek64(buf, 0, SEEK_END));
			if (open[MAPPING]) {
				EXPECT_EQ(1000 + n, memory[3000]);
				/* Another page, for the first time. */
				memory[10000 + 2000 * i] = 5;
				EXPECT_EQ(5, memory[10000 + 2000 * i]);
			}
		}
	}
}

TEST_HARNESS_MAIN

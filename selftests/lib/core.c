// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "core.h"
#include "sysfs.h"

int event_ms(void)
{
	static int ms;
	const char *env = getenv("VFIO_EVENT_MS");

	if (!ms)
		ms = env ? atoi(env) : 120000;
	return ms;
}

bool core_is_rust(void)
{
	static int rust = -1;
	const char *env = getenv("VFIO_CORE");
	char line[4096];

	if (rust >= 0)
		return rust;
	if (env)
		rust = !strcmp(env, "rust");
	else
		rust = sysfs_read("/proc/cmdline", line, sizeof(line)) > 0 &&
		       strstr(line, "core=rust");
	return rust;
}

int xioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

int wrong(const char *what, long is, long should)
{
	printf("# %s: %ld (%#lx) and should be %ld (%#lx)\n", what, is, is, should, should);
	return -EPROTO;
}

int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool wait_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&p, 1, ms);
	} while (ret < 0 && errno == EINTR);
	return ret == 1 && (p.revents & POLLIN);
}

bool has_groups(void)
{
	return !access("/sys/class/vfio", F_OK);
}

/*
 * What /dev/vfio/vfio says to an ioctl of iommufd: -ENOENT if it is one, for there is
 * no such object, -EBADF if it cannot be opened.
 */
static int destroy_nothing(void)
{
	struct iommu_destroy nothing = { .size = sizeof(nothing) };
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -EBADF;
	ret = xioctl(fd, IOMMU_DESTROY, &nothing);
	close(fd);
	return ret;
}

bool has_containers(void)
{
	int ret = destroy_nothing();

	return ret != -EBADF && ret != -ENOENT;
}

bool iommufd_has_containers(void)
{
	return destroy_nothing() == -ENOENT;
}

bool has_iommufd(void)
{
	return !access("/dev/iommu", F_OK);
}

bool has_procfs(void)
{
	return !access("/proc/self", F_OK);
}

bool kernel_has(const char *function)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	char line[1024], name[512];
	bool found = false;

	while (symbols && !found && fgets(line, sizeof(line), symbols))
		found = sscanf(line, "%*x %*c %511s", name) == 1 && !strcmp(name, function);
	if (symbols)
		fclose(symbols);
	return found;
}

bool has_iova_bitmaps(void)
{
	return has_iommufd() || kernel_has("iova_bitmap_alloc");
}

int module_file(const char *name)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/modules/%s/%s.ko",
		 core_is_rust() ? "rust" : "c", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/modules/%s.ko", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	/* One of our own lies beside the programs. */
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (fd < 0 && n > 0) {
		path[n] = '\0';
		n = strrchr(path, '/') + 1 - path;
		snprintf(path + n, sizeof(path) - n, "%s.ko", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

/* Parameters that the machine needs, which a module that is loaded again is to be told too. */
static struct {
	const char *module, *path;
	char value[8];
} needs[] = {
	{ "iommufd", "/sys/module/iommufd/parameters/allow_unsafe_interrupts" },
	{ "vfio_iommu_type1", "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts" },
};

static void remember_needs(const char *module)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (!strcmp(needs[i].module, module) &&
		    sysfs_read(needs[i].path, needs[i].value, sizeof(needs[i].value)) <= 0)
			needs[i].value[0] = '\0';
}

static int restore_needs(const char *module)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (!strcmp(needs[i].module, module) && needs[i].value[0])
			return sysfs_write(needs[i].path, needs[i].value);
	return 0;
}

int module_load_with(const char *name, const char *parameters)
{
	int status, ret, fd = module_file(name);
	pid_t pid;

	if (fd >= 0) {
		ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
		close(fd);
		return ret == -EEXIST ? 0 : ret ? ret : restore_needs(name);
	}
	pid = fork();
	if (!pid) {
		execlp("modprobe", "modprobe", name, *parameters ? parameters : NULL, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

int module_load(const char *name)
{
	return module_load_with(name, "");
}

int module_unload(const char *name)
{
	remember_needs(name);
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

int module_users(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return sysfs_read(path, text, sizeof(text)) > 0 ? atoi(text) : -ENOENT;
}

bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	return !access(path, F_OK);
}

void *pages_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	memset(p, 0, size);
	return p;
}

void *pages_reserve(size_t size, size_t align)
{
	char *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	size_t before = -(uintptr_t)p % align;

	if (p == MAP_FAILED)
		abort();
	if (before)
		munmap(p, before);
	munmap(p + before + size, align - before);
	return p + before;
}

uint64_t phys_of(const void *p)
{
	uintptr_t page = getpagesize(), va = (uintptr_t)p;
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread64(fd, &entry, 8, va / page * 8) != 8 || !(entry >> 63))
		entry = 0;
	close(fd);
	entry &= (1ULL << 55) - 1;
	return entry ? entry * page + va % page : 0;
}

void *edge_alloc(size_t size)
{
	size_t page = getpagesize();
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p + page, page))
		abort();
	return p + page - size;
}

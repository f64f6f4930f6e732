// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory a device takes, and its files, by the statistics of the slab allocator, for "make test-costs".
 *
 * The devices are those of costs.c.  Each line of the output is "memory NAME BYTES": what MANY of a kind take, divided
 * by MANY.  It includes what the driver, iommufd and the rest of the kernel take for them.
 */
#include <dirent.h>
#include <sys/resource.h>

#include "bench.h"

#define PARAMETER(module, name) "/sys/module/" module "/parameters/" name
#define DRIVER "/sys/bus/platform/drivers/vfio-bare/"
#define DEVICE "/sys/devices/platform/vfio-bare.%d"
#define SLABS "/sys/kernel/slab"
#define MANY 1000

static int fds[MANY];

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(path);
	close(fd);
}

/* Has each cache give back what is free of it, so that only objects in use count. */
static void shrink(void)
{
	DIR *dir = opendir(SLABS);
	struct dirent *entry;
	char path[512];

	if (!dir)
		fail(SLABS);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), SLABS "/%s/shrink", entry->d_name);
		put(path, "1");
	}
	closedir(dir);
}

/* The bytes of all objects that are in use. */
static long in_use(void)
{
	unsigned long active, all, size;
	char line[512], name[64];
	long sum = 0;
	FILE *file;

	/* What RCU frees. */
	sleep(1);
	shrink();
	file = fopen("/proc/slabinfo", "re");
	if (!file)
		fail("/proc/slabinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lu %lu %lu", name, &active, &all, &size) == 4)
			sum += active * size;
	fclose(file);
	return sum;
}

static void crowd(int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	put(PARAMETER("soft_iommu", "crowd"), text);
}

/* Takes the driver off all devices, or gives it back. */
static void all(const char *attribute)
{
	char name[32], path[64];

	snprintf(path, sizeof(path), DRIVER "%s", attribute);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "vfio-bare.%d", i);
		put(path, name);
	}
}

static void say(const char *name, long before)
{
	printf("memory %s %ld\n", name, (in_use() - before) / MANY);
}

int main(void)
{
	struct rlimit files = { 2 * MANY, 2 * MANY };
	char folder[64], node[64], group[64];
	int iommufd;
	long before;

	if (setrlimit(RLIMIT_NOFILE, &files))
		fail("setrlimit");
	put(PARAMETER("iommufd", "allow_unsafe_interrupts"), "Y");
	crowd(MANY);
	/* Once before, for what stays: names in caches, tables that have grown. */
	for (int round = 0; round < 2; round++) {
		all("unbind");
		before = in_use();
		all("bind");
	}
	say("device", before);

	for (int round = 0; round < 2; round++) {
		before = in_use();
		for (int i = 0; i < MANY; i++) {
			snprintf(folder, sizeof(folder), DEVICE, i);
			find_nodes(folder, node, group);
			fds[i] = must_open(node);
		}
		if (!round)
			for (int i = 0; i < MANY; i++)
				close(fds[i]);
	}
	say("open_file", before);

	iommufd = must_open("/dev/iommu");
	before = in_use();
	for (int i = 0; i < MANY; i++)
		if (bind_to(fds[i], BIND_SIZE, iommufd))
			fail("bind");
	say("bind", before);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);

	for (int round = 0; round < 2; round++) {
		before = in_use();
		for (int i = 0; i < MANY; i++)
			fds[i] = must_open("/dev/vfio/vfio");
		if (!round)
			for (int i = 0; i < MANY; i++)
				close(fds[i]);
	}
	say("container", before);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	crowd(0);
	return wrong;
}

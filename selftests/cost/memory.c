// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory a device takes, and its files, by the statistics of the slab allocator, for "make test-costs".
 *
 * Each line of the output is "memory NAME BYTES": what MANY of a kind take, divided
 * by MANY.  It includes what the driver, iommufd and the rest of the kernel take for them.
 */
#include <dirent.h>
#include <sys/resource.h>

#include "crowd.h"

#define SLABS "/sys/kernel/slab"
#define MANY 1000

static int fds[MANY];

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

static int container_open(int number)
{
	return must_open("/dev/vfio/vfio");
}

static void close_all(void)
{
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

/* Opens a file of each, which stay open. */
static void measure_files(const char *name, int (*open_one)(int number))
{
	long before;

	/* Once before, for what stays: names in caches, tables that have grown. */
	for (int round = 0; round < 2; round++) {
		if (round)
			close_all();
		before = in_use();
		for (int i = 0; i < MANY; i++)
			fds[i] = open_one(i);
	}
	say(name, before);
}

int main(void)
{
	struct rlimit files = { 2 * MANY, 2 * MANY };
	int iommufd;
	long before;

	if (setrlimit(RLIMIT_NOFILE, &files))
		fail("setrlimit");
	put(PARAMETER("iommufd", "allow_unsafe_interrupts"), "Y");
	crowd(MANY);
	/* Once before, as above. */
	for (int round = 0; round < 2; round++) {
		all("unbind");
		before = in_use();
		all("bind");
	}
	say("device", before);

	measure_files("open_file", device_open);
	iommufd = must_open("/dev/iommu");
	before = in_use();
	for (int i = 0; i < MANY; i++)
		if (bind_to(fds[i], BIND_SIZE, iommufd))
			fail("bind");
	say("bind", before);
	close_all();

	measure_files("container", container_open);
	close_all();
	crowd(0);
	return wrong;
}

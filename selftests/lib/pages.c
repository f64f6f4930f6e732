// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "core.h"
#include "pages.h"

uint64_t *numbered_pages(int n)
{
	const size_t page = getpagesize();
	uint64_t *words = pages_alloc(n * page);

	for (int i = 0; i < n; i++)
		words[i * page / sizeof(*words)] = 1000 + i;
	return words;
}

char *untouched(size_t size)
{
	void *p = pages_reserve(size, getpagesize());

	/* A page at a time. */
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

bool is_present(const void *p)
{
	return phys_of(p);
}

bool is_full_of(const char *p, size_t size, char c)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i] != c) {
			printf("# byte %zu is %#x, not %#x\n", i, p[i], c);
			return false;
		}
	}
	return true;
}

int smaps(const void *p, const char *key)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512], want[32];
	bool here = false;
	int kb = -1;

	snprintf(want, sizeof(want), "%08lx-", (unsigned long)p);
	while (file && kb < 0 && fgets(line, sizeof(line), file)) {
		if (strchr(line, '-') && !strncmp(line, want, strlen(want)))
			here = true;
		else if (here && !strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), ": %d", &kb);
	}
	if (file)
		fclose(file);
	return kb;
}

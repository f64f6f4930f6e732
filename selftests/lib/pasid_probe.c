// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core.h"
#include "pasid_table.h"
#include "sva_test.h"
#include "viommu.h"
#include "pasid_probe.h"

static const char *absent = "no device was looked at";

void pasid_probe_call(const struct pci *pci, int control)
{
	absent = NULL;
	if (viommu_of(pci) != VIOMMU_VTD)
		absent = "only VT-d's driver shows its tables of PASIDs";
	else if (pasid_entries(pci) < 0)
		absent = "no tables of PASIDs: debugfs, or CONFIG_INTEL_IOMMU_DEBUGFS";
	else if (!sva_test_root(control))
		absent = "sva_test cannot tell whose page table an entry has";
	if (absent)
		printf("# entries are not looked at: %s\n", absent);
}

const char *pasid_probe_absent(void)
{
	return absent;
}

bool entries_are(const struct pci *pci, int count)
{
	int n = absent ? count : pasid_entries(pci);

	if (n != count)
		printf("# %s has %d entries, not %d\n", pci->bdf, n, count);
	return n == count;
}

int entry_of(const struct pci *pci, uint32_t pasid)
{
	struct pasid_entry entry;

	return pasid_entry(pci, pasid, &entry);
}

bool is_there(const struct pci *pci, uint32_t pasid)
{
	return absent || !entry_of(pci, pasid);
}

bool is_gone(const struct pci *pci, uint32_t pasid)
{
	return absent || entry_of(pci, pasid) == -ENOENT;
}

static bool has_table_of_caller(int control, const struct pci *pci, uint32_t pasid)
{
	struct pasid_entry entry;

	return !pasid_entry(pci, pasid, &entry) && pasid_kind(&entry) == PASID_FIRST_STAGE &&
	       sva_test_root(control) && pasid_root(&entry) == sva_test_root(control);
}

bool is_mine(int control, const struct pci *pci, uint32_t pasid)
{
	return absent || has_table_of_caller(control, pci, pasid);
}

bool is_not_mine(int control, const struct pci *pci, uint32_t pasid)
{
	return absent || !has_table_of_caller(control, pci, pasid);
}

/* Asks until the answer is yes, or it takes too long. */
static bool become(bool (*is)(const void *a, const void *b), const void *a, const void *b)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (is(a, b))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool has_entries(const void *pci, const void *count)
{
	return absent || pasid_entries(pci) == *(const int *)count;
}

bool entries_become(const struct pci *pci, int count)
{
	return become(has_entries, pci, &count) || entries_are(pci, count);
}

static bool has_processes(const void *fd, const void *pasids)
{
	const char *key = "vfio-process-pasids: ", *want = pasids, *at;
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *(const int *)fd);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return false;
	at = strstr(text, key);
	if (!at || !*want)
		return !at && !*want;
	at += strlen(key);
	/* The whole line, which may be the last. */
	return !strncmp(at, want, strlen(want)) && strchr("\n", at[strlen(want)]);
}

bool processes_become(int fd, const char *pasids)
{
	return become(has_processes, &fd, pasids);
}

// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pasid_table.h"

#define TABLES "/sys/kernel/debug/iommu/intel/dmar_translation_struct"
#define ROOT_MASK 0x000ffffffffff000ULL

/*
 * One line of the tables: device, root and context entry, PASID, and the PASID's entry
 * with the highest word first.  In legacy mode the PASID is -1.
 */
struct line {
	char device[16];
	long pasid;
	struct pasid_entry entry;
};

static bool parse(const char *text, struct line *line)
{
	uint64_t *w = line->entry.words;

	return sscanf(text, "%15s 0x%*x:0x%*x 0x%*x:0x%*x %ld 0x%" SCNx64 ":0x%" SCNx64 ":0x%" SCNx64,
		      line->device, &line->pasid, &w[2], &w[1], &w[0]) == 5;
}

/* Calls @fn for each entry of the device until it returns true. */
static int each(const struct pci *pci, bool (*fn)(const struct line *line, void *arg), void *arg)
{
	/* The tables' lines are without the PCI domain, of which a PC has one. */
	const char *device = strchr(pci->bdf, ':') + 1;
	FILE *file = fopen(TABLES, "re");
	char *text = NULL;
	size_t size = 0;
	struct line line;

	if (!file)
		return -errno;
	while (getline(&text, &size, file) > 0) {
		if (parse(text, &line) && !strcmp(line.device, device) && fn(&line, arg))
			break;
	}
	free(text);
	fclose(file);
	return 0;
}

struct search {
	uint32_t pasid;
	struct pasid_entry *entry;
	bool found;
};

static bool is_wanted(const struct line *line, void *arg)
{
	struct search *search = arg;

	if (line->pasid != search->pasid)
		return false;
	*search->entry = line->entry;
	search->found = true;
	return true;
}

int pasid_entry(const struct pci *pci, uint32_t pasid, struct pasid_entry *entry)
{
	struct search search = { .pasid = pasid, .entry = entry };
	int ret = each(pci, is_wanted, &search);

	return ret || search.found ? ret : -ENOENT;
}

struct collection {
	struct pasid_line *lines;
	int n, max;
};

static bool collect(const struct line *line, void *arg)
{
	struct collection *c = arg;

	/* In legacy mode there are none. */
	if (line->pasid >= 0 && c->n < c->max)
		c->lines[c->n++] = (struct pasid_line){ line->pasid, line->entry };
	return c->n == c->max;
}

int pasid_lines(const struct pci *pci, struct pasid_line *lines, int max)
{
	struct collection c = { .lines = lines, .max = max };
	int ret = each(pci, collect, &c);

	return ret ? ret : c.n;
}

static bool count(const struct line *line, void *arg)
{
	*(int *)arg += line->pasid > 0;
	return false;
}

int pasid_entries(const struct pci *pci)
{
	int n = 0, ret = each(pci, count, &n);

	return ret ? ret : n;
}

enum pasid_kind pasid_kind(const struct pasid_entry *entry)
{
	return entry->words[0] >> 6 & 7;
}

uint64_t pasid_root(const struct pasid_entry *entry)
{
	bool first = pasid_kind(entry) == PASID_FIRST_STAGE;

	return entry->words[first ? 2 : 0] & ROOT_MASK;
}

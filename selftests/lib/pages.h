/* SPDX-License-Identifier: GPL-2.0-only */
/* The caller's pages: which are present, and what is in them. */
#ifndef LIB_PAGES_H
#define LIB_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where no process of a test has anything: below it there are programs, above it all else. */
#define ALONE ((void *)0x100000000000)

/* @n pages, each begins with its number: 1000, 1001 and so on. */
uint64_t *numbered_pages(int n);
/* Memory that nobody has touched. */
char *untouched(size_t size);
bool is_present(const void *p);
/* Is all of it @c?  If not, it says where. */
bool is_full_of(const char *p, size_t size, char c);
/* What /proc/self/smaps says of the mapping at @p, in kB; -1 if it says nothing. */
int smaps(const void *p, const char *key);

#endif

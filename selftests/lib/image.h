/* SPDX-License-Identifier: GPL-2.0-only */
/* A module's file in memory. */
#ifndef LIB_IMAGE_H
#define LIB_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>

struct image {
	char *data;
	size_t size;
};

/* A copy that may be written to.  Closes @fd. */
bool image_read(int fd, struct image *image);
void image_free(struct image *image);
/* The section's contents, or NULL. */
char *image_section(const struct image *image, const char *name, size_t *size);
/* The @nth symbol; false behind the last. */
bool image_symbol(const struct image *image, int nth, Elf64_Sym *sym, const char **name);

#endif

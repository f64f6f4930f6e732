// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

bool image_read(int fd, struct image *image)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return false;
	image->size = st.st_size;
	image->data = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return image->data != MAP_FAILED;
}

void image_free(struct image *image)
{
	munmap(image->data, image->size);
}

static const Elf64_Shdr *section(const struct image *image, int index)
{
	const Elf64_Ehdr *head = (void *)image->data;

	return (void *)(image->data + head->e_shoff + index * head->e_shentsize);
}

char *image_section(const struct image *image, const char *name, size_t *size)
{
	const Elf64_Ehdr *head = (void *)image->data;
	const char *names = image->data +
			    section(image, head->e_shstrndx)->sh_offset;

	for (int i = 1; i < head->e_shnum; i++) {
		const Elf64_Shdr *s = section(image, i);

		if (!strcmp(names + s->sh_name, name)) {
			*size = s->sh_size;
			return image->data + s->sh_offset;
		}
	}
	return NULL;
}

bool image_symbol(const struct image *image, int nth, Elf64_Sym *sym, const char **name)
{
	size_t symbols, strings;
	Elf64_Sym *table = (void *)image_section(image, ".symtab", &symbols);
	char *text = image_section(image, ".strtab", &strings);

	if (!table || !text || nth >= symbols / sizeof(*table))
		return false;
	*sym = table[nth];
	*name = text + sym->st_name;
	return true;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel with CONFIG_MODVERSIONS: a module carries the versions of the symbols that
 * it imports, and is not loaded unless they are those of the modules that it finds.
 */
#include <sys/syscall.h>

#include "lib/core.h"
#include "lib/image.h"
#include "lib/kmsg.h"
#include "lib/test.h"

/* An entry of the older table of versions. */
struct modversion {
	uint64_t crc;
	char name[64 - sizeof(uint64_t)];
};

/*
 * The @nth symbol that has a version, and where in the image that is; NULL behind the
 * last.  The kernel does not look at the older table of a module that has both.
 */
static const char *version(const struct image *image, int nth, uint32_t **crc)
{
	size_t crcs, names, size;
	uint32_t *table = (void *)image_section(image, "__version_ext_crcs", &crcs);
	char *name = image_section(image, "__version_ext_names", &names);
	struct modversion *old = (void *)image_section(image, "__versions", &size);

	if (table && name) {
		if (nth >= crcs / sizeof(*table))
			return NULL;
		*crc = &table[nth];
		for (int i = 0; i < nth; i++)
			name += strlen(name) + 1;
		return name;
	}
	if (!old || nth >= size / sizeof(*old))
		return NULL;
	*crc = (void *)&old[nth].crc;
	return old[nth].name;
}

static bool has_version(const struct image *image, const char *name)
{
	const char *found;
	uint32_t *crc;

	for (int i = 0; (found = version(image, i, &crc)); i++)
		if (!strcmp(found, name))
			return true;
	return false;
}

static bool exports(const struct image *image, const char *name)
{
	const char *found;
	char entry[128];
	Elf64_Sym sym;

	snprintf(entry, sizeof(entry), "__ksymtab_%s", name);
	for (int i = 0; image_symbol(image, i, &sym, &found); i++)
		if (!strcmp(found, entry))
			return true;
	return false;
}

static int load(const struct image *image)
{
	return syscall(SYS_init_module, image->data, image->size, "") ? -errno : 0;
}

static const char *const modules[] = { "vfio_pci", "vfio_pci_core", "vfio_iommu_type1" };

/* The core, without those who use it, and they again afterwards. */
FIXTURE(versions) {
	struct image core;
	bool had[ARRAY_SIZE(modules)];
	int log;
};

/* Modules as they were built with the core in C. */
FIXTURE_VARIANT(versions) {
	const char *driver, *needs;
};

FIXTURE_VARIANT_ADD(versions, type1) { "vfio_iommu_type1" };
FIXTURE_VARIANT_ADD(versions, pci_core) { "vfio_pci_core" };
FIXTURE_VARIANT_ADD(versions, mtty) { "mtty", "mdev" };
FIXTURE_VARIANT_ADD(versions, testdrv) { "vfio_testdrv" };

FIXTURE_SETUP(versions)
{
	uint32_t *crc;

	if (!image_read(module_file("vfio"), &self->core))
		SKIP(return, "the module's file is not here");
	if (!version(&self->core, 0, &crc))
		SKIP(return, "a kernel without CONFIG_MODVERSIONS");
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
	for (int i = 0; i < ARRAY_SIZE(modules); i++) {
		self->had[i] = module_loaded(modules[i]);
		if (self->had[i])
			ASSERT_EQ(0, module_unload(modules[i]));
	}
	ASSERT_EQ(0, module_load("vfio"));
	if (variant->needs)
		ASSERT_EQ(0, module_load(variant->needs));
}

FIXTURE_TEARDOWN(versions)
{
	if (variant->needs)
		EXPECT_EQ(0, module_unload(variant->needs));
	for (int i = ARRAY_SIZE(modules) - 1; i >= 0; i--)
		if (self->had[i])
			EXPECT_EQ(0, module_load(modules[i]));
	close(self->log);
	image_free(&self->core);
}

/*
 * semantics: 18.  A module that was built with the core in C is taken; with the
 * version of any one of the core's symbols another, it is not.
 */
TEST_F(versions, of_exports)
{
	char want[256], line[256];
	struct image driver;
	const char *name;
	int symbols = 0;
	uint32_t *crc;

	ASSERT_TRUE(image_read(module_file(variant->driver), &driver));
	for (int i = 0; (name = version(&driver, i, &crc)); i++) {
		if (!exports(&self->core, name))
			continue;
		symbols++;
		*crc ^= 1;
		EXPECT_EQ(-EINVAL, load(&driver)) {
			TH_LOG("%s", name);
		}
		*crc ^= 1;
		snprintf(want, sizeof(want), "%s: disagrees about version of symbol %s",
			 variant->driver, name);
		EXPECT_TRUE(kmsg_wait(self->log, "disagrees", 0, line, sizeof(line)));
		EXPECT_STREQ(want, line);
	}
	EXPECT_GT(symbols, 0);
	TH_LOG("%d symbols of the core", symbols);

	EXPECT_EQ(0, load(&driver));
	EXPECT_FALSE(kmsg_wait(self->log, "version", 0, NULL, 0));
	EXPECT_EQ(0, module_unload(variant->driver));
	image_free(&driver);
}

/* semantics: 18.  The core's own imports, among them those of Rust's long names. */
TEST(of_imports)
{
	struct image core;
	const char *name;
	uint32_t *crc;
	Elf64_Sym sym;
	int imports = 0;

	if (!image_read(module_file("vfio"), &core))
		SKIP(return, "the module's file is not here");
	if (!version(&core, 0, &crc))
		SKIP(return, "a kernel without CONFIG_MODVERSIONS");
	/* The first of all symbols is none. */
	for (int i = 1; image_symbol(&core, i, &sym, &name); i++) {
		if (sym.st_shndx != SHN_UNDEF || ELF64_ST_BIND(sym.st_info) != STB_GLOBAL)
			continue;
		imports++;
		EXPECT_TRUE(has_version(&core, name)) {
			TH_LOG("%s", name);
		}
	}
	EXPECT_GT(imports, 0);
	image_free(&core);
}

TEST_HARNESS_MAIN

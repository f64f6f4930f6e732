// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs for bound processes on another machine than that of the SVA test device, as far as that
 * can be had here: devices that nobody has named, and an IOMMU whose tables of PASIDs cannot
 * be read.  And what Documentation/sva.rst has for an example.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "lib/pasid_table.h"
#include "lib/sva_setup.h"
#include "lib/svadev.h"
#include "lib/test.h"

#define DEBUGFS "/sys/kernel/debug"

FIXTURE(sva_elsewhere) {
	struct pci pci[SVA_DEVICES];
};

FIXTURE_SETUP(sva_elsewhere)
{
	if (!sva_named())
		SKIP(return, "no devices that are named, to compare with");
	ASSERT_EQ(SVA_DEVICES, sva_find(self->pci, SVA_DEVICES));
	if (self->pci[0].id != SVADEV)
		SKIP(return, "no SVA test device");
}

FIXTURE_TEARDOWN(sva_elsewhere)
{
}

static void forget_names(void)
{
	unsetenv("SVA0");
	unsetenv("SVA1");
	unsetenv("SVA2");
}

/* For this process and those that it starts. */
static int hide_tables(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    umount2(DEBUGFS, MNT_DETACH))
		return -errno;
	return 0;
}

/* By their capabilities the same devices are found as by their names. */
TEST_F(sva_elsewhere, found_by_capability)
{
	struct pci found[SVA_DEVICES];

	for (int i = 0; i < SVA_DEVICES; i++)
		ASSERT_EQ(0, pci_to_vfio(&self->pci[i]));
	forget_names();
	ASSERT_EQ(SVA_DEVICES, sva_find(found, SVA_DEVICES));
	for (int i = 0; i < SVA_DEVICES; i++)
		EXPECT_STREQ(self->pci[i].bdf, found[i].bdf);
	/* One that another driver has is not taken. */
	ASSERT_EQ(0, module_load("vfio_bare"));
	ASSERT_EQ(0, pci_to_driver(&self->pci[0], "vfio-bare"));
	ASSERT_EQ(SVA_DEVICES - 1, sva_find(found, SVA_DEVICES - 1));
	EXPECT_STREQ(self->pci[1].bdf, found[0].bdf);
	EXPECT_STREQ(self->pci[2].bdf, found[1].bdf);
	EXPECT_EQ(0, pci_to_vfio(&self->pci[0]));
	EXPECT_EQ(0, module_unload("vfio_bare"));
}

/* What a program said of its cases. */
struct said {
	int passed, failed, skipped, unseen;
};

/* Runs a program beside this one; what it says is shown as a comment. */
static int run(const char *command, struct said *said)
{
	char line[512];
	FILE *out = popen(command, "r");
	int status;

	*said = (struct said){ 0 };
	if (!out)
		return -errno;
	while (fgets(line, sizeof(line), out)) {
		bool skipped = strstr(line, "# SKIP");

		printf("# | %s", line);
		said->failed += !strncmp(line, "not ok ", 7);
		said->passed += !strncmp(line, "ok ", 3) && !skipped;
		said->skipped += !strncmp(line, "ok ", 3) && skipped;
		said->unseen += !strncmp(line, "# entries are not looked at: ", 29);
	}
	status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

/* What they are, and how many of their cases say nothing where no entry can be seen. */
static const struct {
	const char *name;
	int entries_only;
	bool by_vfio;		/* which the core in C does not do */
} programs[] = {
	{ "./sva_test", 1, false },
	{ "./sva_process", 1, true },
	{ "./sva_container", 0, true },
};

/* Nobody has named a device: all is as it is with names, and nothing is left out. */
TEST_F(sva_elsewhere, without_names)
{
	struct said said;

	forget_names();
	for (int i = 0; i < ARRAY_SIZE(programs); i++) {
		if (programs[i].by_vfio && !core_is_rust())
			continue;
		EXPECT_EQ(0, run(programs[i].name, &said)) TH_LOG("%s", programs[i].name);
		EXPECT_GT(said.passed, 0);
		EXPECT_EQ(0, said.failed + said.skipped + said.unseen);
	}
}

/* An IOMMU that shows no table: errnos and lifetimes, and it is said what is not looked at. */
TEST_F(sva_elsewhere, without_tables)
{
	struct said said;

	ASSERT_EQ(0, hide_tables());
	ASSERT_LT(pasid_entries(&self->pci[0]), 0);
	for (int i = 0; i < ARRAY_SIZE(programs); i++) {
		if (programs[i].by_vfio && !core_is_rust())
			continue;
		EXPECT_EQ(0, run(programs[i].name, &said)) TH_LOG("%s", programs[i].name);
		EXPECT_GT(said.passed, 0);
		EXPECT_EQ(0, said.failed);
		EXPECT_EQ(programs[i].entries_only, said.skipped);
		EXPECT_EQ(said.passed + said.skipped, said.unseen);
	}
}

/* What was named and cannot is a failure, and says why; what was found is none. */
TEST_F(sva_elsewhere, named_and_unable)
{
	struct sva_setup s;

	setenv("SVA1", "0000:ff:1f.7", true);
	EXPECT_EQ(-ENODEV, sva_set_up(&s, 2));
	EXPECT_STREQ("SVA1: no PCI device that is alone in its IOMMU group", s.why);
	EXPECT_EQ(0, sva_tear_down(&s));
	/* ... which has ATS and no page requests that Linux would use. */
	ASSERT_EQ(0, pci_find(SVADEV_WITH(SVADEV_ATS | SVADEV_PRI_OFF | SVADEV_PASID), 0,
			      &self->pci[0]));
	setenv("SVA0", self->pci[0].bdf, true);
	EXPECT_EQ(-EINVAL, sva_set_up(&s, 1));
	EXPECT_NE(NULL, strstr(s.why, "the IOMMU core binds no process: Invalid argument"));
	EXPECT_EQ(0, sva_tear_down(&s));
	forget_names();
	EXPECT_EQ(0, sva_set_up(&s, SVA_DEVICES));
	EXPECT_EQ(0, sva_tear_down(&s));
}

/* The example in C of Documentation/sva.rst: it does what is said of it. */
TEST_F(sva_elsewhere, example)
{
	char node[128], command[256], line[64] = "";
	FILE *out;

	ASSERT_EQ(0, pci_to_vfio(&self->pci[0]));
	ASSERT_EQ(0, pci_cdev_path(&self->pci[0], node, sizeof(node)));
	ASSERT_EQ(0, sva_set_up(&(struct sva_setup){}, 1));
	snprintf(command, sizeof(command), "./sva_example %s 2>&1", node);
	out = popen(command, "r");
	ASSERT_NE(NULL, out);
	ASSERT_NE(NULL, fgets(line, sizeof(line), out));
	EXPECT_EQ(BY_CORE(1, 0), WEXITSTATUS(pclose(out))) TH_LOG("%s", line);
	EXPECT_EQ(0, strncmp(line, BY_CORE("sva_example: bind process", "PASID "), 6));
}

TEST_HARNESS_MAIN

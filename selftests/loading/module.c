// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core as a module: what its file says of it, what it exports, how it comes and
 * goes, and what is there of it while it is loaded.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "lib/cdev.h"
#include "lib/fault.h"
#include "lib/group.h"
#include "lib/image.h"
#include "lib/kmsg.h"
#include "lib/test.h"

#define PARAMETER "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define MAX_BOUND "/sys/module/vfio/parameters/max_bound_processes"
#define MESSAGE "VFIO - User Level meta-driver version: 0.3"

#define EXPORT_PREFIX "__ksymtab_"

/* The flags of an exported symbol (GPL-only is one), or -1. */
static int export_flags(const struct image *image, const char *name)
{
	size_t entries, flags;
	char *table = image_section(image, "__ksymtab", &entries);
	char *flag = image_section(image, "__kflagstab", &flags);
	const char *found;
	Elf64_Sym sym;

	if (!table || !flag)
		return -1;
	for (int i = 0; image_symbol(image, i, &sym, &found); i++)
		if (!strncmp(found, EXPORT_PREFIX, strlen(EXPORT_PREFIX)) &&
		    !strcmp(found + strlen(EXPORT_PREFIX), name))
			return flag[sym.st_value / (entries / flags)];
	return -1;
}

/* How often modinfo has @key with the value @want (NULL: any). */
static int info_count(const struct image *image, const char *key, const char *want)
{
	size_t size, length = strlen(key);
	char *info = image_section(image, ".modinfo", &size);
	int count = 0;

	for (char *p = info; p && p < info + size; p += strlen(p) + 1)
		if (!strncmp(p, key, length) && p[length] == '=' &&
		    (!want || !strcmp(p + length + 1, want)))
			count++;
	return count;
}

/* Does a line of the file end in @name? */
static bool listed(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256], *word;
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "Block devices:"))
			break;
		word = strrchr(line, ' ');
		found |= word && !strcmp(word + 1, name);
	}
	if (f)
		fclose(f);
	return found;
}

/* semantics: 1-5, 7, 20 */
TEST(modinfo)
{
	struct image image;
	struct utsname uts;
	size_t size;
	char *info;
	bool release = false, container = has_containers();
	int parameters = !access(PARAMETER, F_OK);

	if (!image_read(module_file("vfio"), &image))
		SKIP(return, "the module's file is not here");
	EXPECT_EQ(1, info_count(&image, "name", "vfio"));
	EXPECT_EQ(1, info_count(&image, "version", "0.3"));
	EXPECT_EQ(1, info_count(&image, "version", NULL));
	EXPECT_EQ(core_is_rust(), info_count(&image, "rust_vfio_version", NULL));
	EXPECT_EQ(1, info_count(&image, "license", "GPL v2"));
	EXPECT_EQ(1, info_count(&image, "license", NULL));
	EXPECT_EQ(1, info_count(&image, "author",
				"Alex Williamson <alex.williamson@redhat.com>"));
	EXPECT_EQ(1, info_count(&image, "author", NULL));
	EXPECT_EQ(1, info_count(&image, "description",
			     "VFIO - User Level meta-driver"));
	EXPECT_EQ(1, info_count(&image, "softdep",
			     "post: vfio_iommu_type1 vfio_iommu_spapr_tce"));
	EXPECT_GE(info_count(&image, "import_ns", "IOMMUFD"), 1);
	EXPECT_EQ(has_iommufd(), info_count(&image, "import_ns", "IOMMUFD_VFIO") >= 1);
	/* No others, such as those of the kernel's Rust helpers. */
	EXPECT_EQ(info_count(&image, "import_ns", NULL), info_count(&image, "import_ns", "IOMMUFD") +
		  info_count(&image, "import_ns", "IOMMUFD_VFIO"));
	EXPECT_EQ(has_iommufd(), info_count(&image, "depends", "iommufd"));
	EXPECT_EQ(parameters, info_count(&image, "parmtype", "enable_unsafe_noiommu_mode:bool"));
	/* D16.  A kernel without SVA has none. */
	if (core_is_rust() && !access(MAX_BOUND, F_OK)) {
		parameters++;
		EXPECT_EQ(1, info_count(&image, "parmtype", "max_bound_processes:uint"));
	}
	EXPECT_EQ(parameters, info_count(&image, "parmtype", NULL));
	EXPECT_EQ(parameters, info_count(&image, "parm", NULL));
	/* They belong to the container, and make user space load what has one. */
	EXPECT_EQ(container, info_count(&image, "alias", "char-major-10-196"));
	EXPECT_EQ(container, info_count(&image, "alias", "devname:vfio/vfio"));

	ASSERT_EQ(0, uname(&uts));
	info = image_section(&image, ".modinfo", &size);
	for (char *p = info; p < info + size; p += strlen(p) + 1)
		release |= !strncmp(p, "vermagic=", 9) &&
			   !strncmp(p + 9, uts.release, strlen(uts.release));
	EXPECT_TRUE(release);
}

#define GPL_ONLY 1

/* What the core exports: for modules under the GPL alone, or for all. */
static const struct {
	const char *name;
	int flags;
} wanted[] = {
	{ "_vfio_alloc_device", GPL_ONLY },
	{ "vfio_assign_device_set", GPL_ONLY },
	{ "vfio_combine_iova_ranges", GPL_ONLY },
	{ "vfio_device_put_registration", GPL_ONLY },
	{ "vfio_device_set_open_count", GPL_ONLY },
	{ "vfio_device_try_get_registration", GPL_ONLY },
	{ "vfio_dma_rw", 0 },
	{ "vfio_file_enforced_coherent", GPL_ONLY },
	{ "vfio_file_has_dev", GPL_ONLY },
	{ "vfio_file_iommu_group", GPL_ONLY },
	{ "vfio_file_is_group", GPL_ONLY },
	{ "vfio_file_is_valid", GPL_ONLY },
	{ "vfio_file_set_kvm", GPL_ONLY },
	{ "vfio_find_device_in_devset", GPL_ONLY },
	{ "vfio_info_add_capability", 0 },
	{ "vfio_info_cap_add", GPL_ONLY },
	{ "vfio_info_cap_shift", 0 },
	{ "vfio_iommufd_device_ictx", GPL_ONLY },
	{ "vfio_iommufd_emulated_attach_ioas", GPL_ONLY },
	{ "vfio_iommufd_emulated_bind", GPL_ONLY },
	{ "vfio_iommufd_emulated_detach_ioas", GPL_ONLY },
	{ "vfio_iommufd_emulated_unbind", GPL_ONLY },
	{ "vfio_iommufd_get_dev_id", GPL_ONLY },
	{ "vfio_iommufd_physical_attach_ioas", GPL_ONLY },
	{ "vfio_iommufd_physical_bind", GPL_ONLY },
	{ "vfio_iommufd_physical_detach_ioas", GPL_ONLY },
	{ "vfio_iommufd_physical_pasid_attach_ioas", GPL_ONLY },
	{ "vfio_iommufd_physical_pasid_detach_ioas", GPL_ONLY },
	{ "vfio_iommufd_physical_unbind", GPL_ONLY },
	{ "vfio_mig_get_next_state", GPL_ONLY },
	{ "vfio_pin_pages", 0 },
	{ "vfio_register_emulated_iommu_dev", GPL_ONLY },
	{ "vfio_register_group_dev", GPL_ONLY },
	{ "vfio_set_irqs_validate_and_prepare", 0 },
	{ "vfio_unpin_pages", 0 },
	{ "vfio_unregister_group_dev", GPL_ONLY },
	{ "vfio_virqfd_disable", GPL_ONLY },
	{ "vfio_virqfd_enable", GPL_ONLY },
	{ "vfio_virqfd_flush_thread", GPL_ONLY },
};

/* Does this kernel's core export it? */
static bool is_wanted(const char *name)
{
	if (!strncmp(name, "vfio_iommufd_", strlen("vfio_iommufd_")))
		return has_iommufd();
	return has_groups() || (strcmp(name, "vfio_file_is_group") &&
				strcmp(name, "vfio_file_has_dev") &&
				strcmp(name, "vfio_file_iommu_group"));
}

/* What containers add. */
static const char *const container_exports[] = {
	"vfio_register_iommu_driver", "vfio_unregister_iommu_driver",
};

/* The name space of an exported symbol, or NULL. */
static const char *export_namespace(const struct image *image, const char *name)
{
	size_t size;
	char *strings = image_section(image, "__ksymtab_strings", &size), want[128];
	const char *found;
	Elf64_Sym sym;

	snprintf(want, sizeof(want), "__kstrtabns_%s", name);
	for (int i = 0; strings && image_symbol(image, i, &sym, &found); i++)
		if (!strcmp(found, want) && sym.st_value < size)
			return strings + sym.st_value;
	return NULL;
}

/*
 * semantics: 6, 19, 32-55, 58-72.  Each symbol that drivers may want is exported, to
 * those to whom the core in C exports it, from no name space but the one of a module set; and
 * no other symbol is.
 */
TEST(exports)
{
	int flags, found = 0, count = 0;
	struct image core;
	const char *name;
	bool of_the_set;
	Elf64_Sym sym;
	size_t size;

	if (!image_read(module_file("vfio"), &core))
		SKIP(return, "the module's file is not here");
	if (!image_section(&core, "__kflagstab", &size))
		SKIP(return, "a kernel that notes exports differently");
	/* A core of the module set has one symbol more (set/guard.h). */
	of_the_set = export_flags(&core, "rust_vfio_set") == GPL_ONLY;
	count += of_the_set;
	for (int i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!is_wanted(wanted[i].name))
			continue;
		count++;
		EXPECT_EQ(wanted[i].flags, export_flags(&core, wanted[i].name)) {
			TH_LOG("%s", wanted[i].name);
		}
		name = export_namespace(&core, wanted[i].name);
		ASSERT_NE(NULL, name);
		EXPECT_STREQ(of_the_set ? "RUST_VFIO_SET" : "", name);
	}
	for (int i = 0; i < ARRAY_SIZE(container_exports); i++) {
		flags = export_flags(&core, container_exports[i]);
		EXPECT_EQ(has_containers() ? GPL_ONLY : -1, flags);
		found -= flags >= 0;
	}
	for (int j = 1; image_symbol(&core, j, &sym, &name); j++)
		found += !strncmp(name, EXPORT_PREFIX, strlen(EXPORT_PREFIX));
	EXPECT_EQ(count, found);
}

static const char *const modules[] = {
	"vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "vfio"
};

/* What tests that failed before have left, which would keep the core. */
static const char *const leftovers[] = {
	"vfio_testdrv", "vfio_calls", "vfio_bare", "mtty", "mdpy", "mbochs", "mdev"
};

/* What this kernel has, as seen while the core is still there. */
static bool groups, device_files, procfs, debugfs, parameter;

/* The core alone, without those who use it, and all of it again afterwards. */
FIXTURE(module) {
	bool had[ARRAY_SIZE(modules)];
	int log;
};

FIXTURE_SETUP(module)
{
	int fd = module_file("vfio");

	if (fd < 0)
		SKIP(return, "the module's file is not here");
	close(fd);
	self->log = kmsg_open();
	ASSERT_GE(self->log, 0);
	groups = has_groups();
	device_files = has_iommufd();
	procfs = has_procfs();
	debugfs = !access("/sys/kernel/debug/vfio", F_OK);
	parameter = !access(PARAMETER, F_OK);
	for (int i = 0; i < ARRAY_SIZE(leftovers); i++)
		module_unload(leftovers[i]);
	for (int i = 0; i < ARRAY_SIZE(modules); i++) {
		self->had[i] = module_loaded(modules[i]);
		if (self->had[i])
			ASSERT_EQ(0, module_unload(modules[i]));
	}
}

/*
 * A node whose folder could not be told for want of memory is made without:
 * /dev/vfio is a file then, in the place of the folder, and nobody removes it.
 */
static void remove_misplaced_node(void)
{
	struct stat st;

	if (!lstat("/dev/vfio", &st) && !S_ISDIR(st.st_mode))
		unlink("/dev/vfio");
}

FIXTURE_TEARDOWN(module)
{
	remove_misplaced_node();
	for (int i = ARRAY_SIZE(modules) - 1; i >= 0; i--)
		if (self->had[i])
			EXPECT_EQ(0, module_load(modules[i]));
	close(self->log);
}

/* Everything that there is of a loaded core, or that there is none of it. */
static bool is_there(void)
{
	return module_loaded("vfio") && listed("/proc/devices", "vfio") == (groups && procfs) &&
	       listed("/proc/devices", "vfio-dev") == (device_files && procfs) &&
	       !access("/sys/class/vfio", F_OK) == groups &&
	       !access("/sys/class/vfio-dev", F_OK) &&
	       !access("/sys/kernel/debug/vfio", F_OK) == debugfs;
}

static bool is_gone(void)
{
	return !module_loaded("vfio") && !listed("/proc/devices", "vfio") &&
	       !listed("/proc/devices", "vfio-dev") &&
	       listed("/proc/misc", "vfio") == (iommufd_has_containers() && has_procfs()) &&
	       access("/sys/class/vfio", F_OK) &&
	       access("/sys/class/vfio-dev", F_OK) &&
	       access("/sys/kernel/debug/vfio", F_OK);
}

/* Is there a kernel thread of that name? */
static bool has_thread(const char *name)
{
	char pid[32], path[64], comm[64];
	bool found = false;

	for (int i = 0; !found && !sysfs_entry("/proc", i, pid, sizeof(pid)); i++) {
		snprintf(path, sizeof(path), "/proc/%s/comm", pid);
		found = sysfs_read(path, comm, sizeof(comm)) > 0 && !strcmp(comm, name);
	}
	return found;
}

/* semantics: 176.  What ends virqfds has a thread of its own, for want of memory. */
TEST_F(module, cleanup_queue)
{
	const char *name = "kworker/R-vfio-irqfd-cleanup";

	if (!procfs)
		SKIP(return, NO_PROCFS);
	EXPECT_FALSE(has_thread(name));
	ASSERT_EQ(0, module_load("vfio"));
	EXPECT_TRUE(has_thread(name));
	ASSERT_EQ(0, module_unload("vfio"));
	EXPECT_FALSE(has_thread(name));
}

/* semantics: 1, 9, 11, 12, 14, 179.  Twenty times, and one line each time. */
TEST_F(module, load_and_unload)
{
	char line[256];

	/* For who wants to know, no more. */
	ASSERT_EQ(0, module_load("vfio"));
	EXPECT_EQ(6, kmsg_level(self->log, "VFIO"));
	ASSERT_EQ(0, module_unload("vfio"));

	for (int i = 0; i < 20; i++) {
		ASSERT_TRUE(is_gone());
		ASSERT_EQ(0, module_load("vfio"));
		EXPECT_TRUE(is_there());
		EXPECT_TRUE(kmsg_wait(self->log, "VFIO", 0, line, sizeof(line)));
		EXPECT_STREQ(MESSAGE, line);
		EXPECT_FALSE(kmsg_wait(self->log, "VFIO", 0, line, sizeof(line)));
		ASSERT_EQ(0, module_unload("vfio"));
	}
	EXPECT_TRUE(is_gone());
	EXPECT_FALSE(kmsg_wait(self->log, "vfio", 0, NULL, 0));
}

/* The core by modprobe, which reads the kernel's command line; there it says @option. */
static int modprobe_with(const char *option)
{
	char folder[128], path[192], line[96];
	const char *cmdline = "/tmp/cmdline";
	struct utsname uts;
	int status;
	pid_t pid;

	/* modprobe wants the folder of modules that depmod writes. */
	if (uname(&uts))
		return -errno;
	snprintf(folder, sizeof(folder), "/lib/modules/%s", uts.release);
	mkdir("/lib/modules", 0755);
	if (mkdir(folder, 0755))
		return -errno;
	snprintf(path, sizeof(path), "%s/modules.dep", folder);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	if (sysfs_write(path, "vfio.ko:\n"))
		return -EIO;
	snprintf(path, sizeof(path), "%s/vfio.ko", folder);
	if (symlink(core_is_rust() ? "/modules/rust/vfio.ko" : "/modules/c/vfio.ko", path))
		return -errno;

	close(open(cmdline, O_CREAT | O_WRONLY, 0644));
	snprintf(line, sizeof(line), "quiet %s\n", option);
	if (sysfs_write(cmdline, line))
		return -EIO;
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) ||
		    mount(cmdline, "/proc/cmdline", NULL, MS_BIND, NULL))
			_exit(126);
		execlp("modprobe", "modprobe", "vfio", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/modules.dep", folder);
	unlink(path);
	rmdir(folder);
	unlink(cmdline);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* semantics: 8.  The parameter on the command line of the kernel. */
TEST_F(module, boot_parameter)
{
	char text[16];
	int ret;

	if (!parameter)
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	if (!procfs)
		SKIP(return, NO_PROCFS);
	ret = modprobe_with("vfio.enable_unsafe_noiommu_mode=1 other.parameter=2");
	if (ret < 0)
		SKIP(return, "modprobe has its modules elsewhere");
	ASSERT_EQ(0, ret);
	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("Y", text);
	ASSERT_EQ(0, module_unload("vfio"));
	ASSERT_EQ(0, modprobe_with("vfio_pci.enable_unsafe_noiommu_mode=1"));
	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("N", text);
	ASSERT_EQ(0, module_unload("vfio"));
}

/* semantics: 7, 8.  The parameter at load. */
TEST_F(module, parameter)
{
	char text[16];

	ASSERT_EQ(0, module_load_with("vfio", ""));
	if (access(PARAMETER, F_OK)) {
		EXPECT_EQ(0, module_unload("vfio"));
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	}
	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("N", text);
	ASSERT_EQ(0, module_unload("vfio"));

	ASSERT_EQ(0, module_load_with("vfio", "enable_unsafe_noiommu_mode=1"));
	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("Y", text);
	ASSERT_EQ(0, module_unload("vfio"));
	/* A bool without a value is true. */
	ASSERT_EQ(0, module_load_with("vfio", "enable_unsafe_noiommu_mode"));
	ASSERT_GT(sysfs_read(PARAMETER, text, sizeof(text)), 0);
	EXPECT_STREQ("Y", text);
	ASSERT_EQ(0, module_unload("vfio"));

	EXPECT_EQ(-EINVAL, module_load_with("vfio", "enable_unsafe_noiommu_mode=maybe"));
	EXPECT_TRUE(is_gone());
}

/* semantics: 11.  Each allocation of the load fails once: all or nothing.  Hundreds of loads. */
TEST_F_TIMEOUT(module, load_without_memory, 1500)
{
	int fault = fault_open(), fd = module_file("vfio"), failures = 0, ret;
	char line[256];
	bool hit;

	if (fault < 0)
		SKIP(return, "no fault injection in this kernel");
	/* The trace points of ours: the kernel warns of those that it cannot show. */
	kmsg_expect_warning(true, "rust");
	for (unsigned int n = 1; ; n++) {
		ASSERT_LT(n, 5000);
		fault_arm(fault, n);
		ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
		hit = fault_disarm(fault);
		if (ret) {
			EXPECT_EQ(-ENOMEM, ret) {
				TH_LOG("allocation %u", n);
			}
			EXPECT_TRUE(hit);
			EXPECT_TRUE(is_gone()) {
				TH_LOG("allocation %u", n);
			}
			failures++;
		} else {
			ASSERT_EQ(0, module_unload("vfio"));
		}
		if (!hit)
			break;
	}
	kmsg_expect_warning(false, NULL);
	while (kmsg_wait(self->log, "WARNING: ", 0, line, sizeof(line)))
		EXPECT_NE(NULL, strstr(line, "WARNING: kernel/trace/"));
	EXPECT_EQ(0, ret);
	EXPECT_GT(failures, 20);
	TH_LOG("%d failures", failures);
	close(fd);
	close(fault);
}

/* semantics: 13.  In use: by modules, by files of devices, by files of groups. */
TEST(unload_is_refused)
{
	struct pci pci;
	int fd;

	if (!has_groups())
		SKIP(return, NO_GROUPS);
	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, pci_to_vfio(&pci));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
	fd = group_open(&pci);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, pci_unbind(&pci));
	/* The group's file is left alone, and holds the core. */
	ASSERT_EQ(0, module_unload("vfio_pci"));
	ASSERT_EQ(0, module_unload("vfio_pci_core"));
	module_unload("vfio_iommu_type1");
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
	close(fd);
	EXPECT_EQ(0, module_unload("vfio"));
	EXPECT_TRUE(is_gone());

	ASSERT_EQ(0, module_load("vfio"));
	if (module_file("vfio_iommu_type1") >= 0)
		ASSERT_EQ(0, module_load("vfio_iommu_type1"));
	ASSERT_EQ(0, module_load("vfio_pci_core"));
	EXPECT_EQ(-EWOULDBLOCK, module_unload("vfio"));
	ASSERT_EQ(0, module_load("vfio_pci"));
	EXPECT_EQ(0, pci_to_vfio(&pci));
}

/* semantics: 7, 24.  A device behind an IOMMU is that, whatever the parameter says. */
TEST(parameter_and_iommu)
{
	char name[64], group[128];
	struct pci pci;
	int log;

	if (pci_find_at(EDU, false, &pci))
		SKIP(return, "no edu device on the root bus");
	if (sysfs_write(PARAMETER, "Y"))
		SKIP(return, "a kernel without VFIO_NOIOMMU");
	ASSERT_EQ(0, pci_unbind(&pci));
	log = kmsg_open();
	EXPECT_EQ(0, pci_to_vfio(&pci));
	EXPECT_EQ(0, pci_vfio_name(&pci, name, sizeof(name)));
	EXPECT_EQ(0, strncmp(name, "vfio", 4));
	pci_group_path(&pci, group, sizeof(group));
	EXPECT_EQ(has_groups(), !access(group, F_OK));
	EXPECT_FALSE(kmsg_wait(log, "taint", 0, NULL, 0));
	EXPECT_EQ(0, sysfs_write(PARAMETER, "N"));
	close(log);
}

TEST_HARNESS_MAIN
